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


def onnx_runtime(path, samples):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return stacked([session.run(None, row) for row in rows(samples)])


def openvino(path, samples):
    import openvino

    core = openvino.Core()
    # Its defaults round what is float to bfloat16 and int8 where the processor has them.
    compiled = core.compile_model(
        core.read_model(path), "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0", "INFERENCE_NUM_THREADS": "1"})
    request = compiled.create_infer_request()
    results = []
    for row in rows(samples):
        request.infer(row)
        results.append([np.array(request.get_output_tensor(k).data) for k in range(len(compiled.outputs))])
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
