"""Makes small ONNX models for the tests of OunceFormats. Needs the onnx package; run in this folder."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

node = helper.make_node


def constant(name, values, dtype):
    return numpy_helper.from_array(np.array(values, dtype), name)


def save(name, opset, nodes, inputs, outputs, constants):
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs],
        [helper.make_tensor_value_info(n, t, s) for n, t, s in outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, f"{name}.onnx")


FLOAT = TensorProto.FLOAT
weights = (np.arange(4 * 2 * 3 * 3) % 23 - 11).reshape(4, 2, 3, 3)

# Activations in uint8, weights int8 for each output channel, bias int32.
save(
    "qdq",
    13,
    [
        node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
        node("DequantizeLinear", ["b", "bs"], ["bd"], axis=0),
        node("Conv", ["xd", "wd", "bd"], ["c"], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        node("QuantizeLinear", ["r", "rs", "rz"], ["rq"]),
        node("MaxPool", ["rq"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("DequantizeLinear", ["p", "rs", "rz"], ["y"]),
    ],
    [("x", FLOAT, ["N", 2, 6, 6])],
    [("y", FLOAT, ["N", 4, 3, 3])],
    [
        constant("xs", 0.5, np.float32),
        constant("xz", 100, np.uint8),
        constant("w", weights, np.int8),
        constant("ws", [0.5, 0.25, 0.125, 1], np.float32),
        constant("wz", [0, 0, 0, 0], np.int8),
        constant("b", [4, -4, 8, -8], np.int32),
        constant("bs", [0.25, 0.125, 0.0625, 0.5], np.float32),
        constant("rs", 0.25, np.float32),
        constant("rz", 0, np.uint8),
    ],
)

# The batch is computed from the input's shape, as PyTorch writes view(x.size(0), -1).
save(
    "shapes",
    13,
    [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"], axis=0),
        node("Unsqueeze", ["n", "axes"], ["n1"]),
        node("Concat", ["n1", "rest"], ["shape"], axis=0),
        node("Relu", ["x"], ["r"]),
        node("Reshape", ["r", "shape"], ["f"]),
        node("Gemm", ["f", "w", "b"], ["g"], alpha=2.0, beta=0.5),
        node("Identity", ["g"], ["y"]),
        node("Identity", ["g"], ["z"]),
    ],
    [("x", FLOAT, ["N", 3, 2, 2])],
    [("y", FLOAT, ["N", 5]), ("z", FLOAT, ["N", 5])],
    [
        constant("zero", 0, np.int64),
        constant("axes", [0], np.int64),
        constant("rest", [-1], np.int64),
        constant("w", np.arange(60).reshape(12, 5), np.float32),
        constant("b", [[1, 2, 3, 4, 5]], np.float32),
    ],
)

# Attributes that later versions made inputs; a softmax over several axes; a last window that is only partly filled.
save(
    "old",
    8,
    [
        node("Pad", ["x"], ["p"], pads=[0, 0, 1, 0, 0, 0, 0, 2], value=1.5),
        node("Slice", ["p"], ["s"], axes=[3, 1], starts=[1, 0], ends=[9999, -1]),
        node("Clip", ["s"], ["c"], min=-1.0, max=1.0),
        node("MaxPool", ["c"], ["m"], kernel_shape=[2, 3], strides=[2, 2]),
        node("Dropout", ["m"], ["d"], ratio=0.5),
        node("Softmax", ["d"], ["t"]),
        node("Unsqueeze", ["t"], ["u"], axes=[0]),
        node("Squeeze", ["u"], ["y"], axes=[0, 1]),
    ],
    [("x", FLOAT, [1, 3, 4, 5])],
    [("y", FLOAT, [2, 2, 2])],
    [],
)
save(
    "ceil",
    13,
    [node("AveragePool", ["x"], ["y"], kernel_shape=[3], strides=[2], pads=[1, 0], ceil_mode=1)],
    [("x", FLOAT, [1, 2, 7])],
    [("y", FLOAT, [1, 2, 4])],
    [],
)
# Extents and a number that are only known when the model is put to use.
save(
    "open",
    18,
    [
        node("Pad", ["x", "pads"], ["p"], mode="reflect"),
        node("Shape", ["p"], ["s"], start=2),
        node("Mul", ["s", "two"], ["size"]),
        node("Concat", ["keep", "size"], ["sizes"], axis=0),
        node("Resize", ["p", "", "", "sizes"], ["r"], mode="nearest"),
        node("Equal", ["rate", "sixteen"], ["fast"]),
        node(
            "If",
            ["fast"],
            ["y"],
            then_branch=helper.make_graph(
                [node("Mul", ["r", "three"], ["a"])], "then", [], [helper.make_tensor_value_info("a", FLOAT, None)]
            ),
            else_branch=helper.make_graph(
                [node("Neg", ["r"], ["b"])], "else", [], [helper.make_tensor_value_info("b", FLOAT, None)]
            ),
        ),
    ],
    [("x", FLOAT, ["N", 1, "H", "W"]), ("rate", onnx.TensorProto.INT64, [])],
    [("y", FLOAT, ["N", 1, "H2", "W2"])],
    [
        constant("pads", [0, 0, 1, 0, 0, 0, 0, 1], np.int64),
        constant("two", [2, 2], np.int64),
        constant("keep", [1, 1], np.int64),
        constant("sixteen", 16, np.int64),
        constant("three", 3, np.float32),
    ],
)

# Layer normalisation and GELU: as PyTorch splits them, as TensorFlow does, and whole.
save(
    "pieces",
    20,
    [
        node("ReduceMean", ["x", "last"], ["m1"]),
        node("Sub", ["x", "m1"], ["d1"]),
        node("Pow", ["d1", "two"], ["p1"]),
        node("ReduceMean", ["p1", "last"], ["v1"]),
        node("Add", ["v1", "epsilon"], ["e1"]),
        node("Sqrt", ["e1"], ["r1"]),
        node("Div", ["d1", "r1"], ["n1"]),
        node("Mul", ["n1", "gamma"], ["s1"]),
        node("Add", ["s1", "beta"], ["y1"]),
        node("Div", ["y1", "root2"], ["a1"]),
        node("Erf", ["a1"], ["b1"]),
        node("Add", ["b1", "one"], ["c1"]),
        node("Mul", ["y1", "c1"], ["w1"]),
        node("Mul", ["w1", "half"], ["g1"]),
        node("ReduceMean", ["g1", "last"], ["m2"]),
        node("Sub", ["g1", "m2"], ["d2"]),
        node("Mul", ["d2", "d2"], ["p2"]),
        node("ReduceMean", ["p2", "last"], ["v2"]),
        node("Add", ["v2", "epsilon"], ["e2"]),
        node("Sqrt", ["e2"], ["r2"]),
        node("Reciprocal", ["r2"], ["i2"]),
        node("Mul", ["i2", "gamma"], ["f2"]),
        node("Mul", ["g1", "f2"], ["s2"]),
        node("Mul", ["m2", "f2"], ["t2"]),
        node("Sub", ["beta", "t2"], ["u2"]),
        node("Add", ["s2", "u2"], ["y2"]),
        node("Pow", ["y2", "three"], ["q2"]),
        node("Mul", ["q2", "third"], ["h2"]),
        node("Add", ["y2", "h2"], ["k2"]),
        node("Mul", ["k2", "root"], ["a2"]),
        node("Tanh", ["a2"], ["b2"]),
        node("Add", ["b2", "one"], ["c2"]),
        node("Mul", ["c2", "half"], ["w2"]),
        node("Mul", ["y2", "w2"], ["g2"]),
        node("LayerNormalization", ["g2", "gamma", "beta"], ["y3"], epsilon=0.01),
        node("Gelu", ["y3"], ["y"]),
    ],
    [("x", FLOAT, ["N", 3, 8])],
    [("y", FLOAT, ["N", 3, 8])],
    [
        constant("last", [-1], np.int64),
        constant("epsilon", 0.01, np.float32),
        constant("gamma", np.arange(8) / 8 + 0.5, np.float32),
        constant("beta", np.arange(8) / 4 - 1, np.float32),
        constant("one", 1, np.float32),
        constant("two", 2, np.float32),
        constant("three", 3, np.float32),
        constant("half", 0.5, np.float32),
        constant("root2", 2**0.5, np.float32),
        constant("third", 0.044715, np.float32),
        constant("root", (2 / np.pi) ** 0.5, np.float32),
    ],
)
