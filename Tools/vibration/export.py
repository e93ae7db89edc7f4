"""The trained network as an ONNX graph (opset 13), batch normalisation in nodes of its own."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import layers


class Writer:
    """Collects nodes and initialisers. Node `/block1/conv` reads `block1.conv.weight`."""

    def __init__(self):
        self.nodes, self.initializers = [], []

    def parameter(self, path, name, value):
        full = ".".join(path) + "." + name
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), full))
        return full

    def node(self, path, operator, inputs, output=None, **attributes):
        name = "/" + "/".join(path)
        output = output or name + "_output"
        self.nodes.append(helper.make_node(operator, inputs, [output], name, **attributes))
        return output

    def layer(self, layer, path, x):
        """Adds `layer` on the tensor named `x`; returns the name of its output."""

        def parameter(name, value=None):
            return self.parameter(path, name, layer.values[name] if value is None else value)

        match layer:
            case layers.Chain():
                y = x
                for name, child in layer.layers.items():
                    y = self.layer(child, path + [name], y)
                return self.node(path + ["add"], "Add", [y, x]) if isinstance(layer, layers.Residual) else y
            case layers.Conv():
                weight = parameter("weight", layer.values["weight"].transpose(2, 1, 0))
                window = dict(kernel_shape=[layer.kernel], pads=[layer.padding] * 2, strides=[1])
                return self.node(path, "Conv", [x, weight], **window, dilations=[1], group=1)
            case layers.BatchNorm():
                affine = [parameter("weight"), parameter("bias")]
                statistics = [
                    parameter("running_mean", layer.running_mean),
                    parameter("running_var", layer.running_var),
                ]
                return self.node(path, "BatchNormalization", [x, *affine, *statistics], epsilon=layer.epsilon)
            case layers.Relu():
                return self.node(path, "Relu", [x])
            case layers.MaxPool():
                return self.node(path, "MaxPool", [x], kernel_shape=[layer.size], strides=[layer.size])
            case layers.GlobalAveragePool():
                pooled = self.node(path, "GlobalAveragePool", [x])
                return self.node(path[:-1] + ["flatten"], "Flatten", [pooled], axis=1)
            case layers.Linear():
                weights = [parameter("weight"), parameter("bias")]
                return self.node(path, "Gemm", [x, *weights], output="logits", transB=1)
            case _:
                raise TypeError(f"no ONNX operator for {type(layer).__name__}")


def onnx_model(model, signals):
    """`accelerometer` float32 [batch, 3, LENGTH] in g to `logits` float32 [batch, 4]; checked."""
    writer = Writer()
    writer.layer(model, [], "accelerometer")
    shape = ["batch", 3, signals.LENGTH]
    graph = helper.make_graph(
        writer.nodes,
        "vibration",
        [helper.make_tensor_value_info("accelerometer", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(signals.CLASSES)])],
        writer.initializers,
    )
    proto = helper.make_model(graph, producer_name="ounce", opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(
        proto, {"classes": ",".join(signals.CLASSES), "sample_rate": f"{signals.SAMPLE_RATE:g} Hz", "unit": "g"}
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto
