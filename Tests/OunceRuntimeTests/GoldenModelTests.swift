import FoundationEssentials
import OunceFormats
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Real models against what ONNX Runtime and LiteRT answer (Tests/Golden/models/make.py).
@Suite struct GoldenModelTests {
    struct Golden: Decodable, Sendable {
        let id: String
        let path: String
        let low: Double
        let high: Double
        /// Of float models, relative to the largest output.
        let tolerance: Double
        let outputs: [[Double]]
    }

    private func goldens() throws -> [Golden] {
        let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Golden/models/models.json")
        return try JSONDecoder().decode([Golden].self, from: Data(contentsOf: url))
    }

    /// The inputs of the script: the same operations in the same order.
    private func sample(_ info: TensorInfo, seed: Int, _ golden: Golden) throws -> Tensor {
        let shape = Shape(info.shape.dims.map { $0 < 0 ? 1 : $0 })
        let numbers = (1...UInt32(try #require(shape.elementCount))).map { index in
            var u = index &* 2_654_435_761 &+ UInt32(seed) &* 2_246_822_519
            u ^= u >> 15
            u = u &* 2_246_822_519
            return u ^ u >> 13
        }
        if info.dtype == .int8 {
            return try #require(Tensor(numbers.map { Int8(Int32($0 >> 26) - 32) }, shape: shape))
        }
        let step = Float((golden.high - golden.low) / 16_777_216)
        return try #require(Tensor(numbers.map { Float($0 >> 8) * step + Float(golden.low) }, shape: shape))
    }

    private func largest(_ values: [Double]) -> Int { values.indices.max { values[$0] < values[$1] } ?? -1 }

    @Test func outputsOfOtherEngines() throws {
        guard let shared = try SharedData.found() else { return }
        for golden in try goldens() {
            let graph = try ModelFile.load(path: shared.folder + "/" + golden.path).simplified()
            let model = try Model(graph: graph, options: RuntimeOptions(threads: 2))
            let isInt8 = graph.nodes.contains { node in
                if case .conv = node.op { return graph[node.outputs[0]].dtype == .int8 }
                if case .fullyConnected = node.op { return graph[node.outputs[0]].dtype == .int8 }
                return false
            }
            for (seed, expected) in golden.outputs.enumerated() {
                let results = try model.run([try sample(model.inputs[0], seed: seed, golden)])[0].doubles()
                try #require(results.count == expected.count, "\(golden.id)")
                let worst = zip(results, expected).map { abs($0 - $1) }.max() ?? .infinity
                guard isInt8 else {
                    let scale = expected.map { abs($0) }.max() ?? 0
                    #expect(worst <= golden.tolerance * scale, "\(golden.id), sample \(seed): \(worst) of \(scale)")
                    continue
                }
                let quantum = quantum(of: graph)
                #expect(worst <= 2 * quantum, "\(golden.id), sample \(seed): \(worst / quantum) quanta")
                let top = expected.sorted().suffix(2)
                if let first = top.last, let second = top.first, first - second > 4 * quantum {
                    #expect(largest(results) == largest(expected), "\(golden.id), sample \(seed)")
                }
            }
        }
    }

    /// What one step of the int8 output is in the output's numbers: 1, or its scale where it is dequantised.
    private func quantum(of graph: Graph) -> Double {
        let output = graph.outputs[0]
        if graph[output].dtype == .int8 { return 1 }
        let last = graph.nodes.first { $0.outputs.contains(output) }
        return (last?.inputs.first ?? nil).flatMap { graph[$0].encoding.affine.map { Double($0.scale) } } ?? 0
    }
}
