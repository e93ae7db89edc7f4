import OunceGraph

/// A random graph of one operator, by name, for float32 or int8 values.
extension RandomGraph {
    static let floatOperators = [
        "conv1d", "conv2d", "conv2d", "grouped", "depthwise", "depthwise", "fullyConnected", "maxPool", "averagePool",
        "reduce", "binary", "unary", "softmax", "concat", "slice", "pad", "transpose", "reshape", "matMul",
        "layerNormalization",
    ]
    static let int8Operators = [
        "conv1d", "conv2d", "conv2d", "grouped", "depthwise", "depthwise", "fullyConnected", "maxPool", "averagePool",
        "mean", "add", "multiply", "unary", "softmax", "concat", "slice", "pad", "transpose", "reshape", "quantize",
        "matMul",
    ]

    mutating func single(_ kind: String, _ dtype: DType) throws -> Graph {
        switch kind {
        case "conv1d": try convolution(spatial: 1, dtype, grouping: .none)
        case "conv2d": try convolution(spatial: 2, dtype, grouping: .none)
        case "grouped": try convolution(spatial: random.int(1...2), dtype, grouping: .groups)
        case "depthwise": try convolution(spatial: random.int(1...2), dtype, grouping: .depthwise)
        case "fullyConnected": try fullyConnected(dtype)
        case "maxPool": try pool(.max, dtype)
        case "averagePool": try pool(.average, dtype)
        case "reduce": try reduce(dtype)
        case "mean": try spatialMean(dtype)
        case "binary": try binary(BinaryOperator.allCases.filter(\.isArithmetic), dtype, broadcast: true)
        case "add": try binary([.add, .subtract], dtype, broadcast: false)
        case "multiply": try binary([.multiply, .divide, .minimum, .maximum], dtype, broadcast: true)
        case "unary": try unary(dtype)
        case "softmax": try softmax(dtype)
        case "concat": try concat(dtype)
        case "quantize": try quantize()
        case "matMul": try matMul(dtype)
        case "layerNormalization": try layerNormalization(dtype)
        default: try movement(kind, dtype)
        }
    }

    enum Grouping { case none, groups, depthwise }

    mutating func convolution(spatial: Int, _ dtype: DType, grouping: Grouping) throws -> Graph {
        let groups: Int
        let (perGroup, outputsPerGroup): (Int, Int)
        switch grouping {
        case .none: (groups, perGroup, outputsPerGroup) = (1, random.int(1...37), random.int(1...40))
        case .groups: (groups, perGroup, outputsPerGroup) = (random.int(2...5), random.int(1...7), random.int(1...6))
        case .depthwise: (groups, perGroup, outputsPerGroup) = (random.int(2...70), 1, 1)
        }
        let kernel = (0..<spatial).map { _ in random.int(1...5) }
        let dilations = (0..<spatial).map { _ in pick([1, 1, 2, 3]) }
        let before = (0..<spatial).map { _ in random.int(0...2) }
        let after = (0..<spatial).map { _ in random.int(0...2) }
        let extents = (0..<spatial).map { axis in
            max(1, (kernel[axis] - 1) * dilations[axis] + 1 - before[axis] - after[axis]) + random.int(0...11)
        }
        let x = input(Shape([random.int(1...2)] + extents + [groups * perGroup]), dtype)
        let w = weights(
            Shape([groups * outputsPerGroup] + kernel + [perGroup]), int8: dtype == .int8, perChannel: chance(0.5))
        let attributes = Convolution(
            strides: (0..<spatial).map { _ in random.int(1...3) }, dilations: dilations, padBefore: before,
            padAfter: after, groups: groups, activation: activation())
        let output = try sum(
            .conv(attributes), x, w, bias(groups * outputsPerGroup, int8: dtype == .int8),
            terms: kernel.reduce(1, *) * perGroup)
        return try finish(output)
    }

    mutating func fullyConnected(_ dtype: DType) throws -> Graph {
        let (inputs, outputs) = (random.int(1...150), random.int(1...70))
        let x = input(Shape(shape(rank: random.int(0...3), upTo: 5).dims + [inputs]), dtype)
        let w = weights([outputs, inputs], int8: dtype == .int8, perChannel: chance(0.5))
        return try finish(
            try sum(.fullyConnected(activation()), x, w, bias(outputs, int8: dtype == .int8), terms: inputs))
    }

    mutating func pool(_ kind: Pooling.Kind, _ dtype: DType) throws -> Graph {
        let spatial = random.int(1...2)
        let kernel = (0..<spatial).map { _ in random.int(1...4) }
        let dilations = (0..<spatial).map { _ in kind == .max ? pick([1, 1, 2]) : 1 }
        // A window always holds a place inside the input.
        let before = kernel.map { random.int(0...($0 - 1)) }
        let after = kernel.map { random.int(0...($0 - 1)) }
        let extents = (0..<spatial).map { (kernel[$0] - 1) * dilations[$0] + 1 + random.int(0...9) }
        let x = input(Shape([random.int(1...2)] + extents + [random.int(1...70)]), dtype)
        let attributes = Pooling(
            kind: kind, kernel: kernel, strides: (0..<spatial).map { _ in random.int(1...3) }, dilations: dilations,
            padBefore: before, padAfter: after, countIncludesPadding: chance(0.5), activation: activation())
        return try finish(try node(.pool(attributes), [x], like: dtype))
    }

    mutating func reduce(_ dtype: DType) throws -> Graph {
        let x = input(shape(rank: random.int(1...4)), dtype)
        let rank = graph[x].shape.rank
        let axes = (0..<rank).filter { _ in chance(0.5) }.map { chance(0.3) ? $0 - rank : $0 }
        let op = Op.reduce(pick([.mean, .sum, .max, .min]), axes: axes, keepDims: chance(0.5))
        return try finish(try node(op, [x], like: dtype))
    }

    mutating func spatialMean(_ dtype: DType) throws -> Graph {
        let x = input(shape(rank: random.int(3...4)), dtype)
        let axes = Array(1..<(graph[x].shape.rank - 1))
        return try finish(try node(.reduce(.mean, axes: axes, keepDims: chance(0.5)), [x], like: dtype))
    }

    mutating func binary(_ operators: [BinaryOperator], _ dtype: DType, broadcast: Bool) throws -> Graph {
        let full = shape(rank: random.int(1...4))
        var other = full
        if broadcast, chance(0.7) {
            other = Shape(full.dims.map { chance(0.4) ? 1 : $0 })
            if chance(0.4) { other = Shape(Array(other.dims.suffix(random.int(1...other.rank)))) }
        }
        let op = pick(operators)
        var operands = [input(full, dtype)]
        if op == .divide, dtype == .float32 {
            operands.append(graph.addConstant(random.tensor(other, in: 0.5...2), name: name("divisor")))
        } else {
            operands.append(chance(0.3) ? constant(other, dtype) : input(other, dtype))
            if chance(0.3), op != .divide { operands.reverse() }
        }
        return try finish(try node(.binary(op, activation()), operands, like: dtype))
    }

    mutating func unary(_ dtype: DType) throws -> Graph {
        let x = input(shape(rank: random.int(1...4)), dtype)
        var operators: [UnaryOperator] = [
            .clip(-0.7, 0.9), .leakyRelu(0.1), .sigmoid, .tanh, .exp, .negate, .abs, .hardSwish,
            .hardSigmoid(alpha: 0.2, beta: 0.5),
        ]
        operators += dtype == .int8 ? [.log, .sqrt] : [.function(.gelu), .function(.geluTanh), .function(.erf)]
        return try finish(try node(.unary(pick(operators)), [x], like: dtype))
    }

    mutating func softmax(_ dtype: DType) throws -> Graph {
        let x = input(shape(rank: random.int(1...4), upTo: 20), dtype)
        let rank = graph[x].shape.rank
        let output = AffineQuantization(scale: 1 / 256, zeroPoint: -128)
        return try finish(
            try node(
                .softmax(axis: random.int(-rank...(rank - 1))), [x], encoding: dtype == .int8 ? .affine(output) : .plain
            ))
    }

    mutating func concat(_ dtype: DType) throws -> Graph {
        let base = shape(rank: random.int(1...4))
        let axis = random.int(0...(base.rank - 1))
        var operands: [ValueID] = []
        for _ in 0..<random.int(1...4) {
            var part = base
            part[axis] = random.int(1...5)
            operands.append(chance(0.25) ? constant(part, dtype) : input(part, dtype))
        }
        if chance(0.2) { operands.append(operands[0]) }
        return try finish(try node(.concat(axis: chance(0.5) ? axis : axis - base.rank), operands, like: dtype))
    }

    mutating func quantize() throws -> Graph {
        let x = input(shape(rank: random.int(1...4)))
        guard chance(0.5) else {
            let quantized = try node(.quantize, [x], encoding: .affine(grid()))
            let again = try node(.quantize, [quantized], encoding: .affine(grid()))
            return try finish(quantized, again)
        }
        let channels = graph[x].shape.dims.last ?? 1
        let grids = (0..<channels).map { _ in grid() }
        let affine = AffineQuantization(
            scales: grids.map(\.scale), zeroPoints: grids.map(\.zeroPoint), axis: graph[x].shape.rank - 1)
        let quantized = try node(.quantize, [x], encoding: .affine(affine))
        let back = try node(.dequantize, [quantized])
        return try finish(quantized, back)
    }

    mutating func matMul(_ dtype: DType) throws -> Graph {
        let (m, k, n) = (random.int(1...9), random.int(1...40), random.int(1...9))
        let leading = shape(rank: random.int(0...2), upTo: 3)
        let other = Shape(leading.dims.map { chance(0.4) ? 1 : $0 })
        let a = input(Shape(leading.dims + [m, k]), dtype)
        let b = chance(0.5) ? constant(Shape(other.dims + [k, n]), dtype) : input(Shape(other.dims + [k, n]), dtype)
        return try finish(try sum(.matMul, a, b, nil, terms: k))
    }

    mutating func layerNormalization(_ dtype: DType) throws -> Graph {
        let axes = random.int(1...2)
        let normal = Shape((0..<axes).map { _ in random.int(4...20) })
        let x = input(Shape(shape(rank: random.int(0...2)).dims + normal.dims), dtype)
        let op = Op.layerNormalization(axes: axes, epsilon: pick([1e-5, 1e-3]))
        let scale = chance(0.7) ? constant(normal) : nil
        let bias = chance(0.7) ? chance(0.5) ? constant(normal) : input(normal) : nil
        return try finish(try node(op, [x, scale, bias], like: dtype))
    }

    /// Operators that only move numbers.
    mutating func movement(_ kind: String, _ dtype: DType) throws -> Graph {
        let x = input(shape(rank: random.int(1...4)), dtype)
        let shape = graph[x].shape
        let op: Op
        switch kind {
        case "slice":
            op = .slice(
                shape.dims.map { extent in
                    let start = random.int(0...(extent - 1))
                    let end = random.int((start + 1)...extent)
                    let negative = chance(0.3)
                    return SliceRange(
                        start: negative ? start - extent : start, end: chance(0.3) ? nil : end, step: random.int(1...3))
                })
        case "pad":
            op = .pad(
                before: shape.dims.map { _ in random.int(0...3) }, after: shape.dims.map { _ in random.int(0...3) },
                value: pick([0, 0.5, -1]))
        case "transpose": op = .transpose(Array(0..<shape.rank).shuffled(using: &random))
        default: op = .reshape([.copy(0), .literal(1), .infer])
        }
        let same = chance(0.7) && dtype == .int8
        return try finish(try same ? node(op, [x], encoding: graph[x].encoding) : node(op, [x], like: dtype))
    }
}
