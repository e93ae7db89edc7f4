#!/usr/bin/env python3
"""A small classifier (classifier.onnx) and golden values of metrics and int8 grids, by their definitions in NumPy.

Writes compress.json and classifier.onnx beside this file. Activations follow from a formula that the tests repeat.
"""
import json, os
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BINS = 4096


def uniform(seed, count):
    index = np.arange(1, count + 1, dtype=np.uint32)
    u = index * np.uint32(2654435761) + np.uint32((seed * 2246822519) % 2**32)
    u ^= u >> np.uint32(15)
    u = u * np.uint32(2246822519)
    u ^= u >> np.uint32(13)
    return (u >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def activations(kind, seed):
    u = uniform(seed, 20000)
    if kind == "relu":  # a long tail above zero
        return np.maximum(u * u * u * np.float32(9) - np.float32(1), np.float32(0))
    if kind == "signed":
        v = u - np.float32(0.5)
        return v * v * v * np.float32(40)
    return u * np.float32(3) + np.float32(2)  # never near zero


def grid(low, high):
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    return scale, int(np.clip(np.rint(-128 - low / scale), -128, 127))


def error(x, low, high):
    scale, zero = grid(low, high)
    q = np.clip(np.rint(x / scale) + zero, -128, 127)
    return float(np.mean((x - (q - zero) * scale) ** 2))


def least_error(x):
    """Every pair of ends on a mesh."""
    lows = [0.0] if x.min() >= 0 else [x.min() * e for e in np.linspace(0.7, 1, 7)]
    highs = [0.0] if x.max() <= 0 else [x.max() * e for e in np.linspace(0.3, 1, 36)]
    return min(error(x, low, high) for low in lows for high in highs)


def auc(scores, labels):
    pairs = [(1 if p > n else 0.5 if p == n else 0)
             for p, a in zip(scores, labels) if a for n, b in zip(scores, labels) if not b]
    return sum(pairs) / len(pairs)


def classifier():
    """[?, 64] -> 96, ReLU -> [?, 4], weights by the formula."""
    def weights(name, seed, *shape):
        w = (uniform(seed, int(np.prod(shape))) - np.float32(0.5)) * np.float32(0.5)
        return numpy_helper.from_array(w.reshape(shape), name)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], name="hidden"),
         helper.make_node("Relu", ["h"], ["r"], name="relu"),
         helper.make_node("Gemm", ["r", "w2", "b2"], ["y"], name="scores")],
        "classifier", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [weights("w1", 1, 64, 96), weights("b1", 2, 96), weights("w2", 3, 96, 4), weights("b2", 4, 4)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def main():
    result = {"grids": [], "auc": []}
    for kind in ["relu", "signed", "offset"]:
        # Many usual values and a few twice as large as any of them.
        usual = activations(kind, 7)
        x = np.concatenate([np.tile(usual, 50), np.repeat(usual.max() * np.float32(2), 3)]).astype(np.float64)
        entry = {"kind": kind, "seed": 7, "minmax": grid(x.min(), x.max()), "leastError": least_error(x),
                 "minmaxError": error(x, x.min(), x.max()), "percentiles": {}}
        for share in [99.0, 99.9]:
            out = 100 - share
            at_low = 0 if x.min() >= 0 else out / 2 if x.max() > 0 else out
            entry["percentiles"][str(share)] = grid(*np.percentile(x, [at_low, 100 - (out - at_low)]))
        result["grids"].append(entry)
    for seed in range(3):
        scores = np.round(uniform(seed, 60) * 8).astype(float)
        labels = (uniform(seed + 100, 60) + scores / 20 > 0.6).astype(int)
        result["auc"].append({"scores": scores.tolist(), "labels": labels.tolist(), "area": auc(scores, labels)})
    folder = os.path.dirname(os.path.abspath(__file__))
    onnx.save(classifier(), os.path.join(folder, "classifier.onnx"))
    with open(os.path.join(folder, "compress.json"), "w") as file:
        json.dump(result, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
