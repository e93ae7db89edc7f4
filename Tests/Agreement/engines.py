"""Other engines behind one call: inputs by name in, one list of outputs (in the model's order) for each sample out."""
import os

import numpy as np


def first_axis(samples):
    return len(next(iter(samples.values())))


def rows(samples):
    """One sample at a time, with a batch axis of 1."""
    for i in range(first_axis(samples)):
        yield {name: array[i : i + 1] for name, array in samples.items()}


def stacked(results):
    return [np.concatenate([r[k].reshape(1, -1) for r in results]) for k in range(len(results[0]))]


def states(path, samples):
    """What inputs that hold a state take in the first run: zeros, or the zero point of their grid. They and the outputs
    that hold the next states stand behind the others."""
    import onnx

    graph = onnx.load(path).graph
    numbers = {tensor.name: tensor for tensor in graph.initializer}
    start = {}
    for info in graph.input:
        if info.name in samples or info.name in numbers:
            continue
        shape = [max(d.dim_value, 1) for d in info.type.tensor_type.shape.dim]
        grids = [n.input[2] for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] == info.name]
        zero = onnx.numpy_helper.to_array(numbers[grids[0]]) if grids else 0
        start[info.name] = np.full(shape, zero, onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type))
    return start


def onnx_runtime(path, samples):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    start = states(path, samples)
    names = [output.name for output in session.get_outputs()]
    names = names[: len(names) - len(start)]
    return stacked([session.run(names, row | start) for row in rows(samples)])


def openvino(path, samples):
    import openvino

    core = openvino.Core()
    # Its defaults round what is float to bfloat16 and int8 where the processor has them.
    compiled = core.compile_model(
        core.read_model(path), "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0", "INFERENCE_NUM_THREADS": "1"})
    request = compiled.create_infer_request()
    start = states(path, samples)
    results = []
    for row in rows(samples):
        request.infer(row | start)
        count = len(compiled.outputs) - len(start)
        results.append([np.array(request.get_output_tensor(k).data) for k in range(count)])
    return stacked(results)


def litert(path, samples):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    for detail in interpreter.get_input_details():
        interpreter.resize_tensor_input(detail["index"], (1,) + samples[detail["name"]].shape[1:])
    interpreter.allocate_tensors()
    results = []
    for row in rows(samples):
        interpreter.reset_all_variables()
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], row[detail["name"]])
        interpreter.invoke()
        results.append([np.array(interpreter.get_tensor(d["index"])) for d in interpreter.get_output_details()])
    return stacked(results)


def reference(path, samples):
    return (onnx_runtime if os.path.splitext(path)[1] == ".onnx" else litert)(path, samples)
