"""Writes TFLite models without TensorFlow: tensors, operators and subgraphs as a FlatBuffer."""

import flatbuffers
import numpy as np
import tflite

TYPES = {
    "float32": tflite.TensorType.FLOAT32, "float16": tflite.TensorType.FLOAT16, "int32": tflite.TensorType.INT32,
    "uint8": tflite.TensorType.UINT8, "int64": tflite.TensorType.INT64, "bool": tflite.TensorType.BOOL,
    "int16": tflite.TensorType.INT16, "int8": tflite.TensorType.INT8, "int4": tflite.TensorType.INT4,
}


class Model:
    """One subgraph unless `subgraph` adds more. Tensors are named by their numbers; operators by TFLite's names, those of
    others as "CUSTOM:name"."""

    def __init__(self):
        self.buffers = [b""]
        self.graphs = [Graph(self)]
        self.codes = []
        self.main = self.graphs[0]

    def subgraph(self):
        self.graphs.append(Graph(self))
        return self.graphs[-1]

    def code(self, name):
        if name not in self.codes:
            self.codes.append(name)
        return self.codes.index(name)

    def bytes(self):
        b = flatbuffers.Builder(1024)
        buffers = []
        for content in self.buffers:
            data = b.CreateByteVector(content) if content else None
            tflite.BufferStart(b)
            if data is not None:
                tflite.BufferAddData(b, data)
            buffers.append(tflite.BufferEnd(b))
        graphs = [graph.write(b) for graph in self.graphs]
        codes = []
        for name in self.codes:
            kind, _, custom = name.partition(":")
            custom = b.CreateString(custom) if custom else None
            number = getattr(tflite.BuiltinOperator, kind)
            tflite.OperatorCodeStart(b)
            if custom is not None:
                tflite.OperatorCodeAddCustomCode(b, custom)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
            tflite.OperatorCodeAddVersion(b, VERSIONS.get(name, 5))
            tflite.OperatorCodeAddBuiltinCode(b, number)
            codes.append(tflite.OperatorCodeEnd(b))
        graphs, codes, buffers = (vector(b, items) for items in (graphs, codes, buffers))
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, codes)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddBuffers(b, buffers)
        b.Finish(tflite.ModelEnd(b), file_identifier=b"TFL3")
        return bytes(b.Output())


# Kernels whose newest version is not 5.
VERSIONS = {}


class Graph:
    def __init__(self, model):
        self.model = model
        self.tensors = []
        self.operators = []
        self.inputs = []
        self.outputs = []

    def tensor(self, shape, dtype="float32", scale=None, zero=0, axis=0, data=None, variable=False, name=None):
        buffer = 0
        if data is not None:
            content = pack4(data) if dtype == "int4" else np.ascontiguousarray(data, dtype).tobytes()
            self.model.buffers.append(content)
            buffer = len(self.model.buffers) - 1
        scales = None if scale is None else np.atleast_1d(np.asarray(scale, np.float32))
        zeros = None if scale is None else np.broadcast_to(np.asarray(zero, np.int64), scales.shape)
        name = name or f"t{len(self.tensors)}"
        self.tensors.append((name, list(shape), dtype, buffer, scales, zeros, axis, variable))
        return len(self.tensors) - 1

    def constant(self, data, **keys):
        data = np.asarray(data)
        return self.tensor(data.shape, keys.pop("dtype", data.dtype.name), data=data, **keys)

    def input(self, shape, dtype="float32", **keys):
        self.inputs.append(self.tensor(shape, dtype, **keys))
        return self.inputs[-1]

    def op(self, name, inputs, outputs, options=None, intermediates=(), **values):
        self.operators.append((name, list(inputs), list(outputs), options, values, list(intermediates)))
        return outputs

    def write(self, b):
        tensors = [self.write_tensor(b, *tensor) for tensor in self.tensors]
        operators = [self.write_operator(b, *operator) for operator in self.operators]
        tensors, operators = vector(b, tensors), vector(b, operators)
        inputs, outputs = ints(b, self.inputs), ints(b, self.outputs)
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensors)
        tflite.SubGraphAddInputs(b, inputs)
        tflite.SubGraphAddOutputs(b, outputs)
        tflite.SubGraphAddOperators(b, operators)
        return tflite.SubGraphEnd(b)

    def write_tensor(self, b, name, shape, dtype, buffer, scales, zeros, axis, variable):
        name, shape = b.CreateString(name), ints(b, shape)
        quantization = None
        if scales is not None:
            scale, zero = b.CreateNumpyVector(scales), b.CreateNumpyVector(np.ascontiguousarray(zeros))
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, scale)
            tflite.QuantizationParametersAddZeroPoint(b, zero)
            tflite.QuantizationParametersAddQuantizedDimension(b, axis)
            quantization = tflite.QuantizationParametersEnd(b)
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, shape)
        tflite.TensorAddType(b, TYPES[dtype])
        tflite.TensorAddBuffer(b, buffer)
        tflite.TensorAddName(b, name)
        tflite.TensorAddHasRank(b, True)
        tflite.TensorAddIsVariable(b, variable)
        if quantization is not None:
            tflite.TensorAddQuantization(b, quantization)
        return tflite.TensorEnd(b)

    def write_operator(self, b, name, inputs, outputs, options, values, intermediates):
        code = self.model.code(name)
        table = None
        if options:
            lists = {}
            for key, value in values.items():
                if isinstance(value, list):
                    array = np.asarray(value, np.float32 if isinstance(value[0], float) else np.int32)
                    lists[key] = b.CreateNumpyVector(array)
            getattr(tflite, f"{options}Start")(b)
            for key, value in values.items():
                getattr(tflite, f"{options}Add{key}")(b, lists.get(key, value))
            table = getattr(tflite, f"{options}End")(b)
        inputs, outputs, intermediates = ints(b, inputs), ints(b, outputs), ints(b, intermediates)
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, code)
        tflite.OperatorAddInputs(b, inputs)
        tflite.OperatorAddOutputs(b, outputs)
        tflite.OperatorAddIntermediates(b, intermediates)
        if table is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, options))
            tflite.OperatorAddBuiltinOptions(b, table)
        return tflite.OperatorEnd(b)


def pack4(data):
    flat = np.asarray(data, np.int8).ravel()
    flat = np.concatenate([flat, np.zeros(len(flat) % 2, np.int8)])
    return ((flat[0::2] & 15) | (flat[1::2] & 15) << 4).astype(np.uint8).tobytes()


def ints(b, values):
    return b.CreateNumpyVector(np.asarray(list(values), np.int32))


def vector(b, offsets):
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()
