import OunceGraph
import OunceRuntime

/// How far the outputs of a graph are from those of another on real samples.
struct ChannelDamage {
    private let inputs: [[Tensor]]
    private let expected: [[Float]]
    private let size: Double
    private let options: RuntimeOptions

    /// - Parameter budget: multiply-accumulates that one look may take.
    init(_ graph: Graph, data: Dataset, options: RuntimeOptions, budget: Int) throws(CompressError) {
        self.options = RuntimeOptions(allowedISAs: options.allowedISAs, threads: options.threads)
        let count = max(16, min(256, budget / max(graph.macs, 1)))
        var inputs: [[Tensor]] = []
        for index in data.spread(count) { inputs.append(try data.sample(index)) }
        self.inputs = inputs
        expected = try Self.outputs(graph, inputs, self.options)
        size = expected.reduce(0) { $0 + $1.reduce(0) { $0 + Double($1) * Double($1) } }
    }

    private static func outputs(
        _ graph: Graph, _ inputs: [[Tensor]], _ options: RuntimeOptions
    ) throws(CompressError) -> [[Float]] {
        try CompressError.wrapping(.recipe) {
            let model = try Model(graph: graph, options: options)
            let stream = try model.makeStream()
            return try inputs.map { sample in
                stream.reset()
                return try model.run(sample, stream: stream).flatMap { $0.floats() }
            }
        }
    }

    /// The squared difference in parts of the squared outputs; outputs that are no numbers are as bad as can be.
    func callAsFunction(_ graph: Graph) throws(CompressError) -> Double {
        var sum = 0.0
        for (own, wanted) in zip(try Self.outputs(graph, inputs, options), expected) {
            for (a, b) in zip(own, wanted) { sum += Double(a - b) * Double(a - b) }
        }
        return sum.isFinite ? sum / max(size, 1e-30) : .greatestFiniteMagnitude
    }
}
