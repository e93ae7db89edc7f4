"""Writes models.json: what the weights of the shared models are, as the onnx and tflite packages read them.

Usage: make_models.py FOLDER_OF_SHARED_DATA, in this folder. Each entry of a model lists, in the order of the nodes that have
weights, their extents with the output channel first and the input channel last, a checksum that depends on the order
of the numbers, and the sum of the bias (null: none).
"""
import json
import pathlib
import sys

import numpy as np
import onnx
import tflite
from onnx import numpy_helper


def checksum(array):
    flat = np.ascontiguousarray(array, np.float64).ravel()
    return float(np.dot(flat, np.arange(flat.size) % 97 + 1))


def entry(op, weights, bias):
    return {
        "op": op,
        "shape": list(weights.shape),
        "checksum": checksum(weights),
        "bias": None if bias is None else checksum(bias),
    }


def onnx_entries(path):
    graph = onnx.load(path).graph
    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    entries = []
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        given = [constants.get(name) for name in node.input]
        if node.op_type == "Reshape" and given[0] is not None:
            constants[node.output[0]] = given[0].reshape(given[1])
        elif node.op_type == "Conv":
            bias = given[2] if len(given) > 2 else None
            entries.append(entry("conv", np.moveaxis(given[1], 1, -1), bias))
        elif node.op_type == "Gemm":
            entries.append(entry("dense", given[1] if attributes.get("transB") else given[1].T, given[2]))
        elif node.op_type == "MatMul" and given[1] is not None:
            entries.append(entry("dense", given[1].T, None))
        elif node.op_type == "BatchNormalization":
            entries.append(entry("normalization", given[1], given[2]))
    return entries


def tflite_entries(path):
    model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    types = {0: np.float32, 2: np.int32, 9: np.int8}

    def constant(index):
        if index < 0:
            return None
        tensor = graph.Tensors(index)
        data = model.Buffers(tensor.Buffer()).DataAsNumpy()
        return data.view(types[tensor.Type()]).reshape(tensor.ShapeAsNumpy())

    entries = []
    for place in range(graph.OperatorsLength()):
        operator = graph.Operators(place)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if kind not in (3, 4, 9):
            continue
        inputs = operator.InputsAsNumpy()
        weights = constant(inputs[1])
        if kind == 4:
            weights = np.moveaxis(weights, -1, 0).reshape(weights.shape[3], weights.shape[1], weights.shape[2], 1)
        bias = constant(inputs[2]) if len(inputs) > 2 else None
        entries.append(entry("dense" if kind == 9 else "conv", weights, bias))
    return entries


def main():
    root = pathlib.Path(sys.argv[1])
    result = {}
    for model in json.loads((root / "manifest.json").read_text())["models"]:
        path = root / model["path"]
        if path.parent.name in ("rnn", "transformer") or "microwakeword" in path.name:
            continue
        result[model["path"]] = onnx_entries(path) if path.suffix == ".onnx" else tflite_entries(path)
    with open("models.json", "w") as file:
        json.dump(result, file, indent=0)
        file.write("\n")


main()
