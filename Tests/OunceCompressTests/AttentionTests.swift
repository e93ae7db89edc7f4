import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

@testable import OunceCompress

/// Attention of quantised graphs: what multiplies integers, and that it computes nearly the same.
@Suite struct QuantizedAttentionTests {
    private func constant(_ graph: inout Graph, _ shape: Shape, _ seed: UInt64) -> ValueID {
        graph.addConstant(Samples.floats(shape, seed: seed, in: -0.3...0.3), name: "c\(seed)")
    }

    /// Two heads of 8 numbers over 12 places.
    private func network(isScaled: Bool, isMasked: Bool) throws -> Graph {
        var graph = Graph(name: "attention")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [-1, 12, 16])))
        graph.inputs = [x]
        func head(_ name: String, _ seed: UInt64, _ order: [Int]) throws -> ValueID {
            let y = try graph.append(
                .fullyConnected(.none), [x, constant(&graph, [16, 16], seed), constant(&graph, [16], seed + 1)],
                name: name)
            let split = try graph.append(
                .reshape([.copy(0), .copy(1), .literal(2), .literal(8)]), [y], name: "\(name)/split")
            return try graph.append(.transpose(order), [split], name: "\(name)/heads")
        }
        var q = try head("q", 1, [0, 2, 1, 3])
        if isScaled {
            let scale = graph.addConstant(Tensor([Float(2.5)], shape: []) ?? Tensor([Float]()), name: "scale")
            q = try graph.append(.binary(.multiply, .none), [q, scale], name: "scaled")
        }
        let (k, v) = (try head("k", 3, [0, 2, 3, 1]), try head("v", 5, [0, 2, 1, 3]))
        var scores = try graph.append(.matMul, [q, k], name: "scores")
        if isMasked {
            scores = try graph.append(.binary(.add, .none), [scores, constant(&graph, [12, 12], 7)], name: "masked")
        }
        let weights = try graph.append(.softmax(axis: -1), [scores], name: "softmax")
        let heads = try graph.append(.matMul, [weights, v], name: "sum")
        let joined = try graph.append(.transpose([0, 2, 1, 3]), [heads], name: "joined")
        let y = try graph.append(.reshape([.copy(0), .copy(1), .literal(16)]), [joined], name: "flat")
        graph.outputs = [
            try graph.append(
                .fullyConnected(.none), [y, constant(&graph, [5, 16], 9), constant(&graph, [5], 10)], name: "o")
        ]
        return graph
    }

    private func quantized(_ graph: Graph, _ recipe: Quantization, _ samples: Tensor) throws -> Graph {
        let data = try Samples.dataset([("x", samples)], for: graph)
        return try QuantizePass(recipe: recipe).quantized(
            Calibrator(graph: graph, dataset: data, options: RuntimeOptions()))
    }

    private func kernels(_ graph: Graph, _ samples: Tensor) throws -> [String] {
        try Model(graph: graph, options: RuntimeOptions()).measureSteps(inputs: [samples], seconds: 0).map(\.kernel)
    }

    @Test(arguments: [false, true], [false, true]) func multipliesIntegers(isScaled: Bool, isMasked: Bool) throws {
        let graph = try network(isScaled: isScaled, isMasked: isMasked)
        let samples = Samples.floats([24, 12, 16], seed: 11)
        let made = try quantized(graph, Quantization(minInputSQNR: 0), samples)
        try made.validate()
        let kernels = try kernels(made, samples)
        #expect(kernels.contains { $0.hasPrefix("attention_s8_") }, "\(kernels)")
        #expect(!kernels.contains { $0.contains("softmax") || $0.contains("matmul") }, "\(kernels)")
        #expect(kernels.filter { $0.hasPrefix("dequantize") }.count < 2, "\(kernels)")
        func results(_ graph: Graph) throws -> [Float] {
            try #require(try Model(graph: graph, options: RuntimeOptions()).run([samples])[0].elements(Float.self))
        }
        let (float, int8) = (try results(graph), try results(made))
        let (signal, noise) = (
            float.reduce(0) { $0 + Double($1 * $1) },
            zip(float, int8).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
        )
        #expect(signal > noise * 1000, "\(signal) against \(noise)")
        // What computes the pieces one by one agrees but for single steps of the last grid.
        let pieces = try Interpreter().run(made, [samples])[0].values
        let worst = zip(pieces, int8).map { abs($0 - Double($1)) }.max() ?? 1
        #expect(worst < 0.05 * (signal / Double(float.count)).squareRoot(), "\(worst)")
    }

    /// Attention is left in float where the recipe leaves one of its products, or products at all, out, and where grids are to
    /// have no zero points.
    @Test func mayBeLeftOut() throws {
        let graph = try network(isScaled: false, isMasked: false)
        let samples = Samples.floats([24, 12, 16], seed: 12)
        for recipe in [
            Quantization(keepFloat: [GlobPattern("scores")], minInputSQNR: 0),
            Quantization(keepFloat: [GlobPattern("sum")], minInputSQNR: 0),
            Quantization(kinds: [.fullyConnected], minInputSQNR: 0), Quantization(minInputSQNR: 0, symmetric: true),
        ] {
            let made = try quantized(graph, recipe, samples)
            let kernels = try kernels(made, samples)
            #expect(kernels.contains { $0.hasPrefix("attention_f32_") }, "\(kernels)")
            #expect(!kernels.contains { $0.hasPrefix("attention_s8_") }, "\(kernels)")
        }
    }
}
