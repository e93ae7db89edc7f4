import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Values that share bytes, and inputs, outputs and constants in unusual places.
@Suite struct PlumbingTests {
    private func expectAgreement(_ maker: inout RandomGraph, _ outputs: [ValueID]) throws {
        maker.graph.outputs = outputs
        try maker.graph.validate()
        let graph = maker.graph
        try OunceRuntimeTests.expectAgreement(graph, maker.inputs(of: graph), tolerance: 1e-6, seed: 1)
    }

    @Test func inputIsOutput() throws {
        var maker = RandomGraph(seed: 1)
        let x = maker.input([2, 3])
        try expectAgreement(&maker, [x])
        try expectAgreement(&maker, [x, x])
    }

    @Test func sameValueTwice() throws {
        var maker = RandomGraph(seed: 1)
        let x = maker.input([2, 3])
        let y = try maker.node(.unary(.negate), [x])
        try expectAgreement(&maker, [y, x, y])
    }

    @Test func constantIsOutput() throws {
        var maker = RandomGraph(seed: 1)
        let x = maker.input([2, 3])
        let c = maker.constant([3, 2])
        let shaped = try maker.node(.reshape([.literal(6)]), [c])
        try expectAgreement(&maker, [c, x, shaped, c])
    }

    @Test func noInputs() throws {
        var maker = RandomGraph(seed: 1)
        let sum = try maker.node(.binary(.add, .none), [maker.constant([2, 3]), maker.constant([3])])
        try expectAgreement(&maker, [sum])
    }

    @Test func reshapesOfInputsAndOutputs() throws {
        var maker = RandomGraph(seed: 1)
        let x = maker.input([2, 3, 4])
        let flat = try maker.node(.reshape([.copy(0), .infer]), [x])
        let twice = try maker.node(.reshape([.infer]), [flat])
        let negative = try maker.node(.unary(.negate), [twice])
        let back = try maker.node(.reshape([.literal(4), .literal(6)]), [negative])
        let sum = try maker.node(.binary(.add, .none), [negative, twice])
        try expectAgreement(&maker, [flat, back, negative, sum, twice])
    }

    /// A value outlives the steps that come between its making and its last use.
    @Test func longLives() throws {
        print("seeds 0..<60")
        for seed in UInt64(0)..<60 {
            var maker = RandomGraph(seed: seed)
            var values = [maker.input([3, 5]), maker.input([3, 5])]
            for _ in 0..<25 {
                let (a, b) = (maker.pick(values), maker.pick(values))
                switch maker.random.int(0...3) {
                case 0:
                    let turned = try maker.node(.transpose([1, 0]), [a])
                    values.append(try maker.node(.reshape([.literal(3), .literal(5)]), [turned]))
                case 1: values.append(try maker.node(.unary(.tanh), [a]))
                case 2:
                    let both = try maker.node(.concat(axis: 1), [a, b, a])
                    let ranges = [SliceRange.all, SliceRange(start: 2, end: 7)]
                    values.append(try maker.node(.slice(ranges), [both]))
                default: values.append(try maker.node(.binary(.subtract, .relu), [a, b]))
                }
            }
            maker.graph.outputs = (0..<3).map { _ in maker.pick(values) }
            let graph = maker.graph
            try graph.validate()
            try OunceRuntimeTests.expectAgreement(graph, maker.inputs(of: graph), tolerance: 1e-5, seed: seed)
        }
    }

    /// int8 weights under a float operator.
    @Test func weightsOnly() throws {
        for seed in UInt64(0)..<20 {
            var maker = RandomGraph(seed: seed)
            let x = maker.input([2, 6, 6, 5])
            let w = maker.weights([7, 3, 3, 5], int8: true, perChannel: maker.chance(0.5))
            let conv = Convolution(strides: [1, 1], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1])
            let graph = try maker.finish(try maker.node(.conv(conv), [x, w, maker.bias(7, int8: false)]))
            try OunceRuntimeTests.expectAgreement(graph, maker.inputs(of: graph), tolerance: 1e-5, seed: seed)
        }
    }
}
