import OunceGraph

extension ONNXTranslation {
    typealias Translate =
        @Sendable (inout ONNXTranslation, inout ONNXNode) throws(ImportFailure) -> ONNXBinding

    /// Every operator that is read, by ONNX's name.
    static let operators: [String: Translate] = [
        "Abs": { (t, n) throws(ImportFailure) in try t.unary(.abs, n) },
        "Add": { (t, n) throws(ImportFailure) in try t.binary(.add, &n) },
        "AveragePool": { (t, n) throws(ImportFailure) in try t.pool(.average, &n) },
        "BatchNormalization": { (t, n) throws(ImportFailure) in try t.batchNormalization(&n) },
        "Cast": { (t, n) throws(ImportFailure) in try t.cast(&n) },
        "Clip": { (t, n) throws(ImportFailure) in try t.clip(&n) },
        "Concat": { (t, n) throws(ImportFailure) in try t.concat(&n) },
        "Constant": { (t, n) throws(ImportFailure) in try t.constant(&n) },
        "Conv": { (t, n) throws(ImportFailure) in try t.convolution(&n) },
        "DequantizeLinear": { (t, n) throws(ImportFailure) in try t.dequantizeLinear(&n) },
        "Div": { (t, n) throws(ImportFailure) in try t.binary(.divide, &n) },
        "Dropout": { (t, n) throws(ImportFailure) in try t.dropout(&n) },
        "Exp": { (t, n) throws(ImportFailure) in try t.unary(.exp, n) },
        "Flatten": { (t, n) throws(ImportFailure) in try t.flatten(&n) },
        "Gather": { (t, n) throws(ImportFailure) in try t.gather(&n) },
        "Gemm": { (t, n) throws(ImportFailure) in try t.gemm(&n) },
        "GlobalAveragePool": { (t, n) throws(ImportFailure) in try t.globalPool(.mean, n) },
        "GlobalMaxPool": { (t, n) throws(ImportFailure) in try t.globalPool(.max, n) },
        "HardSigmoid": { (t, n) throws(ImportFailure) in
            let (alpha, beta) = (n.float("alpha", default: 0.2), n.float("beta", default: 0.5))
            return try t.unary(.hardSigmoid(alpha: alpha, beta: beta), n)
        },
        "HardSwish": { (t, n) throws(ImportFailure) in try t.unary(.hardSwish, n) },
        "Identity": { (t, n) throws(ImportFailure) in try t.binding(n, 0) },
        "LeakyRelu": { (t, n) throws(ImportFailure) in
            let alpha = n.float("alpha", default: 0.01)
            return try t.unary(.leakyRelu(alpha), n)
        },
        "Log": { (t, n) throws(ImportFailure) in try t.unary(.log, n) },
        "MatMul": { (t, n) throws(ImportFailure) in try t.matMul(n) },
        "Max": { (t, n) throws(ImportFailure) in try t.chain(.maximum, n) },
        "MaxPool": { (t, n) throws(ImportFailure) in try t.pool(.max, &n) },
        "Min": { (t, n) throws(ImportFailure) in try t.chain(.minimum, n) },
        "Mul": { (t, n) throws(ImportFailure) in try t.binary(.multiply, &n) },
        "Neg": { (t, n) throws(ImportFailure) in try t.unary(.negate, n) },
        "Pad": { (t, n) throws(ImportFailure) in try t.pad(&n) },
        "QuantizeLinear": { (t, n) throws(ImportFailure) in try t.quantizeLinear(&n) },
        "ReduceMax": { (t, n) throws(ImportFailure) in try t.reduce(.max, axesAreInputFrom: 18, &n) },
        "ReduceMean": { (t, n) throws(ImportFailure) in try t.reduce(.mean, axesAreInputFrom: 18, &n) },
        "ReduceMin": { (t, n) throws(ImportFailure) in try t.reduce(.min, axesAreInputFrom: 18, &n) },
        "ReduceSum": { (t, n) throws(ImportFailure) in try t.reduce(.sum, axesAreInputFrom: 13, &n) },
        "Relu": { (t, n) throws(ImportFailure) in try t.unary(.clip(0, .infinity), n) },
        "Reshape": { (t, n) throws(ImportFailure) in try t.reshape(&n) },
        "Shape": { (t, n) throws(ImportFailure) in try t.shape(&n) },
        "Sigmoid": { (t, n) throws(ImportFailure) in try t.unary(.sigmoid, n) },
        "Slice": { (t, n) throws(ImportFailure) in try t.slice(&n) },
        "Softmax": { (t, n) throws(ImportFailure) in try t.softmax(&n) },
        "Sqrt": { (t, n) throws(ImportFailure) in try t.unary(.sqrt, n) },
        "Squeeze": { (t, n) throws(ImportFailure) in try t.squeeze(&n) },
        "Sub": { (t, n) throws(ImportFailure) in try t.binary(.subtract, &n) },
        "Sum": { (t, n) throws(ImportFailure) in try t.chain(.add, n) },
        "Tanh": { (t, n) throws(ImportFailure) in try t.unary(.tanh, n) },
        "Transpose": { (t, n) throws(ImportFailure) in try t.transpose(&n) },
        "Unsqueeze": { (t, n) throws(ImportFailure) in try t.unsqueeze(&n) },
    ]
}
