#!/usr/bin/env python3
"""Agreement of Ounce with other engines on every model of the shared manifest: agree.py DATA [PART-OF-ID...]

Float models: outputs within 1e-4 of the largest number (1e-3 for recurrent nets). Imported int8 models: the same top-1 on
99.5 % of the samples, or outputs within two steps where there are no labels. Exports: float ones within the same bounds;
those of every recipe as accurate as Ounce within 0.3 points, or one sample, in ONNX Runtime and in OpenVINO.
"""
import concurrent.futures
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

import engines

OUNCE = os.environ["OUNCE"]
SAMPLES = 2000  # labelled samples that a model is asked: all of the development split
RECURRENT = 24  # of recurrent nets, which run in plain loops
CALIBRATION = 100
RECIPES = [("int8", []), ("int8", ["--symmetric"]), ("int8-weights", [])]


running = set()


class Disagreement(Exception):
    pass


def ounce(*arguments):
    with subprocess.Popen([OUNCE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        running.add(process)
        try:
            _, text = process.communicate(timeout=200)
        except subprocess.TimeoutExpired:
            process.kill()
            text = "not done after 200 s"
        finally:
            running.discard(process)
    if process.returncode:
        raise Disagreement(f"ounce {arguments[0]}: {(text.strip() or str(process.returncode))[:600]}")


def answers(model, samples, folder):
    """What `ounce infer` gives, each output flattened to one row per sample."""
    given, taken = os.path.join(folder, "given.npz"), os.path.join(folder, "taken.npz")
    np.savez(given, **samples)
    ounce("infer", model, "--input", given, "--output", taken, "--threads", "1")
    archive = np.load(taken)
    return [archive[name].reshape(len(archive[name]), -1) for name in archive.files]


def samples_of(model, prepare, root, split, limit):
    """Labelled samples, or (samples, None) of random numbers where there are none."""
    if model["data"] and model["data"].get(split):
        name, x, y = prepare(root, model, split)
        return {name: x[:limit]}, y[:limit]
    random = np.random.default_rng(1)
    made = {}
    for spec in model["inputs"]:
        shape = [8] + [1 if d is None or d < 0 else d for d in spec["shape"][1:]]
        dtype = np.dtype(spec["dtype"])
        made[spec["name"]] = (
            random.integers(-128, 128, shape).astype(dtype) if dtype.kind in "iu" else random.random(shape).astype(dtype))
    return made, None


def distance(a, b):
    """The largest difference over all outputs, relative to the largest number of each."""
    if [x.shape for x in a] != [x.shape for x in b]:
        raise Disagreement(f"outputs of {[x.shape for x in a]}, expected {[x.shape for x in b]}")
    return max(
        float(np.abs(x.astype(float) - y).max() / max(np.abs(y.astype(float)).max(), 1e-9)) for x, y in zip(a, b))


def expect(condition, message):
    if not condition:
        raise Disagreement(message)


def accuracy(outputs, labels):
    return 100 * float((outputs[0].argmax(1) == labels).mean())


def check_close(what, got, want, bound):
    worst = distance(got, want)
    expect(worst <= bound, f"{what}: differs by {worst:.1e} of the largest number, {bound:.0e} allowed")
    return f"{what} {worst:.0e}"


def check_integers(what, got, want):
    """Quantised outputs without labels."""
    steps = max(int(np.abs(x.astype(int) - y.astype(int)).max()) for x, y in zip(got, want))
    expect(steps <= 2, f"{what}: differs by {steps} steps, 2 allowed")
    return f"{what} {steps} steps"


def check_top1(what, got, want):
    share = 100 * float((got[0].argmax(1) == want[0].argmax(1)).mean())
    expect(share >= 99.5, f"{what}: the same top-1 on {share:.2f} % of {len(got[0])} samples, 99.5 wanted")
    return f"{what} {share:.2f} %"


def check_accuracy(what, got, ours, labels):
    points = accuracy(got, labels) - accuracy(ours, labels)
    allowed = max(0.3, 100.01 / len(labels))
    expect(abs(points) <= allowed, f"{what}: {points:+.2f} points against Ounce's {accuracy(ours, labels):.2f} %")
    return f"{what} {points:+.2f}"


def exported(source, folder, name, *arguments):
    import onnx

    path, again = (os.path.join(folder, f"{name}{suffix}.onnx") for suffix in ("", "-again"))
    for target in (path, again):
        ounce("export", source, "--onnx", target, *arguments)
    with open(path, "rb") as one, open(again, "rb") as two:
        expect(one.read() == two.read(), f"{name}: a second export has other bytes")
    onnx.checker.check_model(path, full_check=True)
    return path


def check_model(model, root, prepare, folder):
    notes = []
    path = os.path.join(root, model["path"])
    is_recurrent = model["path"].startswith("models/rnn/")
    bound = 1e-3 if is_recurrent else 1e-4
    samples, labels = samples_of(model, prepare, root, "dev", RECURRENT if is_recurrent else SAMPLES)
    is_float = model["precision"] == "float32"
    ours = answers(path, samples, folder)
    theirs = engines.reference(path, samples)
    if is_float:
        notes.append(check_close("import", ours, theirs, bound))
    elif labels is not None:
        notes.append(check_top1("import", ours, theirs))
    else:
        notes.append(check_integers("import", ours, theirs))

    try:
        plain = exported(path, folder, "plain")
    except Disagreement as refused:
        if "cannot be written as ONNX" not in str(refused):
            raise
        return [*notes, "export: refused by name"]
    for engine in (engines.onnx_runtime, engines.openvino):
        got = engine(plain, samples)
        what = f"export in {engine.__name__}"
        if is_float:
            notes.append(check_close(what, got, ours, bound))
        elif labels is not None:
            notes.append(check_accuracy(what, got, ours, labels))
        else:
            notes.append(check_integers(what, got, ours))
    if is_float and labels is not None:
        notes += check_recipes(model, root, prepare, folder, path, samples, labels)
    return notes


def check_recipes(model, root, prepare, folder, path, samples, labels):
    notes = []
    calibration, _ = samples_of(model, prepare, root, "calib", min(CALIBRATION, len(labels) // 4))
    file = os.path.join(folder, "calibration.npz")
    np.savez(file, **calibration)
    for recipe, flags in RECIPES:
        name = recipe + "".join(flags)
        artifact = os.path.join(folder, f"{name}.ounce")
        arguments = ["--recipe", recipe, "--calibration", file, "--output", artifact, "--threads", "1", *flags]
        try:
            ounce("compress", path, *arguments)
        except Disagreement as refused:
            if "no float convolution or fully connected layer" in str(refused):
                notes.append(f"{name}: nothing to quantise")
                continue
            raise
        ours = answers(artifact, samples, folder)
        target = exported(artifact, folder, name, *flags)
        for engine in (engines.onnx_runtime, engines.openvino):
            got, what = engine(target, samples), f"{name} in {engine.__name__}"
            try:
                notes.append(check_accuracy(what, got, ours, labels))
            except Disagreement as difference:
                # The form for TensorRT: OpenVINO leaves out a rounding there that the default form makes it keep.
                if engine is not engines.openvino or "--symmetric" not in flags:
                    raise
                notes.append(f"(not binding) {difference}")
    return notes


def main():
    root, wanted = sys.argv[1], sys.argv[2:]
    spec = importlib.util.spec_from_file_location("prepare", os.path.join(root, "prepare.py"))
    prepare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prepare)
    with open(os.path.join(root, "manifest.json")) as file:
        models = json.load(file)["models"]
    models = [m for m in models if not wanted or any(part in m["id"] for part in wanted)]
    expect(models, f"no model is named like {wanted}")

    scratch = tempfile.mkdtemp()

    def stop(number, _):
        for process in list(running):
            process.kill()
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)

    def run(model):
        start = time.monotonic()
        folder = tempfile.mkdtemp(dir=scratch)
        try:
            result = True, "; ".join(check_model(model, root, prepare.prepare, folder))
        except Exception as error:  # an engine's own errors count as disagreement, too
            result = False, f"{'' if isinstance(error, Disagreement) else type(error).__name__ + ': '}{error}"
        shutil.rmtree(folder, ignore_errors=True)
        return *result, time.monotonic() - start

    failures = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for model, (agrees, text, seconds) in zip(models, pool.map(run, models)):
            failures += not agrees
            print(f"{'agrees   ' if agrees else 'DISAGREES'} {model['id']} ({seconds:.0f} s): {text}", flush=True)
    shutil.rmtree(scratch, ignore_errors=True)
    print(f"agreement: {len(models) - failures} of {len(models)} models")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
