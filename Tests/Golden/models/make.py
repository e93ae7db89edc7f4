#!/usr/bin/env python3
"""Runs the shared models in ONNX Runtime and LiteRT on made-up inputs and stores what they answer.

    make.py SHARED_DATA

Writes models.json beside this file: for each model the range of its inputs and the outputs for a few samples. The inputs
themselves follow from a formula (`sample`), which the tests repeat, so nothing of the shared data is copied.
Needs numpy, onnxruntime and ai-edge-litert.
"""
import json, os, sys
import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

SAMPLES = 4
# The real numbers that inputs take, by the start of the model's id.
RANGES = {
    "mlperf_ad": (-85, 15), "mlperf_ic": (0, 255), "mlperf_vww": (0, 1), "mlperf_kws": (-70, -27),
    "cifar": (-2, 2.5), "kws_cnn": (-12, 12), "misc_mnist_cntk": (0, 255),
}
# Relative to the largest output. LiteRT rounds the inputs of layers with int8 weights and float values to int8, sample by
# sample; computed in float they give other numbers, about as far apart as this.
TOLERANCE, HYBRID_TOLERANCE = 1e-4, 0.1


def sample(seed, shape, low, high, dtype):
    """uint32 arithmetic, then two float32 operations: the same bits in every language."""
    index = np.arange(1, np.prod(shape) + 1, dtype=np.uint32)
    u = index * np.uint32(2654435761) + np.uint32((seed * 2246822519) % 2**32)
    u ^= u >> np.uint32(15)
    u = u * np.uint32(2246822519)
    u ^= u >> np.uint32(13)
    if dtype == np.int8:
        x = ((u >> np.uint32(26)).astype(np.int32) - 32).astype(np.int8)
    else:
        x = (u >> np.uint32(8)).astype(np.float32) * np.float32((high - low) / 2**24) + np.float32(low)
    return x.reshape(shape)


def onnx_runner(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def litert_runner(path):
    interpreter = Interpreter(model_path=path)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(x):
        interpreter.set_tensor(source, x)
        interpreter.invoke()
        return interpreter.get_tensor(target)
    return run


def main(root):
    entries = []
    for model in json.load(open(os.path.join(root, "manifest.json")))["models"]:
        key = next((k for k in RANGES if model["id"].startswith(k)), None)
        if key is None:
            continue
        low, high = RANGES[key]
        spec = model["inputs"][0]
        shape = [1 if extent < 0 else extent for extent in spec["shape"]]
        path = os.path.join(root, model["path"])
        run = (onnx_runner if model["format"] == "onnx" else litert_runner)(path)
        outputs = []
        for seed in range(SAMPLES):
            y = run(sample(seed, shape, low, high, np.dtype(spec["dtype"])))
            outputs.append([float(f"{v:.9g}") for v in y.astype(np.float64).ravel()])
        tolerance = HYBRID_TOLERANCE if model["precision"] == "hybrid" else TOLERANCE
        entries.append({"id": model["id"], "path": model["path"], "low": low, "high": high, "tolerance": tolerance,
                        "outputs": outputs})
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "models.json"), "w") as file:
        json.dump(entries, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
