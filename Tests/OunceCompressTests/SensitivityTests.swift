import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

@testable import OunceCompress

/// What each layer costs alone.
@Suite struct SensitivityTests {
    /// Two layers of which the second takes only numbers that some changes leave as they are.
    @Test func lossesByConstruction() throws {
        var graph = Graph(name: "net")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 4])))
        graph.inputs = [x]
        // Half zeros, so pruning half changes nothing; of one size, so that a grid of two bits holds it, too.
        let half: [Float] = [1, 0, 0, -1, 0, 1, 1, 0, 0, 1, -1, 0, 1, 0, 0, 1]
        let w1 = graph.addConstant(try Samples.tensor(half, [4, 4]), name: "w1")
        let y = try graph.append(.fullyConnected(.none), [x, w1], name: "half")
        // All of one size: signs say it all.
        let signs: [Float] = [1, -1, -1, 1, 1, 1, -1, 1, -1, -1, 1, 1]
        let w2 = graph.addConstant(try Samples.tensor(signs.map { $0 * 0.3 }, [3, 4]), name: "w2")
        graph.outputs = [try graph.append(.fullyConnected(.none), [y, w2], name: "signs")]
        let data = try Samples.dataset([("x", Samples.floats([20, 4], seed: 2))], for: graph)
        let result = try SensitivityAnalysis(
            graph: graph, data: data, calibration: nil, metric: .fidelity, options: RuntimeOptions()
        ).run()
        #expect(result.float.value == 1 && result.layers.map(\.name) == ["half", "signs"])
        func drop(_ layer: Int, _ transform: String) throws -> Double {
            try #require(result.layers[layer].changes.first { $0.transform == transform }).drop
        }
        #expect(result.layers.allSatisfy { $0.changes.map(\.transform) == LayerTransform.all.map(\.name) })
        for transform in ["int8", "int4", "int2"] {
            for layer in 0..<2 { #expect(abs(try drop(layer, transform)) < 1e-3) }
        }
        #expect(try drop(0, "prune50") == 0)
        #expect(try drop(1, "prune50") > 10)
        for layer in 0..<2 { #expect(try drop(layer, "prune80") > 10) }
        #expect(try drop(0, "binary") > 10)
        #expect(abs(try drop(1, "binary")) < 1e-3)
    }
}
