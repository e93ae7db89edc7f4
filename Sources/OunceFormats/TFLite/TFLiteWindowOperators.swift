import OunceGraph

extension TFLiteTranslation {
    /// Height and width of kernel, strides, dilations and padding.
    private struct Window {
        var kernel: [Int]
        var strides: [Int]
        var dilations: [Int]
        var padding: [WindowPadding]
    }

    private func window(
        _ op: TFLiteOperator, over x: ValueID, kernel: [Int], dilations: [Int]
    ) throws(ImportFailure) -> Window {
        guard shape(x).rank == 4 else { throw .corrupt("\(op.name): the input is \(shape(x))") }
        let strides = [try op.int(8), try op.int(6)]
        guard (kernel + strides + dilations).allSatisfy({ (1...1 << 20).contains($0) }) else {
            throw .corrupt("\(op.name): kernel \(kernel), strides \(strides), dilations \(dilations)")
        }
        var window = Window(
            kernel: kernel, strides: strides, dilations: dilations,
            padding: [WindowPadding](repeating: WindowPadding(before: 0, after: 0), count: 2))
        switch try op.code(4) {
        case 0:
            for axis in 0..<2 {
                let same = WindowPadding.same(
                    extent: shape(x)[axis + 1], kernel: kernel[axis], stride: strides[axis], dilation: dilations[axis])
                if let same { window.padding[axis] = same }
            }
        case 1: break
        case let code: throw .corrupt("\(op.name): padding \(code)")
        }
        return window
    }

    /// Constant weights in another order: plain, or int8 that is quantised as a whole or for each output channel.
    private mutating func weights(
        _ op: TFLiteOperator, _ permutation: [Int]
    ) throws(ImportFailure) -> (Tensor, Encoding) {
        var (tensor, encoding) = try constant(op, 1)
        guard tensor.shape.rank == permutation.count else { throw .corrupt("\(op.name): weights \(tensor.shape)") }
        if let affine = encoding.affine, affine.axis != nil, affine.axis != permutation[0] {
            (tensor, encoding) = (try builder.dequantize(tensor, affine), .plain)
        }
        guard permutation != permutation.sorted() else { return (tensor, encoding) }
        let permuted = try builder.permute(tensor, permutation)
        return (permuted, encoding.affine.map { .affine($0.permuted(permutation)) } ?? .plain)
    }

    private mutating func weightsValue(
        _ op: TFLiteOperator, _ weights: (Tensor, Encoding)
    ) throws(ImportFailure) -> ValueID {
        let name = try tensor(input(op, 1) ?? -1).name
        return builder.constant(weights.0, name: name, encoding: weights.1)
    }

    mutating func convolution(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let weights = try weights(op, [0, 1, 2, 3])
        let perGroup = weights.0.shape[3]
        guard shape(x).rank == 4, perGroup > 0, shape(x)[3] % perGroup == 0 else {
            throw .corrupt("CONV_2D: weights \(weights.0.shape) for an input \(shape(x))")
        }
        return try convolution(
            op, x, weights, groups: shape(x)[3] / perGroup,
            dilations: [try op.int(14, default: 1), try op.int(12, default: 1)],
            activation: 10)
    }

    mutating func depthwise(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let weights = try weights(op, [3, 1, 2, 0])
        guard shape(x).rank == 4, weights.0.shape[3] == 1 else {
            throw .corrupt("DEPTHWISE_CONV_2D: weights \(weights.0.shape) for an input \(shape(x))")
        }
        return try convolution(
            op, x, weights, groups: shape(x)[3], dilations: [try op.int(16, default: 1), try op.int(14, default: 1)],
            activation: 12)
    }

    private mutating func convolution(
        _ op: TFLiteOperator, _ x: ValueID, _ weights: (Tensor, Encoding), groups: Int, dilations: [Int],
        activation field: Int
    ) throws(ImportFailure) -> TFLiteBinding {
        let kernel = Array(weights.0.shape.dims[1...2])
        let window = try window(op, over: x, kernel: kernel, dilations: dilations)
        let conv = Convolution(
            strides: window.strides, dilations: window.dilations, padBefore: window.padding.map(\.before),
            padAfter: window.padding.map(\.after), groups: groups, activation: try activation(op, field))
        let id = try weightsValue(op, weights)
        return .value(try emit(.conv(conv), [x, id, try optionalValue(op, 2)], op))
    }

    mutating func pool(_ kind: Pooling.Kind, _ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let window = try window(op, over: x, kernel: [try op.int(12), try op.int(10)], dilations: [1, 1])
        let pooling = Pooling(
            kind: kind, kernel: window.kernel, strides: window.strides, dilations: window.dilations,
            padBefore: window.padding.map(\.before), padAfter: window.padding.map(\.after),
            activation: try activation(op, 14))
        return .value(try emit(.pool(pooling), [x], op))
    }

    /// Without keep_num_dims the input counts as rows of as many numbers as the weights have inputs.
    mutating func fullyConnected(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        guard try op.code(6) == 0 else { throw .unsupported("shuffled weights; convert with the default format") }
        var x = try value(op, 0)
        let weights = try weights(op, [0, 1])
        if try !op.flag(8), shape(x).dims != [shape(x).dims.first ?? 0, weights.0.shape[1]] {
            x = try emit(.reshape([.infer, .literal(weights.0.shape[1])]), [x], op, part: "rows")
        }
        let id = try weightsValue(op, weights)
        let inputs = [x, id, try optionalValue(op, 2)]
        return .value(try emit(.fullyConnected(try activation(op, 4)), inputs, op))
    }
}
