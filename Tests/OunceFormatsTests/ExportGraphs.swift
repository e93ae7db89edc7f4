import OunceGraph
import OunceTestSupport

/// Graphs that together hold every operator, for the tests of the ONNX export.
struct ExportGraphs {
    var graph: Graph
    var random: RandomSource
    private var count = 0

    init(_ name: String, seed: UInt64) {
        graph = Graph(name: name)
        random = RandomSource(seed: seed)
    }

    mutating func name(_ kind: String) -> String {
        count += 1
        return "\(kind)\(count)"
    }

    mutating func input(_ shape: Shape, name: String) -> ValueID {
        let id = graph.add(Value(name: name, type: TensorType(.float32, shape)))
        graph.inputs.append(id)
        return id
    }

    mutating func floats(_ shape: Shape, in range: ClosedRange<Float> = -1...1) -> ValueID {
        graph.addConstant(random.tensor(shape, in: range), name: name("constant"))
    }

    mutating func weights(_ shape: Shape) -> ValueID {
        let scales = random.floats(shape[0], in: 0.001...0.003)
        return graph.addConstant(
            random.int8Tensor(shape, in: -127...127), name: name("weights"),
            encoding: .affine(AffineQuantization(scales: scales, zeroPoints: scales.map { _ in 0 }, axis: 0)))
    }

    mutating func int32Bias(_ count: Int) -> ValueID {
        let numbers = (0..<count).map { _ in Int32(random.int(-2000...2000)) }
        return graph.addConstant(Tensor(numbers), name: name("bias"))
    }

    mutating func node(_ op: Op, _ inputs: [ValueID?], encoding: Encoding = .plain) throws -> ValueID {
        try graph.append(op, inputs, name: name("node"), encoding: encoding)
    }

    mutating func finish(_ outputs: [ValueID]) throws -> Graph {
        graph.outputs = outputs
        for (index, output) in outputs.enumerated() { graph[output].name = "output\(index)" }
        try graph.validate()
        return graph
    }

    static func window(_ stride: Int, _ activation: Activation = .none, groups: Int = 1) -> Op {
        .conv(
            Convolution(
                strides: [stride, stride], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 0], groups: groups,
                activation: activation))
    }

    static func pool(_ kind: Pooling.Kind, countsPadding: Bool = false) -> Op {
        .pool(
            Pooling(
                kind: kind, kernel: [2, 3], strides: [2, 1], dilations: [1, 1], padBefore: [0, 1], padAfter: [1, 1],
                countIncludesPadding: countsPadding))
    }

    static func grid(_ scale: Float, _ zeroPoint: Int32) -> Encoding {
        .affine(AffineQuantization(scale: scale, zeroPoint: zeroPoint))
    }

    /// Every operator on floats, with a variable batch.
    static func float(seed: UInt64) throws -> Graph {
        var g = ExportGraphs("float", seed: seed)
        let image = g.input([-1, 6, 5, 4], name: "image")
        var x = try g.node(window(2, .relu6), [image, g.floats([6, 3, 3, 4]), g.floats([6])])
        x = try g.node(window(1, .clip(-0.5, 2), groups: 3), [x, g.floats([9, 3, 3, 2]), nil])
        x = try g.node(
            .batchNormalization(axis: -1, epsilon: 1e-3),
            [x, g.floats([9]), g.floats([9]), g.floats([9]), g.floats([9], in: 0.5...2)])
        let unary: [UnaryOperator] = [
            .clip(-1, .infinity), .clip(-.infinity, 1), .leakyRelu(0.1), .sigmoid, .exp, .log, .sqrt, .negate, .abs,
            .tanh,
            .hardSwish, .hardSigmoid(alpha: 0.3, beta: 0.4), .function(.gelu), .function(.geluTanh),
        ]
        for op in unary { x = try g.node(.unary(op), [op == .log || op == .sqrt ? g.positive(x) : x]) }
        x = try g.node(.binary(.add, .relu), [x, g.floats([9])])
        x = try g.node(.binary(.multiply, .none), [g.floats([1, 3, 1, 9]), x])
        let channels = try g.node(.reduce(.max, axes: [1, 2], keepDims: true), [x])
        x = try g.node(.binary(.subtract, .none), [x, channels])
        x = try g.node(.binary(.maximum, .none), [x, g.floats([])])
        let pooled = [
            try g.node(pool(.max), [x]), try g.node(pool(.average), [x]),
            try g.node(pool(.average, countsPadding: true), [x]),
        ]
        var y = try g.node(.concat(axis: 3), pooled.map { $0 })
        y = try g.node(.pad(before: [0, 1, 0, 2], after: [0, 0, 1, 0], value: 0.5), [y])
        y = try g.node(.slice([.all, SliceRange(start: 1), .all, SliceRange(start: 3, end: 27, step: 2)]), [y])
        y = try g.node(.softmax(axis: 3), [y])
        let channelCount = g.graph[y].shape[3]
        y = try g.node(
            .layerNormalization(axes: 1, epsilon: 1e-3), [y, g.floats([channelCount]), g.floats([channelCount])])
        y = try g.node(.layerNormalization(axes: 2, epsilon: 1e-3), [y, nil, nil])
        let sums = try g.node(.reduce(.sum, axes: [2], keepDims: false), [y])
        let turned = try g.node(.transpose([0, 2, 1]), [sums])
        let product = try g.node(.matMul, [turned, sums])
        let rows = try g.node(.fullyConnected(.relu), [product, g.floats([5, 12]), g.floats([5])])
        let flat = try g.node(.reshape([.copy(0), .literal(g.size(y))]), [y])
        let dense = try g.node(.fullyConnected(.none), [flat, g.floats([7, g.size(y)]), g.floats([7])])
        let mean = try g.node(.reduce(.mean, axes: [1, 2], keepDims: true), [y])
        let means = try g.node(.reshape([.copy(0), .infer]), [mean])
        let lowest = try g.node(.reduce(.min, axes: [1], keepDims: true), [dense])
        let least = try g.node(.binary(.minimum, .none), [means, lowest])
        let ratio = try g.node(.binary(.divide, .none), [dense, g.floats([7], in: 1...2)])
        let tens = try g.node(.binary(.multiply, .none), [ratio, g.floats([1], in: 20...30)])
        let whole = try g.node(.cast(.int32), [tens])
        return try g.finish([ratio, rows, least, y, whole])
    }

    private mutating func positive(_ x: ValueID) throws -> ValueID {
        try node(.binary(.add, .none), [try node(.unary(.abs), [x]), floats([1], in: 0.5...1)])
    }

    private func size(_ id: ValueID) -> Int { graph[id].shape.dims.dropFirst().reduce(1, *) }

    /// int8 layers, what stands between them, and a float layer with int8 weights.
    static func quantized(seed: UInt64) throws -> Graph {
        var g = ExportGraphs("quantized", seed: seed)
        let image = g.input([-1, 6, 6, 3], name: "image")
        let first = try g.node(window(1), [image, g.weights([8, 3, 3, 3]), g.floats([8])])
        var x = try g.node(.quantize, [first], encoding: grid(0.02, -5))
        x = try g.node(window(1, .relu), [x, g.weights([8, 3, 3, 8]), g.int32Bias(8)], encoding: grid(0.03, -128))
        let side = try g.node(
            window(1, .relu6, groups: 8), [x, g.weights([8, 3, 3, 1]), g.int32Bias(8)], encoding: grid(0.023, -128))
        let shape = g.graph[x].shape
        let sideShape = g.graph[side].shape
        x = try g.node(
            .slice([.all, SliceRange(start: shape[1] - sideShape[1]), SliceRange(start: shape[2] - sideShape[2]), .all]
            ),
            [x], encoding: grid(0.03, -128))
        x = try g.node(.binary(.add, .none), [x, side], encoding: grid(0.05, -100))
        x = try g.node(.pad(before: [0, 0, 0, 1], after: [0, 1, 0, 0], value: 0), [x], encoding: grid(0.05, -100))
        x = try g.node(pool(.max), [x], encoding: grid(0.05, -100))
        let average = try g.node(pool(.average), [x], encoding: grid(0.04, -90))
        let mean = try g.node(.reduce(.mean, axes: [1, 2], keepDims: true), [average], encoding: grid(0.05, -5))
        let means = try g.node(.reshape([.copy(0), .infer]), [mean], encoding: grid(0.05, -5))
        let flat = try g.node(.reshape([.copy(0), .literal(g.size(x))]), [x], encoding: grid(0.05, -100))
        let dense = try g.node(
            .fullyConnected(.none), [flat, g.weights([9, g.size(x)]), g.int32Bias(9)], encoding: grid(0.05, -5))
        let joined = try g.node(.concat(axis: 1), [dense, means], encoding: grid(0.05, -5))
        let gate = try g.node(.unary(.sigmoid), [joined], encoding: grid(1.0 / 256, -128))
        return try g.finish([try g.node(.dequantize, [joined]), try g.node(.dequantize, [gate])])
    }
}
