import OunceGraph
import OunceTestSupport
import Testing

@testable import OunceTrain

@Suite struct NormalizationTests {
    private func graph(_ c: inout GradientCase) throws -> ValueID {
        let channels = c.int(1...19)
        let x = try c.value([3, c.int(2...4), c.int(2...4), channels])
        let mean = c.constant(c.random.tensor([channels]))
        let variance = c.constant(c.random.tensor([channels], in: 0.5...2))
        return try c.node(
            .batchNormalization(axis: 3, epsilon: 1e-3),
            [x, c.parameter([channels]), c.parameter([channels]), mean, variance])
    }

    @Test func frozen() throws {
        for seed in UInt64(1)...6 {
            var c = GradientCase(seed: seed)
            let output = try graph(&c)
            try GradientCheck.run(c, output: output, threads: 2, step: 1e-3, tolerance: 2e-2, seed: seed)
        }
    }

    /// With the statistics of the batch, computed here in Double.
    @Test func training() throws {
        for seed in UInt64(1)...6 {
            var c = GradientCase(seed: seed)
            let output = try graph(&c)
            try GradientCheck.run(
                c, output: output, threads: 1, step: 1e-3, tolerance: 2e-2, seed: seed,
                options: { $0.updatesStatistics = true }
            ) { graph in
                var changed = graph
                let node = try #require(graph.nodes.last)
                let inputs = node.inputs.compactMap { $0 }
                changed.outputs = [inputs[0]]
                let x = try Interpreter().run(changed, [])[0].values
                let scale = graph[inputs[1]].constant?.doubles() ?? []
                let bias = graph[inputs[2]].constant?.doubles() ?? []
                let (channels, rows) = (scale.count, x.count / scale.count)
                var y = x
                for channel in 0..<channels {
                    let column = (0..<rows).map { x[$0 * channels + channel] }
                    let mean = column.reduce(0, +) / Double(rows)
                    let variance = column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rows)
                    for row in 0..<rows {
                        y[row * channels + channel] =
                            (column[row] - mean) / (variance + 1e-3).squareRoot() * scale[channel] + bias[channel]
                    }
                }
                return [y]
            }
        }
    }
}
