import OunceGraph
import OunceTestSupport
import Testing

@Suite struct QuantizationTests {
    static func grid(_ scale: Float, _ zero: Int32 = 0) -> Encoding {
        .affine(AffineQuantization(scale: scale, zeroPoint: zero))
    }

    /// Quantise and dequantise, as QDQ models do after each operator.
    private func qdq(_ x: ValueID, _ encoding: Encoding, _ b: inout GraphBuilder) throws -> ValueID {
        try b.node(.dequantize, [b.node(.quantize, [x], encoding: encoding)])
    }

    private func quantizedConstant(_ shape: Shape, _ scales: [Float], _ b: inout GraphBuilder) throws -> ValueID {
        let affine = AffineQuantization(
            scales: scales, zeroPoints: scales.map { _ in 0 }, axis: scales.count == 1 ? nil : 0)
        let stored = b.graph.addConstant(
            b.random.int8Tensor(shape, in: -127...127), name: b.name("weights"), encoding: .affine(affine))
        return try b.node(.dequantize, [stored])
    }

    private func int32Bias(_ count: Int, _ scales: [Float], _ b: inout GraphBuilder) throws -> ValueID {
        let numbers = (0..<count).map { _ in Int32(b.random.int(-2000...2000)) }
        let affine = AffineQuantization(scales: scales, zeroPoints: scales.map { _ in 0 }, axis: 0)
        let stored = b.graph.addConstant(Tensor(numbers), name: b.name("bias"), encoding: .affine(affine))
        return try b.node(.dequantize, [stored])
    }

    @Test(arguments: 0..<12) func qdqModelsBecomeInt8(seed: Int) throws {
        print("seed", seed)
        var b = GraphBuilder(seed: UInt64(seed))
        let (inputScale, weightScales): (Float, [Float]) = (1 / 64, [0.01, 0.02, 0.005, 0.015])
        var x = try qdq(b.input([-1, 2, 6, 6]), Self.grid(inputScale, 3), &b)
        let weights = try quantizedConstant([4, 3, 3, 2], weightScales, &b)
        let bias = try int32Bias(4, weightScales.map { $0 * inputScale }, &b)
        let conv = Convolution(strides: [1, 1], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1])
        x = try qdq(b.relu(b.channelsFirst(.conv(conv), x, [weights, bias])), Self.grid(0.125, -128), &b)
        let pool = Pooling(
            kind: seed % 2 == 0 ? .max : .average, kernel: [2, 2], strides: [2, 2], dilations: [1, 1],
            padBefore: [0, 0], padAfter: [0, 0])
        x = try qdq(b.channelsFirst(.pool(pool), x), Self.grid(0.125, seed % 3 == 0 ? -128 : -100), &b)
        x = try qdq(b.node(.binary(.add, .none), [x, x]), Self.grid(0.25, -120), &b)
        x = try qdq(b.node(.concat(axis: 1), [x, x]), Self.grid(0.2, -110), &b)
        x = try qdq(b.node(.reshape([.copy(0), .literal(72)]), [x]), Self.grid(0.2, -110), &b)
        let dense = try quantizedConstant([5, 72], [0.01], &b)
        let layer = try b.node(.fullyConnected(.none), [x, dense, b.constant([5])])
        x = try qdq(layer, Self.grid(0.5, 10), &b)
        x = try qdq(b.node(.softmax(axis: -1), [x]), Self.grid(1 / 256, -128), &b)
        let graph = try b.finish(x)
        let simple = try graph.simplified()
        let isFloat: (Node) -> Bool = { simple[$0.outputs[0]].dtype == .float32 }
        // Only the input's transpose and the last dequantise compute floats.
        #expect(simple.nodes.filter(isFloat).count <= 2, "\(simple.listing)")
        #expect(simple.transposes <= 1)
        // Steps of the last grid: the float route rounds elsewhere, so single steps may differ.
        let input = b.random.tensor([2, 2, 6, 6])
        let before = try Interpreter().run(graph, [input])[0]
        let after = try Interpreter().run(simple, [input])[0]
        let worst = zip(before.values, after.values).map { abs($0 - $1) }.max() ?? 0
        #expect(worst <= 8.0 / 256, "seed \(seed): \(worst)")
    }

    /// A product of two computed matrices, as quantised attention has them.
    @Test(arguments: 0..<4) func qdqProductsBecomeInt8(seed: Int) throws {
        print("seed", seed)
        var b = GraphBuilder(seed: UInt64(seed))
        let x = try qdq(b.input([2, 3, 7, 5]), Self.grid(1 / 64, 3), &b)
        let y = try qdq(b.input([2, 3, 9, 5]), Self.grid(1 / 50, -9), &b)
        let turned = try b.node(.transpose([0, 1, 3, 2]), [y])
        let product = try b.node(.matMul, [x, turned])
        let graph = try b.finish(seed == 3 ? product : try qdq(product, Self.grid(0.04, 10), &b))
        let simple = try graph.simplified()
        let made = try #require(simple.nodes.first { $0.op == .matMul })
        // A float result says that floats were multiplied.
        #expect(made.inputs.allSatisfy { $0.map { simple[$0].dtype } == (seed == 3 ? .float32 : .int8) })
        #expect(simple[made.outputs[0]].dtype == (seed == 3 ? .float32 : .int8))
        let inputs = [b.random.tensor([2, 3, 7, 5]), b.random.tensor([2, 3, 9, 5])]
        let (before, after) = (try Interpreter().run(graph, inputs)[0], try Interpreter().run(simple, inputs)[0])
        let worst = zip(before.values, after.values).map { abs($0 - $1) }.max() ?? 0
        #expect(worst <= 0.0401, "seed \(seed): \(worst)")
    }

    @Test func equalEncodingsCancel() throws {
        var b = GraphBuilder(seed: 20)
        let x = b.input([2, 4], .int8, encoding: Self.grid(0.5, 1))
        var y = try b.node(.unary(.abs), [x], encoding: Self.grid(0.25, 2))
        y = try b.node(.quantize, [b.node(.dequantize, [y])], encoding: Self.grid(0.25, 2))
        y = try b.node(.unary(.negate), [y], encoding: Self.grid(0.25, 2))
        let simple = try expectSimplified(try b.finish(y), seed: 20, tolerance: 0)
        #expect(simple.nodes.count == 2)
    }

    @Test(arguments: [false, true]) func int8ClipsBecomeActivations(sameEncoding: Bool) throws {
        var b = GraphBuilder(seed: 21)
        let x = b.input([3, 8], .int8, encoding: Self.grid(0.05, 4))
        let weights = b.graph.addConstant(
            b.random.int8Tensor([6, 8]), name: "weights", encoding: Self.grid(0.02))
        let wide = Self.grid(0.1, -128)
        let y = try b.node(.fullyConnected(.none), [x, weights], encoding: wide)
        let z = try b.node(
            .unary(.clip(0, 6)), [y], encoding: sameEncoding ? wide : Self.grid(6 / 255, -128))
        let graph = try b.finish(z)
        let simple = try graph.simplified()
        #expect(simple.nodes.count == 1)
        guard sameEncoding else { return }
        try expectSimplified(graph, seed: 21, tolerance: 0)
    }

    @Test func int8LayoutChangesCancelExactly() throws {
        var b = GraphBuilder(seed: 22)
        let grid = Self.grid(0.05, 4)
        let x = b.input([-1, 2, 5, 5], .int8, encoding: grid)
        var y = try b.node(.transpose([0, 2, 3, 1]), [x], encoding: grid)
        let weights = b.graph.addConstant(b.random.int8Tensor([3, 3, 3, 2]), name: "w", encoding: Self.grid(0.02))
        let conv = Convolution(strides: [1, 1], dilations: [1, 1], padBefore: [0, 1], padAfter: [1, 1])
        y = try b.node(.conv(conv), [y, weights], encoding: Self.grid(0.2, -3))
        y = try b.node(.transpose([0, 3, 1, 2]), [y], encoding: Self.grid(0.2, -3))
        y = try b.node(.unary(.sigmoid), [y], encoding: Self.grid(1 / 256, -128))
        y = try b.node(
            .pad(before: [0, 0, 1, 1], after: [0, 0, 0, 0], value: 0), [y], encoding: Self.grid(1 / 256, -128))
        y = try b.node(.transpose([0, 2, 3, 1]), [y], encoding: Self.grid(1 / 256, -128))
        y = try b.node(
            .conv(conv),
            [y, b.graph.addConstant(b.random.int8Tensor([2, 2, 2, 3]), name: "v", encoding: Self.grid(0.02))],
            encoding: Self.grid(0.1, 7))
        let simple = try expectSimplified(try b.finish(y), seed: 22, tolerance: 0)
        #expect(simple.transposes == 1)
        #expect(simple.nodes.count == 4)
    }

    /// Weights that are quantised in the graph, and read by a layer on floats without a dequantise node between.
    @Test(arguments: [false, true]) func constantsAreQuantized(perChannel: Bool) throws {
        var b = GraphBuilder(seed: 23)
        let x = try qdq(b.input([3, 8]), Self.grid(1 / 64, 3), &b)
        let scales: [Float] = perChannel ? [0.01, 0.02, 0.03, 0.04] : [0.01]
        let affine = AffineQuantization(
            scales: scales, zeroPoints: scales.map { _ in 0 }, axis: perChannel ? 0 : nil)
        let w = try b.node(.quantize, [b.constant([4, 8])], encoding: .affine(affine))
        let y = try b.node(.fullyConnected(.none), [x, w, b.constant([4])])
        let z = try qdq(y, Self.grid(1 / 32, -5), &b)
        let simple = try expectSimplified(try b.finish(z), seed: 23, tolerance: 0.05)
        #expect(simple.nodes.count == 3)
        #expect(simple.nodes.contains { simple[$0.outputs[0]].dtype == .int8 && $0.op == .fullyConnected(.none) })
    }
}
