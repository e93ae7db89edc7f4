#!/usr/bin/env python3
"""Makes small models with states and what LiteRT and ONNX Runtime give for them, step by step.

    make.py SHARED_DATA

variables.tflite  variables that are swapped, kept constant, fed with the input, and assigned before they are read
ring.tflite       an int8 ring buffer on a grid of its own
cell.onnx         a recurrent cell whose two states are explicit inputs and outputs
wake_word_*.npy   steps for the wake word of the shared data, and its answers

Needs numpy, onnx, onnxruntime and ai-edge-litert.
"""
import os, sys
import flatbuffers
import numpy as np
import onnx
import onnxruntime
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = {np.dtype("f4"): 0, np.dtype("i4"): 2, np.dtype("i1"): 9}


class Maker:
    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.model.subgraphs = []

    def subgraph(self, name):
        self.graph = schema.SubGraphT()
        self.graph.name, self.graph.tensors, self.graph.operators = name, [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.model.subgraphs.append(self.graph)

    def tensor(self, name, shape, dtype, data=None, grid=None):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), dtype, 0
        if data is not None:
            tensor.buffer = len(self.model.buffers)
            buffer = schema.BufferT()
            buffer.data = list(data.tobytes())
            self.model.buffers.append(buffer)
        if grid:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [grid[0]], [grid[1]]
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, name, array, grid=None):
        return self.tensor(name, array.shape, TYPES[array.dtype], array, grid)

    def op(self, code, inputs, outputs, kind=0, options=None):
        op = schema.OperatorT()
        entry = schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
        self.model.operatorCodes.append(entry)
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        op.inputs, op.outputs = inputs, outputs
        op.builtinOptionsType, op.builtinOptions = kind, options
        self.graph.operators.append(op)

    def handle(self, name):
        options = schema.VarHandleOptionsT()
        options.container, options.sharedName = "", name
        out = self.tensor(name + "_handle", [], 13)
        self.op(142, [], [out], 111, options)
        return out

    def read(self, handle, name, shape, dtype=0, grid=None):
        out = self.tensor(name, shape, dtype, grid=grid)
        self.op(143, [handle], [out], 112, schema.ReadVariableOptionsT())
        return out

    def assign(self, handle, value):
        self.op(144, [handle, value], [], 113, schema.AssignVariableOptionsT())

    def call_once(self, index):
        options = schema.CallOnceOptionsT()
        options.initSubgraphIndex = index
        self.op(129, [], [], 103, options)

    def bytes(self):
        builder = flatbuffers.Builder(1 << 14)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def variables():
    make = Maker()
    make.subgraph("main")
    x = make.tensor("x", [1, 4], 0)
    make.graph.inputs = [x]
    make.call_once(1)
    handles = {name: make.handle(name) for name in "abcde"}
    a, b, c, d = (make.read(handles[name], "read_" + name, [1, 4]) for name in "abcd")
    make.assign(handles["a"], b)
    make.assign(handles["b"], a)
    make.assign(handles["d"], x)
    again = make.read(handles["a"], "read_a_again", [1, 4])
    total = make.tensor("total", [1, 4], 0)
    make.op(0, [again, x], [total], 11, schema.AddOptionsT())
    make.assign(handles["e"], total)
    e = make.read(handles["e"], "read_e", [1, 4])
    y = make.tensor("y", [1, 4], 0)
    make.op(18, [e, c], [y], 21, schema.MulOptionsT())
    half = make.constant("half", np.full([1, 4], 0.5, "f4"))
    delayed = make.tensor("delayed", [1, 4], 0)
    make.op(18, [d, half], [delayed], 21, schema.MulOptionsT())
    make.graph.outputs = [y, delayed]
    make.subgraph("initialise")
    for name, first in (("a", 1), ("b", 5), ("c", 10), ("d", 20)):
        handle = make.handle(name)
        make.assign(handle, make.constant("initial_" + name, np.arange(first, first + 4, dtype="f4").reshape(1, 4)))
    return make.bytes()


def ring():
    grid = (0.5, -3)
    make = Maker()
    make.subgraph("main")
    x = make.tensor("x", [1, 1, 2], 9, grid=grid)
    make.graph.inputs = [x]
    make.call_once(1)
    handle = make.handle("ring")
    old = make.read(handle, "old", [1, 3, 2], 9, grid)
    whole = make.tensor("whole", [1, 4, 2], 9, grid=grid)
    options = schema.ConcatenationOptionsT()
    options.axis = 1
    make.op(2, [old, x], [whole], 10, options)
    new = make.tensor("new", [1, 3, 2], 9, grid=grid)
    bounds = [make.constant(name, np.array(v, "i4"))
              for name, v in (("begin", [0, 1, 0]), ("end", [1, 4, 2]), ("stride", [1, 1, 1]))]
    make.op(45, [whole] + bounds, [new], 32, schema.StridedSliceOptionsT())
    make.assign(handle, new)
    mean = make.tensor("mean", [1, 2], 9, grid=(0.25, 4))
    options = schema.ReducerOptionsT()
    options.keepDims = False
    make.op(40, [whole, make.constant("axes", np.array([1], "i4"))], [mean], 27, options)
    make.graph.outputs = [mean]
    make.subgraph("initialise")
    handle = make.handle("ring")
    make.assign(handle, make.constant("initial", np.array([[[-3, 7], [11, -20], [5, 100]]], "i1"), grid))
    return make.bytes()


def cell(path):
    rng = np.random.default_rng(5)
    weights = {name: rng.normal(0, 0.7, shape).astype("f4") for name, shape in
               (("W", (3, 5)), ("U", (5, 5)), ("V", (5, 2)))}
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["xw"]),
        helper.make_node("MatMul", ["h", "U"], ["hu"]),
        helper.make_node("Add", ["xw", "hu"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["h_next"]),
        helper.make_node("Add", ["n", "one"], ["n_next"]),
        helper.make_node("MatMul", ["h_next", "V"], ["hv"]),
        helper.make_node("Mul", ["hv", "n_next"], ["y"]),
    ]
    weights["one"] = np.ones((1, 1), "f4")
    port = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "cell",
        [port("x", TensorProto.FLOAT, ["batch", 3]), port("h", TensorProto.FLOAT, ["batch", 5]),
         port("n", TensorProto.FLOAT, [1, 1])],
        [port("y", TensorProto.FLOAT, ["batch", 2]), port("h_next", TensorProto.FLOAT, ["batch", 5]),
         port("n_next", TensorProto.FLOAT, [1, 1])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def litert(path, steps):
    interpreter = Interpreter(path)
    interpreter.allocate_tensors()
    outputs = []
    for step in steps:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], step)
        interpreter.invoke()
        outputs.append([interpreter.get_tensor(o["index"]).copy() for o in interpreter.get_output_details()])
    return [np.stack(column) for column in zip(*outputs)]


def save(name, array):
    np.save(os.path.join(HERE, name + ".npy"), array)


def main(shared):
    rng = np.random.default_rng(11)
    for name, content, steps in (
            ("variables", variables(), rng.integers(-20, 20, (6, 1, 4)).astype("f4")),
            ("ring", ring(), rng.integers(-128, 128, (8, 1, 1, 2)).astype("i1"))):
        path = os.path.join(HERE, name + ".tflite")
        open(path, "wb").write(content)
        save(name + "_x", steps)
        for index, output in enumerate(litert(path, steps)):
            save(f"{name}_y{index}", output)
    path = os.path.join(HERE, "cell.onnx")
    cell(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    steps = rng.normal(0, 1, (6, 1, 3)).astype("f4")
    h, n, outputs = np.zeros((1, 5), "f4"), np.zeros((1, 1), "f4"), []
    for step in steps:
        y, h, n = session.run(None, {"x": step, "h": h, "n": n})
        outputs.append(y)
    save("cell_x", steps)
    save("cell_y0", np.stack(outputs))
    steps = np.load(os.path.join(HERE, "wake_word_x.npy"))
    model = os.path.join(shared, "models/misc/microwakeword_hey_jarvis_int8.tflite")
    save("wake_word_y0", litert(model, steps)[0])


main(sys.argv[1])
