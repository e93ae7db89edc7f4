import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Attention in pieces runs as one step, with the bits of its pieces.
@Suite struct AttentionTests {
    enum Mask: CaseIterable { case none, keys, heads, rows, number, layer }

    private struct Heads {
        var graph: Graph
        /// The same with the scores as an output, which keeps the pieces apart.
        var apart: Graph
        var inputs: [Tensor]
    }

    private func heads(_ mask: Mask, _ maker: inout RandomGraph) throws -> Heads {
        let (batch, heads) = (maker.random.int(1...3), maker.random.int(1...3))
        let (queries, keys) = (maker.random.int(1...60), maker.random.int(1...40))
        let (width, values) = (maker.random.int(1...40), maker.random.int(1...40))
        let q = maker.input([batch, heads, queries, width])
        // Keys that all samples share.
        let k = maker.input([maker.chance(0.5) ? batch : 1, heads, width, keys])
        let v = maker.input([batch, heads, keys, values])
        let product = try maker.node(.matMul, [q, k])
        var scores = product
        let shape: Shape? =
            switch mask {
            case .none: nil
            case .keys: [keys]
            case .heads: [batch, 1, queries, keys]
            case .rows: [queries, 1]
            case .number: []
            case .layer: [batch, heads, queries, 3]
            }
        if let shape {
            var added = maker.input(shape)
            // The layer is no place to add the scores to.
            if mask == .layer { added = try maker.node(.fullyConnected(.none), [added, maker.constant([keys, 3])]) }
            scores = try maker.node(.binary(.add, .none), maker.chance(0.5) ? [product, added] : [added, product])
        }
        let weights = try maker.node(.softmax(axis: -1), [scores])
        let output = try maker.node(.matMul, [weights, v])
        let graph = try maker.finish(output)
        var apart = graph
        apart.outputs.append(product)
        return Heads(graph: graph, apart: apart, inputs: maker.inputs(of: graph))
    }

    @Test(arguments: Mask.allCases) func sameBitsAsItsPieces(_ mask: Mask) throws {
        print("seeds 0..<12")
        for seed in UInt64(0)..<12 {
            var maker = RandomGraph(seed: seed)
            let made = try heads(mask, &maker)
            try expectAgreement(made.graph, made.inputs, tolerance: 1e-5, seed: seed)
            for isas in instructionSets {
                for threads in 1...2 {
                    let options = RuntimeOptions(allowedISAs: isas, threads: threads)
                    let (one, pieces) = (
                        try Model(graph: made.graph, options: options), try Model(graph: made.apart, options: options)
                    )
                    let what = "seed \(seed), \(isas.sorted()), \(threads) threads"
                    #expect(try one.run(made.inputs)[0].byteArray == pieces.run(made.inputs)[0].byteArray, "\(what)")
                    let kernels = try one.measureSteps(inputs: made.inputs, seconds: 0).map(\.kernel)
                    #expect(kernels.count == (mask == .layer ? 2 : 1), "\(what): \(kernels)")
                    #expect(kernels.last?.hasPrefix("attention_f32") == true, "\(what): \(kernels)")
                    #expect(try pieces.measureSteps(inputs: made.inputs, seconds: 0).count > 2, "\(what)")
                }
            }
        }
    }

    /// What only looks like attention keeps its steps.
    @Test func otherAxis() throws {
        var maker = RandomGraph(seed: 5)
        let (q, k, v) = (maker.input([4, 6, 3]), maker.input([4, 3, 6]), maker.input([4, 6, 2]))
        let weights = try maker.node(.softmax(axis: 1), [try maker.node(.matMul, [q, k])])
        let graph = try maker.finish(try maker.node(.matMul, [weights, v]))
        let inputs = maker.inputs(of: graph)
        try expectAgreement(graph, inputs, tolerance: 1e-5, seed: 5)
        let kernels = try Model(graph: graph, options: RuntimeOptions()).measureSteps(inputs: inputs, seconds: 0).map(
            \.kernel)
        #expect(!kernels.contains { $0.hasPrefix("attention") })
    }
}
