extension Op {
    /// What people read: "conv", "conv/64" with 64 groups, with its activation where it has one.
    package var name: String {
        func with(_ activation: Activation, _ name: String) -> String {
            switch activation {
            case .none: name
            case .relu: "\(name)+relu"
            case .relu6: "\(name)+relu6"
            case .clip: "\(name)+clip"
            }
        }
        return switch self {
        case .conv(let conv): with(conv.activation, conv.groups > 1 ? "conv/\(conv.groups)" : "conv")
        case .fullyConnected(let activation): with(activation, "fullyConnected")
        case .matMul: "matMul"
        case .pool(let pool): with(pool.activation, pool.kind == .max ? "maxPool" : "averagePool")
        case .reduce(let reduction, _, _): "reduce \(reduction)"
        case .binary(let op, let activation): with(activation, "\(op)")
        case .unary(let op): op.name
        case .softmax: "softmax"
        case .layerNormalization: "layerNormalization"
        case .batchNormalization: "batchNormalization"
        case .reshape: "reshape"
        case .transpose: "transpose"
        case .concat: "concat"
        case .slice: "slice"
        case .pad: "pad"
        case .quantize: "quantize"
        case .dequantize: "dequantize"
        case .cast(let dtype): "cast \(dtype.name)"
        case .compare(let comparison): "\(comparison)"
        case .select: "select"
        case .expand: "expand"
        case .reverse: "reverse"
        case .reverseSequence: "reverseSequence"
        case .gather: "gather"
        case .scatter: "scatter"
        case .argReduce(let reduction): reduction.isMaximum ? "argMax" : "argMin"
        case .topK: "topK"
        case .cumulativeSum: "cumulativeSum"
        case .poolIndices: "poolIndices"
        case .resample: "resample"
        case .recurrent(let layer): "\(layer.kind)"
        case .quantizeAs(let dtype): "quantize \(dtype.name)"
        case .roundToDynamicGrid: "roundToDynamicGrid"
        case .integerLSTM: "integerLSTM"
        case .sampleAt: "sampleAt"
        case .roiAlign: "roiAlign"
        case .determinant: "determinant"
        case .treeEnsemble: "treeEnsemble"
        case .nonMaxSuppression: "nonMaxSuppression"
        case .nonZero: "nonZero"
        case .distinct: "distinct"
        case .cut: "cut"
        }
    }
}

extension ElementFunction {
    package var name: String { "\(self)" }
}

extension UnaryOperator {
    package var name: String {
        switch self {
        case .clip: "clip"
        case .leakyRelu: "leakyRelu"
        case .hardSigmoid: "hardSigmoid"
        case .function(let function): function.name
        default: "\(self)"
        }
    }
}
