#!/usr/bin/env python3
"""Ounce beside other engines, on the same models, on this machine, in one run.

    pip install numpy onnx onnxruntime openvino ai-edge-litert
    python compare.py --ounce ../.build/release/ounce model.onnx [other.onnx …] [--threads 1 2] [--markdown results.md]

Each MODEL.onnx is a float model with static shapes. Its int8 form is made here from the same made-up samples for all: by
`ounce compress --recipe int8` for Ounce, by ONNX Runtime's static quantisation for ONNX Runtime and OpenVINO. LiteRT takes
part where MODEL.tflite or MODEL.int8.tflite lies beside it. An engine that is not installed is left out.

Every engine runs in a process of its own. They take turns, round by round in a rotated order, so that what else the machine
does meets all of them; the ratio is the median over the rounds of (its time / the fastest in that round).
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

ENGINES = ("ounce", "onnxruntime", "openvino", "litert")
MOST_RUNS = 1000


# ---- a process that runs one engine: the protocol of `ounce bench --worker` ----


def load_onnxruntime(path, inputs, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_cpu_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return lambda: session.run_with_iobinding(binding)


def load_openvino(path, inputs, threads):
    import openvino as ov

    model = ov.Core().compile_model(path, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
    request = model.create_infer_request()
    for name, value in inputs.items():
        request.set_tensor(name, ov.Tensor(value, shared_memory=True))
    return lambda: request.infer(share_outputs=True)


def load_litert(path, inputs, threads):
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs.values()):
        if value.ndim == 4 and tuple(detail["shape"]) != value.shape:
            value = np.ascontiguousarray(value.transpose(0, 2, 3, 1))
        scale, zero = detail["quantization"]
        if detail["dtype"] == np.int8:
            value = np.clip(np.round(value / scale) + zero, -128, 127).astype(np.int8)
        interpreter.set_tensor(detail["index"], value)
    return interpreter.invoke


def work(engine, path, samples, threads):
    import numpy as np

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # some engines print
    inputs = dict(np.load(samples))
    begin = time.perf_counter()
    run = globals()[f"load_{engine}"](path, inputs, threads)
    loaded = time.perf_counter()
    run()
    first = time.perf_counter()
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps({"load_ms": (loaded - begin) * 1e3, "first_ms": (first - loaded) * 1e3, "peak_rss_kib": peak}),
          file=answers, flush=True)
    for line in sys.stdin:
        run()
        runs, start = [], time.perf_counter_ns()
        last = start
        while len(runs) < 2 or (last - start < float(line) * 1e9 and len(runs) < MOST_RUNS):
            run()
            now = time.perf_counter_ns()
            runs.append(now - last)
            last = now
        print(json.dumps([runs, 0]), file=answers, flush=True)


# ---- the comparison ----


class Engine:
    def __init__(self, name, path, samples, npy, threads, ounce):
        command = [sys.executable, os.path.abspath(__file__), "--worker", name, path, samples, str(threads)]
        if name == "ounce":
            command = [ounce, "bench", "--worker", path, "--input", npy, "--threads", str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.communicate()[1].strip()[-200:])
        self.loading, self.rounds = json.loads(line), []

    def turn(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        self.rounds.append(statistics.median(json.loads(self.process.stdout.readline())[0]) / 1e6)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def prepare(model, folder, ounce):
    """{precision: {engine: file}}, the samples as .npz and the first input as .npy."""
    import numpy as np, onnx

    name = os.path.splitext(os.path.basename(model))[0]
    graph = onnx.load(model, load_external_data=False).graph
    weights = {w.name for w in graph.initializer}
    rng, shapes = np.random.default_rng(1), {}
    for value in graph.input:
        if value.name not in weights:
            shapes[value.name] = [max(d.dim_value, 1) for d in value.type.tensor_type.shape.dim]
    samples, npy = f"{folder}/{name}.npz", f"{folder}/{name}.npy"
    first = {n: rng.standard_normal(s, dtype=np.float32) for n, s in shapes.items()}
    np.savez(samples, **first)
    np.save(npy, next(iter(first.values())))
    calibration = [{n: rng.standard_normal(s, dtype=np.float32) for n, s in shapes.items()} for _ in range(8)]
    np.savez(f"{folder}/{name}.calib.npz", **{n: np.concatenate([c[n] for c in calibration]) for n in shapes})

    files = {"float32": {"onnxruntime": model, "openvino": model}, "int8": {}}
    for precision, recipe in (("float32", ["none"]), ("int8", ["int8", "--calibration", f"{folder}/{name}.calib.npz"])):
        target = f"{folder}/{name}.{precision}.ounce"
        subprocess.run([ounce, "compress", model, "--recipe", *recipe, "--output", target], check=True, capture_output=True)
        files[precision]["ounce"] = target
    try:
        from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

        class Reader(CalibrationDataReader):
            def __init__(self):
                self.rest = iter(calibration)

            def get_next(self):
                return next(self.rest, None)

        target = f"{folder}/{name}.int8.onnx"
        quantize_static(model, target, Reader(), per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        files["int8"] |= {"onnxruntime": target, "openvino": target}
    except ImportError:
        pass
    for precision, ending in (("float32", ".tflite"), ("int8", ".int8.tflite")):
        beside = os.path.splitext(model)[0] + ending
        if os.path.exists(beside):
            files[precision]["litert"] = beside
    return name, files, samples, npy


def measure(files, samples, npy, threads, options):
    engines, failures = {}, {}
    for name in ENGINES:
        if name in files:
            try:
                engines[name] = Engine(name, files[name], samples, npy, threads, options.ounce)
            except RuntimeError as error:
                failures[name] = str(error)
    order = list(engines)
    for number in range(options.rounds):
        for name in order[number % len(order):] + order[:number % len(order)]:
            time.sleep(0.03)  # for threads that still spin
            engines[name].turn(options.slice)
    for engine in engines.values():
        engine.stop()
    return engines, failures


def rows(model, precision, threads, engines, failures):
    rounds = [min(e.rounds[i] for e in engines.values()) for i in range(len(next(iter(engines.values())).rounds))]
    cells = []
    for name in ENGINES:
        if name in engines:
            engine = engines[name]
            ratio = statistics.median(t / low for t, low in zip(engine.rounds, rounds))
            cells.append(f"{statistics.median(engine.rounds):.4g} ({ratio:.2f})")
        else:
            cells.append("failed" if name in failures else "")
    loading = "".join(
        f" {e.loading['load_ms'] + e.loading['first_ms']:.3g} ms, {e.loading['peak_rss_kib'] / 1024:.0f} MiB |" if e else " |"
        for e in (engines.get(n) for n in ENGINES))
    return f"| {model} | {precision} | {threads} | " + " | ".join(cells) + " |", f"| {model} | {precision} | {threads} |{loading}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--ounce", default="ounce")
    parser.add_argument("--threads", nargs="*", type=int, default=[1])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--slice", type=float, default=0.1, help="seconds of each turn")
    parser.add_argument("--markdown", help="write the tables here too")
    options = parser.parse_args()
    latency, loading = [], []
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models:
            name, precisions, samples, npy = prepare(model, folder, options.ounce)
            for precision, files in precisions.items():
                for threads in options.threads:
                    engines, failures = measure(files, samples, npy, threads, options)
                    first, second = rows(name, precision, threads, engines, failures)
                    print(first, flush=True)
                    for engine, why in failures.items():
                        print(f"  {engine}: {why}", file=sys.stderr)
                    latency.append(first)
                    loading.append(second)
    with open("/proc/cpuinfo") as cpu:
        machine = next((line.split(":")[1].strip() for line in cpu if line.startswith("model name")), "unknown CPU")
    head = "| model | precision | threads | " + " | ".join(ENGINES) + " |\n" + "|---" * (3 + len(ENGINES)) + "|\n"
    text = (f"Median milliseconds of one inference, batch 1, and in brackets the ratio to the fastest ({machine}).\n\n"
            + head + "\n".join(latency) + "\n\nLoading and the first inference; peak memory of the process.\n\n"
            + head + "\n".join(loading) + "\n")
    if options.markdown:
        with open(options.markdown, "w") as file:
            file.write(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(*sys.argv[2:5], int(sys.argv[5]))
    else:
        main()
