import OunceGraph

extension TFLiteTranslation {
    /// Height and width of kernel, strides, dilations and padding.
    struct Window {
        var kernel: [Int]
        var strides: [Int]
        var dilations: [Int]
        var padding: [WindowPadding]
    }

    func window(
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

    mutating func convolution(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let weights = try weights(op, [0, 1, 2, 3])
        let perGroup = weights.tensor.shape[3]
        guard shape(x).rank == 4, perGroup > 0, shape(x)[3] % perGroup == 0 else {
            throw .corrupt("CONV_2D: weights \(weights.tensor.shape) for an input \(shape(x))")
        }
        return try convolution(
            op, x, weights, groups: shape(x)[3] / perGroup,
            dilations: [try op.int(14, default: 1), try op.int(12, default: 1)],
            activation: 10)
    }

    mutating func depthwise(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let weights = try weights(op, [3, 1, 2, 0])
        guard shape(x).rank == 4, weights.tensor.shape[3] == 1 else {
            throw .corrupt("DEPTHWISE_CONV_2D: weights \(weights.tensor.shape) for an input \(shape(x))")
        }
        return try convolution(
            op, x, weights, groups: shape(x)[3], dilations: [try op.int(16, default: 1), try op.int(14, default: 1)],
            activation: 12)
    }

    private mutating func convolution(
        _ op: TFLiteOperator, _ x: ValueID, _ weights: TFLiteWeights, groups: Int, dilations: [Int],
        activation field: Int
    ) throws(ImportFailure) -> TFLiteBinding {
        let kernel = Array(weights.tensor.shape.dims[1...2])
        let window = try window(op, over: x, kernel: kernel, dilations: dilations)
        let isPointwise = groups == 1 && kernel == [1, 1] && window.strides == [1, 1]
        let grid = DynamicGrid(isSymmetric: false, batchAxes: isPointwise ? 3 : 1)
        let inputs = try layerInputs(op, x, weights, grid: grid)
        return try activated(op, field, inputs) {
            .conv(
                Convolution(
                    strides: window.strides, dilations: window.dilations, padBefore: window.padding.map(\.before),
                    padAfter: window.padding.map(\.after), groups: groups, activation: $0))
        }
    }

    mutating func pool(_ kind: Pooling.Kind, _ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let window = try window(op, over: x, kernel: [try op.int(12), try op.int(10)], dilations: [1, 1])
        return try activated(op, 14, [x]) { .pool(Self.pooling(kind, window, $0)) }
    }

    private static func pooling(_ kind: Pooling.Kind, _ window: Window, _ activation: Activation) -> Pooling {
        var pool = Pooling(
            kind: kind, kernel: window.kernel, strides: window.strides, dilations: window.dilations,
            padBefore: window.padding.map(\.before), padAfter: window.padding.map(\.after), activation: activation)
        pool.roundsHalvesAway = kind == .average
        return pool
    }

    mutating func l2Pool(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try real(op, 0)
        let window = try window(op, over: x, kernel: [try op.int(12), try op.int(10)], dilations: [1, 1])
        let mean = try node(
            .pool(Self.pooling(.average, window, .none)), [try binary(.multiply, x, x, op)],
            name: "\(op.location).mean")
        return .value(try finish(try activated(op, 14, try unary(.sqrt, mean, op)), op))
    }

    /// Without keep_num_dims the input counts as rows of as many numbers as the weights have inputs.
    mutating func fullyConnected(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        guard try op.code(6) == 0 else { throw .unsupported("shuffled weights; convert with the default format") }
        var x = try value(op, 0)
        guard isConstant(op, 1) else { return try computedWeights(op, x) }
        let weights = try weights(op, [0, 1])
        if try !op.flag(8), shape(x).dims != [shape(x).dims.first ?? 0, weights.tensor.shape[1]] {
            x = try emit(.reshape([.infer, .literal(weights.tensor.shape[1])]), [x], op, part: "rows")
        }
        let grid = DynamicGrid(isSymmetric: false, batchAxes: shape(x).rank - 1)
        return try activated(op, 4, try layerInputs(op, x, weights, grid: grid)) { .fullyConnected($0) }
    }

    private mutating func computedWeights(_ op: TFLiteOperator, _ x: ValueID) throws(ImportFailure) -> TFLiteBinding {
        var (x, weights) = (try real(x), try real(op, 1))
        guard shape(weights).rank == 2 else { throw .corrupt("FULLY_CONNECTED: weights \(shape(weights))") }
        if try !op.flag(8) {
            x = try emit(.reshape([.infer, .literal(shape(weights)[1])]), [x], op, part: "rows")
        }
        let isRow = shape(x).rank == 1
        if isRow { x = try reshaped(x, [1] + shape(x).dims, op) }
        weights = try transposed(weights, [1, 0], op)
        var sum = try node(.matMul, [x, weights], name: "\(op.location).product")
        if let bias = try optionalValue(op, 2) { sum = try binary(.add, sum, try real(bias), op) }
        if isRow { sum = try reshaped(sum, Array(shape(sum).dims.dropFirst()), op) }
        return .value(try finish(try activated(op, 4, sum), op))
    }

    /// The fused activation of a real number.
    mutating func activated(_ op: TFLiteOperator, _ field: Int, _ x: ValueID) throws(ImportFailure) -> ValueID {
        switch try fusedActivation(op, field) {
        case .clamp(.none): return x
        case .clamp(let clamp): return try unary(.clip(clamp.bounds.low, clamp.bounds.high), x, op)
        case .function(let function): return try unary(function, x, op)
        }
    }
}
