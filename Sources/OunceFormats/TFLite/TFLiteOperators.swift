import OunceGraph

extension TFLiteTranslation {
    typealias Translate = @Sendable (inout TFLiteTranslation, TFLiteOperator) throws(ImportFailure) -> TFLiteBinding

    /// Every operator that is read, by TFLite's name. The numbers are places of options.
    static let operators: [String: Translate] = [
        "ABS": { (t, o) throws(ImportFailure) in try t.unary(.abs, o) },
        "ADD": { (t, o) throws(ImportFailure) in try t.binary(.add, o, activation: 4) },
        "AVERAGE_POOL_2D": { (t, o) throws(ImportFailure) in try t.pool(.average, o) },
        "CAST": { (t, o) throws(ImportFailure) in try t.cast(o) },
        "CONCATENATION": { (t, o) throws(ImportFailure) in try t.concat(o) },
        "CONV_2D": { (t, o) throws(ImportFailure) in try t.convolution(o) },
        "DEPTHWISE_CONV_2D": { (t, o) throws(ImportFailure) in try t.depthwise(o) },
        "DEQUANTIZE": { (t, o) throws(ImportFailure) in try t.dequantize(o) },
        "DIV": { (t, o) throws(ImportFailure) in try t.binary(.divide, o, activation: 4) },
        "EXP": { (t, o) throws(ImportFailure) in try t.unary(.exp, o) },
        "EXPAND_DIMS": { (t, o) throws(ImportFailure) in try t.expandDims(o) },
        "FULLY_CONNECTED": { (t, o) throws(ImportFailure) in try t.fullyConnected(o) },
        "HARD_SWISH": { (t, o) throws(ImportFailure) in try t.unary(.hardSwish, o) },
        "LEAKY_RELU": { (t, o) throws(ImportFailure) in try t.unary(.leakyRelu(try o.float(4)), o) },
        "LOG": { (t, o) throws(ImportFailure) in try t.unary(.log, o) },
        "LOGISTIC": { (t, o) throws(ImportFailure) in try t.unary(.sigmoid, o) },
        "MAXIMUM": { (t, o) throws(ImportFailure) in try t.binary(.maximum, o, activation: nil) },
        "MAX_POOL_2D": { (t, o) throws(ImportFailure) in try t.pool(.max, o) },
        "MEAN": { (t, o) throws(ImportFailure) in try t.reduce(.mean, o) },
        "MINIMUM": { (t, o) throws(ImportFailure) in try t.binary(.minimum, o, activation: nil) },
        "MUL": { (t, o) throws(ImportFailure) in try t.binary(.multiply, o, activation: 4) },
        "NEG": { (t, o) throws(ImportFailure) in try t.unary(.negate, o) },
        "PAD": { (t, o) throws(ImportFailure) in try t.pad(o) },
        "PADV2": { (t, o) throws(ImportFailure) in try t.pad(o) },
        "QUANTIZE": { (t, o) throws(ImportFailure) in .value(try t.emit(.quantize, [try t.value(o, 0)], o)) },
        "REDUCE_MAX": { (t, o) throws(ImportFailure) in try t.reduce(.max, o) },
        "REDUCE_MIN": { (t, o) throws(ImportFailure) in try t.reduce(.min, o) },
        "RELU": { (t, o) throws(ImportFailure) in try t.unary(.clip(0, .infinity), o) },
        "RELU6": { (t, o) throws(ImportFailure) in try t.unary(.clip(0, 6), o) },
        "RELU_0_TO_1": { (t, o) throws(ImportFailure) in try t.unary(.clip(0, 1), o) },
        "RELU_N1_TO_1": { (t, o) throws(ImportFailure) in try t.unary(.clip(-1, 1), o) },
        "RESHAPE": { (t, o) throws(ImportFailure) in try t.reshape(o) },
        "SLICE": { (t, o) throws(ImportFailure) in try t.slice(o) },
        "SOFTMAX": { (t, o) throws(ImportFailure) in try t.softmax(o) },
        "SQRT": { (t, o) throws(ImportFailure) in try t.unary(.sqrt, o) },
        "SQUEEZE": { (t, o) throws(ImportFailure) in try t.squeeze(o) },
        "STRIDED_SLICE": { (t, o) throws(ImportFailure) in try t.stridedSlice(o) },
        "SUB": { (t, o) throws(ImportFailure) in try t.binary(.subtract, o, activation: 4) },
        "SUM": { (t, o) throws(ImportFailure) in try t.reduce(.sum, o) },
        "TANH": { (t, o) throws(ImportFailure) in try t.unary(.tanh, o) },
        "TRANSPOSE": { (t, o) throws(ImportFailure) in
            .value(try t.emit(.transpose(try t.integers(o, 1)), [try t.value(o, 0)], o))
        },
    ]

    /// The clamp that an option asks for.
    func activation(_ op: TFLiteOperator, _ field: Int) throws(ImportFailure) -> Activation {
        switch try op.code(field) {
        case 0: return .none
        case 1: return .relu
        case 2: return .clip(-1, 1)
        case 3: return .relu6
        case let code: throw .unsupported("fused activation \(code); convert without fusing it")
        }
    }

    mutating func unary(_ unary: UnaryOperator, _ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        .value(try emit(.unary(unary), [try value(op, 0)], op))
    }

    mutating func binary(
        _ binary: BinaryOperator, _ op: TFLiteOperator, activation field: Int?
    ) throws(ImportFailure) -> TFLiteBinding {
        var clamp = Activation.none
        if let field { clamp = try activation(op, field) }
        return .value(try emit(.binary(binary, clamp), [try value(op, 0), try value(op, 1)], op))
    }

    mutating func cast(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        guard builder.graph[x].encoding == .plain else {
            throw .unsupported("it casts quantised integers; use DEQUANTIZE")
        }
        return .value(try emit(.cast(try outputType(op)), [x], op))
    }

    mutating func dequantize(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        if let index = input(op, 0), case .constant(let tensor, let encoding) = try binding(index) {
            if let affine = encoding.affine { return .dequantized(tensor, affine) }
            guard tensor.dtype.isFloat else { throw .unsupported("its input is \(tensor.dtype) without a scale") }
            try builder.charge(4 * tensor.count)
            guard let floats = Tensor(tensor.floats(), shape: tensor.shape) else { throw .corrupt("\(tensor.shape)") }
            return .constant(floats, .plain)
        }
        let x = try value(op, 0)
        guard builder.graph[x].encoding.affine != nil else { throw .unsupported("its input has no scale") }
        return .value(try emit(.dequantize, [x], op))
    }

    mutating func softmax(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let beta = try op.float(4)
        guard beta == 1 else { throw .unsupported("beta = \(beta); only 1 is supported") }
        let x = try value(op, 0)
        return .value(try emit(.softmax(axis: shape(x).rank - 1), [x], op))
    }

    mutating func reduce(_ reduction: Reduction, _ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let axes = try axes(try integers(op, 1), rank: shape(x).rank)
        return .value(try emit(.reduce(reduction, axes: axes, keepDims: try op.flag(4)), [x], op))
    }

    /// Axes within `0..<rank`, ascending, each once.
    func axes(_ axes: [Int], rank: Int) throws(ImportFailure) -> [Int] {
        let normalized = Set(axes.map { $0 < 0 ? $0 &+ rank : $0 })
        guard normalized.allSatisfy({ (0..<rank).contains($0) }) else {
            throw .corrupt("the axes \(axes.prefix(8)) do not fit a tensor of rank \(rank)")
        }
        return normalized.sorted()
    }
}
