import OunceGraph
import OunceTestSupport
import Testing

@testable import OunceTrain

/// Every operator's gradient against finite differences, over random shapes.
@Suite struct GradientTests {
    private func check(
        _ name: String, cases: Int = 6, step: Float = 1e-3, tolerance: Double = 2e-2,
        _ make: (inout GradientCase) throws -> ValueID
    ) throws {
        for index in 0..<cases {
            let seed = name.utf8.reduce(UInt64(index) &+ 1) { $0 &* 1_099_511_628_211 ^ UInt64($1) }
            var given = GradientCase(seed: seed)
            let output = try make(&given)
            try GradientCheck.run(
                given, output: output, threads: index % 3 + 1, step: step, tolerance: tolerance, seed: seed,
                options: { $0.allowedISAs = [nil, ["avx2"], []][(index + 1) % 3] })
        }
    }

    private func convolution(
        _ c: inout GradientCase, spatial: Int, groups: Int, inputs: Int, outputs: Int, activation: Activation
    ) throws -> ValueID {
        let kernel = (0..<spatial).map { _ in c.int(1...3) }
        let strides = (0..<spatial).map { _ in c.int(1...2) }
        let dilations = (0..<spatial).map { _ in c.int(1...2) }
        let before = (0..<spatial).map { _ in c.int(0...2) }
        let after = (0..<spatial).map { _ in c.int(0...2) }
        let extents = (0..<spatial).map { _ in c.int(5...8) }
        let x = try c.value(Shape([c.int(1...3)] + extents + [inputs]))
        let w = c.parameter(Shape([outputs] + kernel + [inputs / groups]))
        let bias = c.int(0...1) == 1 ? c.parameter([outputs]) : nil
        return try c.node(
            .conv(
                Convolution(
                    strides: strides, dilations: dilations, padBefore: before, padAfter: after, groups: groups,
                    activation: activation)), [x, w, bias])
    }

    @Test(arguments: [1, 2]) func dense(spatial: Int) throws {
        try check("conv\(spatial)", cases: 10) { c in
            let activation = c.pick([Activation.none, .none, .clip(-20, 20)])
            let (inputs, outputs) = (c.pick([1, 3, 5, 16, 20]), c.pick([1, 4, 10, 16, 19]))
            return try convolution(
                &c, spatial: spatial, groups: 1, inputs: inputs, outputs: outputs, activation: activation)
        }
    }

    @Test(arguments: [1, 2]) func grouped(spatial: Int) throws {
        try check("grouped\(spatial)") { c in
            let (groups, width) = (c.int(2...4), c.int(2...5))
            let outputs = groups * c.int(1...4)
            return try convolution(
                &c, spatial: spatial, groups: groups, inputs: groups * width, outputs: outputs, activation: .none)
        }
    }

    @Test(arguments: [1, 2]) func depthwise(spatial: Int) throws {
        try check("depthwise\(spatial)", cases: 10) { c in
            let channels = c.pick([2, 5, 16, 21])
            return try convolution(
                &c, spatial: spatial, groups: channels, inputs: channels, outputs: channels, activation: .none)
        }
    }

    @Test func fusedActivations() throws {
        // Small steps, few places: no number crosses the bend.
        try check("fused", step: 1e-4, tolerance: 5e-2) { c in
            try convolution(&c, spatial: 2, groups: 1, inputs: 3, outputs: 5, activation: .relu)
        }
    }

    @Test func fullyConnected() throws {
        try check("fullyConnected") { c in
            let (inputs, outputs) = (c.int(1...40), c.int(1...40))
            let x = try c.value(c.pick([[c.int(1...9), inputs], [2, c.int(1...3), inputs]]))
            let w = c.parameter([outputs, inputs])
            return try c.node(.fullyConnected(c.pick([.none, .clip(-30, 30)])), [x, w, c.parameter([outputs])])
        }
    }

    @Test func matMul() throws {
        try check("matMul", cases: 9) { c in
            let (m, k, n) = (c.int(1...14), c.int(1...9), c.int(1...40))
            let (left, right): ([Int], [Int]) = c.pick([([], []), ([3], [3]), ([2, 3], [3]), ([2, 1], [1, 3])])
            return try c.node(.matMul, [try c.value(Shape(left + [m, k])), try c.value(Shape(right + [k, n]))])
        }
    }

    @Test(arguments: [BinaryOperator.add, .subtract, .multiply, .divide, .minimum, .maximum])
    func binary(_ op: BinaryOperator) throws {
        try check("binary \(op)", cases: 8, step: 1e-4) { c in
            let shapes: [(Shape, Shape)] = [
                ([2, 3, 4], [2, 3, 4]), ([2, 3, 4], [4]), ([2, 3, 4], [1, 3, 1]), ([5, 1], [1, 7]), ([1], [3, 3]),
            ]
            let (left, right) = c.pick(shapes)
            let range: ClosedRange<Float> = op == .divide ? 0.5...2 : -1...1
            let x = try c.value(left)
            return try c.node(.binary(op, c.pick([.none, .clip(-9, 9)])), [x, try c.value(right, in: range)])
        }
    }

    @Test func sameOperandTwice() throws {
        try check("square") { c in
            let x = try c.value([3, 5])
            let square = try c.node(.binary(.multiply, .none), [x, x])
            return try c.node(.binary(.add, .none), [square, try c.node(.binary(.add, .none), [x, x])])
        }
    }

    static let unaries: [UnaryOperator] =
        [
            .clip(-0.7, 0.6), .leakyRelu(0.1), .sigmoid, .tanh, .exp, .negate, .abs, .hardSwish,
            .hardSigmoid(alpha: 0.2, beta: 0.5),
        ]
        + ElementFunction.allCases.filter { ![.not, .sign, .floor, .ceil, .round, .acosh].contains($0) }.map {
            .function($0)
        }

    @Test(arguments: unaries) func unary(_ op: UnaryOperator) throws {
        try check("unary \(op)", cases: 3, step: 1e-4) { c in
            try c.node(.unary(op), [try c.value([c.int(1...3), c.int(1...30)], in: -0.75...0.75)])
        }
    }

    @Test(arguments: [UnaryOperator.log, .sqrt, .function(.acosh)]) func unaryOfPositive(_ op: UnaryOperator) throws {
        try check("unary \(op)", cases: 3) { c in try c.node(.unary(op), [try c.value([c.int(1...40)], in: 1.5...2.5)])
        }
    }

    @Test func hardSwishFarOut() throws {
        try check("hardSwish", step: 1e-4) { c in
            try c.node(.unary(.hardSwish), [try c.value([c.int(1...40)], in: -6...6)])
        }
    }

    @Test func layerNormalization() throws {
        try check("layerNormalization", cases: 9) { c in
            let x = try c.value([c.int(1...3), c.int(2...4), c.int(2...6)])
            let axes = c.int(1...2)
            let shape = Shape(Array(c.graph[x].shape.dims.suffix(axes)))
            let (scale, bias) = (c.parameter(shape), c.parameter(shape))
            return try c.node(.layerNormalization(axes: axes, epsilon: 1e-2), [x, scale, bias])
        }
    }

    @Test func softmax() throws {
        try check("softmax", cases: 9) { c in
            let x = try c.value([c.int(1...4), c.int(2...19), c.int(1...5)])
            let y = try c.node(.softmax(axis: c.int(0...2)), [x])
            return try c.node(.unary(.negate), [y])
        }
    }

    @Test(arguments: [Pooling.Kind.max, .average]) func pool(_ kind: Pooling.Kind) throws {
        try check("pool \(kind)", cases: 8, step: 1e-4, tolerance: 5e-2) { c in
            let spatial = c.int(1...2)
            let kernel = (0..<spatial).map { _ in c.int(1...3) }
            let pads = kernel.map { _ in c.int(0...1) }.enumerated().map { min($1, kernel[$0] - 1) }
            let pool = Pooling(
                kind: kind, kernel: kernel, strides: kernel.map { _ in c.int(1...2) }, dilations: kernel.map { _ in 1 },
                padBefore: pads, padAfter: pads, countIncludesPadding: c.int(0...1) == 1)
            let extents = (0..<spatial).map { _ in c.int(4...7) }
            return try c.node(.pool(pool), [try c.value(Shape([2] + extents + [c.int(1...18)]))])
        }
    }

    @Test(arguments: [Reduction.mean, .sum, .max, .min, .product]) func reduce(_ reduction: Reduction) throws {
        try check("reduce \(reduction)", cases: 8, step: 1e-4) { c in
            let x = try c.value([2, 3, 4, 5], in: 0.5...1.5)
            let axes = c.pick([[1], [1, 2], [3], [0, 2], [2, 3], [0, 1, 2, 3]])
            return try c.node(.reduce(reduction, axes: axes, keepDims: c.int(0...1) == 1), [x])
        }
    }

    @Test func movement() throws {
        try check("movement", cases: 12) { c in
            let x = try c.value([2, 3, 4])
            let wide = c.constant(Tensor((0..<6).map { Int64($0 % 3) }, shape: [6]) ?? Tensor([Int64]()))
            let moves: [(Op, [ValueID?])] = [
                (.reshape([.literal(6), .infer]), [x]), (.transpose([2, 0, 1]), [x]),
                (.slice([.all, SliceRange(start: 1), SliceRange(start: 0, end: 4, step: 2)]), [x]),
                (.pad(before: [0, 1, 2], after: [1, 0, 0], value: 0.5), [x]), (.reverse(axes: [1]), [x]),
                (.expand([5, 2, 3, 4]), [x]), (.concat(axis: 1), [x, c.parameter([2, 2, 4]), x]),
                (.gather(.slices(axis: 1)), [x, wide]),
            ]
            let (op, inputs) = c.pick(moves)
            return try c.node(op, inputs)
        }
    }

    @Test func embedding() throws {
        for seed in UInt64(1)...3 {
            var c = GradientCase(seed: seed)
            let table = c.parameter([7, 5])
            let indices = c.graph.add(Value(name: "indices", type: TensorType(.int64, [2, 3])))
            c.graph.inputs = [indices]
            let rows = try c.node(.gather(.slices(axis: 0)), [table, indices])
            c.graph.outputs = [rows]
            let program = try TrainingProgram(graph: c.graph, options: .init(trainable: [table]))
            let places: [Int64] = [0, 6, 3, 3, -1, 99]
            for (index, place) in places.enumerated() {
                program.inputs[0].value.raw.storeBytes(of: place, toByteOffset: index * 8, as: Int64.self)
            }
            program.forward()
            for index in 0..<30 { program.heads[0].dx[index] = Float(index) }
            program.backward()
            // By hand: 6 and -1 are the same row, 3 is taken twice, 99 is none.
            var expected = [Float](repeating: 0, count: 35)
            for (number, row) in [0, 6, 3, 3, 6].enumerated() {
                for i in 0..<5 { expected[row * 5 + i] += Float(number * 5 + i) }
            }
            #expect(program.parameters[0].gradient == expected)
            let values = program.parameters[0].values
            #expect((0..<5).allSatisfy { program.heads[0].x[4 * 5 + $0] == values[6 * 5 + $0] })
        }
    }

    @Test func resample() throws {
        try check("resample") { c in
            let x = try c.value([2, 4, 3])
            let places = Tensor((0..<14).map { Int64(min($0 / 4 + $0 % 2, 3)) }, shape: [7, 2]) ?? Tensor([Int64]())
            let weights = c.random.tensor([7, 2])
            return try c.node(.resample(axis: 1), [x, c.constant(places), c.constant(weights)])
        }
    }

    @Test func select() throws {
        try check("select") { c in
            let condition = c.constant(Tensor((0..<12).map { $0 % 3 == 0 }, shape: [3, 4]) ?? Tensor([Bool]()))
            return try c.node(.select, [condition, try c.value([3, 4]), try c.value([4])])
        }
    }

    @Test func power() throws {
        for exponent in [Float(2), 3, 0.5, 1] {
            try check("power \(exponent)", cases: 2) { c in
                let x = try c.value([3, 4], in: 0.5...2)
                return try c.node(.binary(.power, .none), [x, c.constant(Tensor([exponent]))])
            }
        }
    }

    @Test func layerNormalizationOfPieces() throws {
        try check("layer norm") { c in
            let width = c.int(3...20)
            let x = try c.value([2, c.int(1...4), width])
            let mean = try c.node(.reduce(.mean, axes: [2], keepDims: true), [x])
            let centred = try c.node(.binary(.subtract, .none), [x, mean])
            let square = try c.node(.binary(.multiply, .none), [centred, centred])
            let variance = try c.node(.reduce(.mean, axes: [2], keepDims: true), [square])
            let shifted = try c.node(.binary(.add, .none), [variance, c.constant(Tensor([Float(0.01)]))])
            let deviation = try c.node(.unary(.sqrt), [shifted])
            let normal = try c.node(.binary(.divide, .none), [centred, deviation])
            let scaled = try c.node(.binary(.multiply, .none), [normal, c.parameter([width])])
            return try c.node(.binary(.add, .none), [scaled, c.parameter([width])])
        }
    }
}
