import OunceGraph

extension ONNXTranslation {
    /// A constant input as weights: plain floats, or int8 quantised as a whole or for each output channel.
    mutating func weights(
        _ node: ONNXNode, _ index: Int, outputAxis: Int
    ) throws(ImportFailure) -> (Tensor, Encoding) {
        guard case .constant(let tensor, let encoding) = try binding(node, index) else {
            throw .unsupported("its weights are not constant; export with constant weights")
        }
        guard let affine = encoding.affine else { return (tensor, .plain) }
        if tensor.dtype == .int8, affine.axis == nil || affine.axis == outputAxis { return (tensor, encoding) }
        return (try builder.dequantize(tensor, affine), .plain)
    }

    /// A constant `[I, O]` (or `[O, I]` where `isTransposed`) as the weights `[O, I]` of a fully connected operator.
    private mutating func matrixWeights(
        _ node: ONNXNode, isTransposed: Bool
    ) throws(ImportFailure) -> (Tensor, Encoding) {
        let (tensor, encoding) = try weights(node, 1, outputAxis: isTransposed ? 0 : 1)
        guard !isTransposed else { return (tensor, encoding) }
        return (try builder.permute(tensor, [1, 0]), encoding.affine.map { .affine($0.permuted([1, 0])) } ?? .plain)
    }

    private func isConstantMatrix(_ node: ONNXNode) throws(ImportFailure) -> Bool {
        if case .constant(let tensor, _) = try binding(node, 1) { tensor.shape.rank == 2 } else { false }
    }

    mutating func matMul(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        if try isConstantMatrix(node) {
            let (weights, encoding) = try matrixWeights(node, isTransposed: false)
            let id = builder.constant(weights, name: node.input(1) ?? node.name, encoding: encoding)
            return .value(try emit(.fullyConnected(.none), [x, id], node))
        }
        let y = try value(node, 1)
        guard shape(x).rank >= 2, shape(y).rank >= 2 else {
            throw .unsupported("the product of \(shape(x)) and \(shape(y)); matrices are wanted")
        }
        return .value(try emit(.matMul, [x, y], node))
    }

    mutating func gemm(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        try node.require("transA", 0)
        if opset < 7 { node.ignore("broadcast") }
        let isTransposed = node.int("transB", default: 0) != 0
        let (alpha, beta) = (node.float("alpha", default: 1), node.float("beta", default: 1))
        let x = try value(node, 0)
        guard shape(x).rank == 2 else { throw .corrupt("its input is \(shape(x)); a matrix is wanted") }
        if try isConstantMatrix(node) {
            var (weights, encoding) = try matrixWeights(node, isTransposed: isTransposed)
            if alpha != 1 {
                if let affine = encoding.affine { weights = try builder.dequantize(weights, affine) }
                encoding = .plain
                weights = try scaled(weights, by: alpha)
            }
            let id = builder.constant(weights, name: node.input(1) ?? node.name, encoding: encoding)
            if let bias = try bias(node, outputs: weights.shape[0], factor: beta) {
                return .value(try emit(.fullyConnected(.none), [x, id, bias], node))
            }
            return try addend(node, beta, to: .fullyConnected(.none), [x, id])
        }
        var y = try value(node, 1)
        if isTransposed { y = try emit(.transpose([1, 0]), [y], node, part: "transposed") }
        if alpha != 1 {
            let factor = builder.constant(Tensor([alpha]), name: "\(node.name).alpha")
            y = try emit(.binary(.multiply, .none), [y, factor], node, part: "scaled")
        }
        return try addend(node, beta, to: .matMul, [x, y])
    }

    /// `op`, plus the third input times `beta` where it is given.
    private mutating func addend(
        _ node: ONNXNode, _ beta: Float, to op: Op, _ inputs: [ValueID?]
    ) throws(ImportFailure) -> ONNXBinding {
        guard var addend = try optionalValue(node, 2) else { return .value(try emit(op, inputs, node)) }
        if beta != 1 {
            let factor = builder.constant(Tensor([beta]), name: "\(node.name).beta")
            addend = try emit(.binary(.multiply, .none), [addend, factor], node, part: "addend")
        }
        let product = try emit(op, inputs, node, part: "product")
        return .value(try emit(.binary(.add, .none), [product, addend], node))
    }

    /// The third input as a bias `[outputs]`; nil where it is absent or differs between rows.
    private mutating func bias(
        _ node: ONNXNode, outputs: Int, factor: Float
    ) throws(ImportFailure) -> ValueID? {
        guard let tensor = try constant(node, 2), tensor.dtype == .float32,
            tensor.count == 1 || (tensor.count == outputs && tensor.shape.dims.last == outputs)
        else { return nil }
        if factor == 1, tensor.shape.dims == [outputs] { return try value(node, 2) }
        try builder.charge(4 * outputs)
        let values = tensor.floats().map { $0 * factor }
        let bias = Tensor(tensor.count == outputs ? values : [Float](repeating: values.first ?? 0, count: outputs))
        return builder.constant(bias, name: node.input(2) ?? node.name)
    }

    private mutating func scaled(_ tensor: Tensor, by factor: Float) throws(ImportFailure) -> Tensor {
        try builder.charge(tensor.byteCount)
        guard tensor.dtype == .float32, let result = Tensor(tensor.floats().map { $0 * factor }, shape: tensor.shape)
        else { throw .unsupported("alpha with \(tensor.dtype) weights; export float32 weights") }
        return result
    }
}
