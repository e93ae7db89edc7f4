import OunceGraph
import OunceTestSupport
import Testing

/// Layer normalisation and GELU in the pieces that exporters write.
@Suite struct TransformerFusionTests {
    enum Normalisation: CaseIterable { case power, square, reciprocal, keras, kerasWithoutBias, twoAxes, bare }

    private func scalar(_ number: Float, _ b: inout GraphBuilder) throws -> ValueID {
        b.graph.addConstant(try #require(Tensor([number], shape: [])), name: b.name("number"))
    }

    private func normalised(
        _ form: Normalisation, _ x: ValueID, _ b: inout GraphBuilder, epsilon: Float = 1e-3
    ) throws -> ValueID {
        let axes = form == .twoAxes ? [1, 2] : [-1]
        func binary(_ op: BinaryOperator, _ x: ValueID, _ y: ValueID) throws -> ValueID {
            try b.node(.binary(op, .none), [x, y])
        }
        let mean = try b.node(.reduce(.mean, axes: axes, keepDims: true), [x])
        let centred = try binary(.subtract, x, mean)
        let square =
            form == .power
            ? try binary(.power, centred, try scalar(2, &b)) : try binary(.multiply, centred, centred)
        let variance = try b.node(.reduce(.mean, axes: axes, keepDims: true), [square])
        let root = try b.node(.unary(.sqrt), [try binary(.add, variance, try scalar(epsilon, &b))])
        switch form {
        case .bare: return try binary(.divide, centred, root)
        case .power, .square:
            let scaled = try binary(.multiply, try binary(.divide, centred, root), b.constant([6]))
            return try binary(.add, scaled, b.constant([1, 1, 6]))
        case .twoAxes:
            let scaled = try binary(.multiply, b.constant([5, 6]), try binary(.divide, centred, root))
            return try binary(.add, b.constant([5, 6]), scaled)
        case .reciprocal:
            let factor = try binary(.divide, try scalar(1, &b), root)
            return try binary(.multiply, b.constant([6]), try binary(.multiply, factor, centred))
        case .keras, .kerasWithoutBias:
            let factor = try binary(.multiply, try binary(.divide, try scalar(1, &b), root), b.constant([6]))
            let (first, second) = (try binary(.multiply, x, factor), try binary(.multiply, mean, factor))
            guard form == .keras else { return try binary(.subtract, first, second) }
            return try binary(.add, first, try binary(.subtract, b.constant([6]), second))
        }
    }

    @Test(arguments: Normalisation.allCases) func layerNormalization(_ form: Normalisation) throws {
        var b = GraphBuilder(seed: 30)
        let y = try normalised(form, b.input([-1, 5, 6]), &b)
        let simple = try expectSimplified(try b.finish(y), seed: 30)
        #expect(simple.nodes.count == 1)
        #expect(simple.nodes.first?.op == .layerNormalization(axes: form == .twoAxes ? 2 : 1, epsilon: 1e-3))
    }

    /// What something else reads has to be computed anyway.
    @Test func sharedPiecesStay() throws {
        var b = GraphBuilder(seed: 31)
        let y = try normalised(.power, b.input([-1, 5, 6]), &b)
        let mean = try #require(b.graph.nodes.first?.outputs[0])
        let simple = try expectSimplified(try b.finish(y, mean), seed: 31)
        #expect(simple.count { if case .layerNormalization = $0 { true } else { false } } == 0)
    }

    /// Channels-first images, normalised over their channels between transposes.
    @Test func normalisationStaysChannelsLast() throws {
        var b = GraphBuilder(seed: 32)
        let x = try b.node(.transpose([0, 2, 3, 1]), [try b.conv(b.input([-1, 2, 5, 5]), outputs: 6)])
        let y = try b.node(.transpose([0, 3, 1, 2]), [try normalised(.square, x, &b)])
        let simple = try expectSimplified(try b.finish(try b.conv(y, outputs: 2)), seed: 32)
        #expect(simple.count { if case .layerNormalization = $0 { true } else { false } } == 1)
        #expect(simple.transposes == 2)
    }

    /// The order of the factors, and how the argument is written.
    @Test(arguments: 0..<3, [false, true]) func gelu(order: Int, isTanh: Bool) throws {
        var b = GraphBuilder(seed: 33)
        let x = b.input([-1, 7])
        func times(_ x: ValueID, _ y: ValueID) throws -> ValueID { try b.node(.binary(.multiply, .none), [x, y]) }
        func plus(_ x: ValueID, _ y: ValueID) throws -> ValueID { try b.node(.binary(.add, .none), [x, y]) }
        var argument: ValueID
        switch (isTanh, order) {
        case (false, 0): argument = try b.node(.binary(.divide, .none), [x, try scalar(1.414_213_5, &b)])
        case (false, _): argument = try times(x, try scalar(0.707_106_77, &b))
        case (true, 0):
            let cube = try b.node(.binary(.power, .none), [x, try scalar(3, &b)])
            argument = try times(try plus(x, try times(try scalar(0.044715, &b), cube)), try scalar(0.797_884_6, &b))
        case (true, 1):
            let cube = try times(try times(x, x), x)
            argument = try times(try scalar(0.797_884_6, &b), try plus(try times(cube, try scalar(0.044715, &b)), x))
        case (true, _):
            let square = try times(try times(x, try scalar(0.044715, &b)), x)
            let scaled = try times(x, try scalar(0.797_884_6, &b))
            argument = try times(scaled, try plus(square, try scalar(1, &b)))
        }
        argument = try b.node(.unary(isTanh ? .tanh : .function(.erf)), [argument])
        let weight = try plus(argument, try scalar(1, &b))
        let y =
            switch order {
            case 0: try times(try times(x, weight), try scalar(0.5, &b))
            case 1: try times(try times(try scalar(0.5, &b), x), weight)
            default: try times(x, try times(weight, try scalar(0.5, &b)))
            }
        let simple = try expectSimplified(try b.finish(y), seed: 33)
        #expect(simple.nodes.map(\.op) == [.unary(.function(isTanh ? .geluTanh : .gelu))])
    }

    /// Nearly the same, and something else.
    @Test func otherConstantsAreNoGelu() throws {
        for (half, root) in [(Float(0.51), Float(1.414_213_5)), (0.5, 1.41), (-0.5, 1.414_213_5)] {
            var b = GraphBuilder(seed: 34)
            let x = b.input([-1, 7])
            let argument = try b.node(.binary(.divide, .none), [x, try scalar(root, &b)])
            let bell = try b.node(.unary(.function(.erf)), [argument])
            let weight = try b.node(.binary(.add, .none), [bell, try scalar(1, &b)])
            let halved = try b.node(.binary(.multiply, .none), [x, try scalar(half, &b)])
            let y = try b.node(.binary(.multiply, .none), [halved, weight])
            let simple = try expectSimplified(try b.finish(y), seed: 34)
            #expect(simple.count { $0 == .unary(.function(.gelu)) } == 0)
        }
    }

    /// Attention's scores are larger than its queries: these are scaled instead.
    @Test(arguments: [BinaryOperator.multiply, .divide], [2, -1])
    func scalesTheSmallerOperand(_ op: BinaryOperator, batch: Int) throws {
        var b = GraphBuilder(seed: 35)
        let (queries, keys) = (b.input([batch, 9, 4]), b.input([batch, 4, 9]))
        let scores = try b.node(.matMul, [queries, keys])
        let scaled = try b.node(.binary(op, .none), [scores, try scalar(0.3, &b)])
        let simple = try expectSimplified(try b.finish(try b.node(.softmax(axis: -1), [scaled])), seed: 35)
        #expect(simple.nodes.map(\.op) == [.binary(op, .none), .matMul, .softmax(axis: -1)])
    }
}
