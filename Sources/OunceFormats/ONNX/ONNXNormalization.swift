import OunceGraph

extension ONNXTranslation {
    /// `(x - mean) / sqrt(variance + epsilon)` over `axes`, with the mean and the reciprocal deviation.
    private mutating func standardized(
        _ x: ValueID, axes: [Int], epsilon: Double
    ) throws(ImportFailure) -> (result: ValueID, mean: ValueID, reciprocal: ValueID) {
        let mean = try reduce(.mean, x, axes: axes)
        let centred = try subtract(x, mean)
        let variance = try reduce(.mean, try square(centred), axes: axes)
        let deviation = try unary(.sqrt, try add(variance, try scalar(epsilon, like: x)))
        let reciprocal = try divide(try scalar(1, like: x), deviation)
        return (try multiply(centred, reciprocal), mean, reciprocal)
    }

    /// A vector with one number for each channel (axis 1) of a tensor of `rank` axes.
    private mutating func perChannel(_ vector: ValueID, rank: Int) throws(ImportFailure) -> ValueID {
        try reshape(vector, [.infer] + [ReshapeDimension](repeating: .literal(1), count: rank - 2))
    }

    /// The type in which sums are formed: float32 for half precision.
    private mutating func stashed(_ x: ValueID, _ node: inout ONNXNode) throws(ImportFailure) -> ValueID {
        node.int("stash_type", default: 1) == 1 && type(x).dtype == .float16 ? try cast(x, .float32) : x
    }

    mutating func layerNormalization(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let original = try value(node, 0)
        let x = try stashed(original, &node)
        let first = try axis(node.int("axis", default: -1), of: x)
        let epsilon = Double(node.float("epsilon", default: 1e-5))
        let (scale, shift) = (try value(node, 1), try optionalValue(node, 2))
        let extents = Shape(Array(shape(x).dims[first...]))
        if type(original).dtype == .float32, !wants(node, output: 1), !wants(node, output: 2), extents.isStatic,
            shape(scale) == extents, shift.map({ shape($0) == extents }) ?? true
        {
            let op = Op.layerNormalization(axes: rank(x) - first, epsilon: Float(epsilon))
            return .value(try make(op, [x, scale, shift]))
        }
        let (normal, mean, reciprocal) = try standardized(x, axes: Array(first..<rank(x)), epsilon: epsilon)
        bind(node, output: 1, .value(mean))
        bind(node, output: 2, .value(reciprocal))
        var result = try multiply(try cast(normal, type(original).dtype), scale)
        if let shift { result = try add(result, shift) }
        return .value(result)
    }

    mutating func rootMeanSquareNormalization(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let original = try value(node, 0)
        let x = try stashed(original, &node)
        let first = try axis(node.int("axis", default: -1), of: x)
        let mean = try reduce(.mean, try square(x), axes: Array(first..<rank(x)))
        let epsilon = try scalar(Double(node.float("epsilon", default: 1e-5)), like: x)
        let normal = try divide(x, try unary(.sqrt, try add(mean, epsilon)))
        return .value(try multiply(try cast(normal, type(original).dtype), try value(node, 1)))
    }

    mutating func instanceNormalization(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        guard rank(x) >= 3 else { throw .corrupt("its input is \(shape(x))") }
        let epsilon = Double(node.float("epsilon", default: 1e-5))
        let normal = try standardized(x, axes: Array(2..<rank(x)), epsilon: epsilon).result
        let scale = try perChannel(try value(node, 1), rank: rank(x))
        return .value(try add(try multiply(normal, scale), try perChannel(try value(node, 2), rank: rank(x))))
    }

    mutating func groupNormalization(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let original = try value(node, 0)
        let x = try stashed(original, &node)
        let (groups, dims) = (node.int("num_groups", default: 1), shape(x).dims)
        guard dims.count >= 2, groups > 0, dims[1...].allSatisfy({ $0 >= 0 }), dims[1] % groups == 0 else {
            throw .unsupported("\(groups) groups of \(shape(x)); export with fixed shapes")
        }
        let split = try reshape(
            x, [.copy(0), .literal(groups), .literal(dims[1...].reduce(1, *) / groups)])
        let epsilon = Double(node.float("epsilon", default: 1e-5))
        let normal = try standardized(split, axes: [2], epsilon: epsilon).result
        let whole = try cast(
            try reshape(normal, [.copy(0)] + dims[1...].map { .literal($0) }), type(original).dtype)
        var parameters: [ValueID] = []
        for index in 1...2 {
            var vector = try value(node, index)
            // Before opset 21 there is one number for each group.
            if opset < 21, groups != dims[1] {
                let column = try reshape(vector, [.infer, .literal(1)])
                vector = try reshape(try make(.expand([groups, dims[1] / groups]), column), [.infer])
            }
            parameters.append(try perChannel(vector, rank: dims.count))
        }
        return .value(try add(try multiply(whole, parameters[0]), parameters[1]))
    }

    mutating func meanVarianceNormalization(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let axes = try axes(node.ints("axes") ?? [0, 2, 3], rank: rank(x))
        let centred = try subtract(x, try reduce(.mean, x, axes: axes))
        let variance = try reduce(.mean, try square(centred), axes: axes)
        return .value(try divide(centred, try add(try unary(.sqrt, variance), try scalar(1e-9, like: x))))
    }

    mutating func lpNormalization(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let axis = try axis(node.int("axis", default: -1), of: x)
        let norm: ValueID
        switch node.int("p", default: 2) {
        case 1: norm = try reduce(.sum, try unary(.abs, x), axes: [axis])
        case 2: norm = try unary(.sqrt, try reduce(.sum, try square(x), axes: [axis]))
        case let p: throw .unsupported("p = \(p); only 1 and 2 are defined")
        }
        // Zeros have no direction and stay zeros.
        let isZero = try make(.compare(.equal), norm, try scalar(0, like: norm))
        return .value(try divide(x, try choose(isZero, try scalar(1, like: norm), norm)))
    }

    /// `x / (bias + alpha * mean of squares over neighbouring channels) ^ beta`.
    mutating func localResponseNormalization(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let (size, dims) = (node.int("size", default: 0), shape(x).dims)
        guard (1...1 << 12).contains(size), dims.count >= 3, dims[1...].allSatisfy({ $0 >= 0 }) else {
            throw .unsupported("\(size) neighbours in \(shape(x)); export with fixed shapes")
        }
        let flat = try reshape(
            try square(x), [.copy(0), .literal(dims[1]), .literal(dims[2...].reduce(1, *))])
        let window = Pooling(
            kind: .average, kernel: [size], strides: [1], dilations: [1], padBefore: [(size - 1) / 2],
            padAfter: [size / 2], countIncludesPadding: true)
        let mean = try reshape(try make(.pool(window), flat), [.copy(0)] + dims[1...].map { .literal($0) })
        let alpha = try scalar(Double(node.float("alpha", default: 1e-4)), like: x)
        let bias = try scalar(Double(node.float("bias", default: 1)), like: x)
        let beta = try scalar(Double(node.float("beta", default: 0.75)), like: x)
        return .value(try divide(x, try binary(.power, try add(try multiply(mean, alpha), bias), beta)))
    }

    /// Batch normalisation whose parameters are no constants, or with statistics of the batch.
    mutating func batchNormalizationByParts(
        _ node: inout ONNXNode, epsilon: Float, isTraining: Bool
    ) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let momentum = Double(node.float("momentum", default: 0.9))
        var parameters: [ValueID] = []
        for index in 1...4 { parameters.append(try perChannel(try value(node, index), rank: max(rank(x), 2))) }
        var (mean, variance) = (parameters[2], parameters[3])
        if isTraining {
            let axes = shape(x).dims.indices.filter { $0 != 1 }
            mean = try reduce(.mean, x, axes: axes)
            variance = try reduce(.mean, try square(try subtract(x, mean)), axes: axes)
            for (index, (old, new)) in [(parameters[2], mean), (parameters[3], variance)].enumerated() {
                let kept = try multiply(old, try scalar(momentum, like: old))
                let moved = try add(kept, try multiply(new, try scalar(1 - momentum, like: old)))
                bind(node, output: index + 1, .value(try reshape(moved, [.infer])))
            }
        }
        let deviation = try unary(.sqrt, try add(variance, try scalar(Double(epsilon), like: variance)))
        let normal = try divide(try subtract(x, mean), deviation)
        return .value(try add(try multiply(normal, parameters[0]), parameters[1]))
    }
}
