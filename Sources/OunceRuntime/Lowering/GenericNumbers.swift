import OunceGraph

/// Which numbers plain loops may compute on: real ones, or integers that are what they say, never both in one node.
extension Lowering {
    /// - Throws: `.unsupported` where int8 values with a scale stand beside some without, where another type has a scale
    ///   and numbers are computed from its numbers, or where the operator is defined on real numbers and gets integers.
    func checkNumbers(_ node: Node) throws(RuntimeError) {
        let values = (node.inputs.compactMap { $0 } + node.outputs).map { graph[$0] }
        if let value = values.first(where: { $0.encoding.affine != nil && $0.dtype != .int8 }),
            !node.op.choosesNumbers
                || values.contains(where: { $0.dtype == value.dtype && $0.encoding != value.encoding })
        {
            throw RuntimeError(.unsupported, "\(node.op.name) of \(value.dtype) numbers with a scale (\(value.name))")
        }
        let bytes = values.filter { $0.dtype == .int8 }
        if let plain = bytes.first(where: { $0.encoding.affine == nil }),
            bytes.contains(where: { $0.encoding != .plain })
        {
            throw RuntimeError(
                .unsupported, "\(plain.name) is int8 and has no scale, other values of the node have one")
        }
        guard let x = node.inputs.first.flatMap({ $0 }), graph[x].encoding.affine == nil,
            node.op.needsRealNumbers(insteadOf: graph[x].dtype)
        else { return }
        throw RuntimeError(
            .unsupported, "\(node.op.name) of \(graph[x].dtype) numbers without a scale (\(graph[x].name))")
    }
}

extension Op {
    /// Whether results only depend on which numbers are larger, the same whatever they stand for on one grid.
    fileprivate var choosesNumbers: Bool {
        switch self {
        case .pool(let pool): pool.kind == .max && pool.activation == .none
        case .reduce(let reduction, _, _): reduction == .max || reduction == .min
        case .binary(let op, let activation): (op == .maximum || op == .minimum) && activation == .none
        case .scatter(let scattering): scattering.reduction != .add && scattering.reduction != .multiply
        case .select, .compare, .topK, .argReduce: true
        default: false
        }
    }

    /// Whether results are fractions, so that numbers of this integer type would lose them.
    fileprivate func needsRealNumbers(insteadOf dtype: DType) -> Bool {
        guard dtype.isInteger else { return false }
        // Sums of products are exact in wide integers, where integer operators of ONNX take them.
        let isNarrow = dtype.byteSize < 4
        switch self {
        case .softmax, .recurrent, .dequantize, .batchNormalization, .layerNormalization: return true
        case .matMul, .conv, .fullyConnected, .reduce(.mean, _, _): return isNarrow
        case .pool(let pool): return pool.kind == .average
        case .unary(let unary): return unary.isReal
        default: return false
        }
    }
}

extension UnaryOperator {
    fileprivate var isReal: Bool {
        switch self {
        case .clip, .negate, .abs: false
        case .leakyRelu, .sigmoid, .tanh, .exp, .log, .sqrt, .hardSwish, .hardSigmoid: true
        case .function(.not), .function(.sign), .function(.floor), .function(.ceil), .function(.round): false
        case .function: true
        }
    }
}
