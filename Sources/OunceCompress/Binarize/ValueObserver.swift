import OunceGraph
import OunceRuntime

/// Runs a float graph over some of the samples and shows values of it.
struct ValueObserver {
    let graph: Graph
    let data: Dataset
    let options: RuntimeOptions
    /// Samples beyond this many, spread over the data, tell little more.
    private static let maximumSamples = 256

    /// - Parameter body: is given the values asked for, in their order, for each sample; channels are the last axis.
    func observe(_ values: [ValueID], _ body: ([UnsafeBufferPointer<Float>]) -> Void) throws(CompressError) {
        guard !values.isEmpty else { return }
        var instrumented = graph
        instrumented.replaceClientOutputs(values)
        let model = try CompressError.wrapping(.recipe) { try Model(graph: instrumented, options: options) }
        let run = try SampleRun(model, over: data)
        let count = min(data.count, Self.maximumSamples)
        for sample in 0..<count {
            for window in 0..<data.windows {
                let outputs = try run(sample * data.count / count, window: window)
                withExtendedLifetime(outputs) {
                    body(outputs.map { $0.bytes.bindMemory(to: Float.self) })
                }
            }
        }
    }

    /// Mean and deviation of each channel.
    struct Channel {
        private(set) var count = 0.0
        private(set) var mean = 0.0
        private var squares = 0.0

        /// Welford's update: no difference of large sums.
        mutating func add(_ value: Double) {
            count += 1
            let difference = value - mean
            mean += difference / count
            squares += difference * (value - mean)
        }
        var deviation: Double { count > 0 ? (squares / count).squareRoot() : 0 }
    }

    func channels(of values: [ValueID]) throws(CompressError) -> [ValueID: [Channel]] {
        let order = values.sorted()
        var channels = order.map { [Channel](repeating: Channel(), count: max(graph[$0].shape.dims.last ?? 1, 1)) }
        try observe(order) { observed in
            for (place, numbers) in observed.enumerated() {
                let width = channels[place].count
                for (index, number) in numbers.enumerated() where number.isFinite {
                    channels[place][index % width].add(Double(number))
                }
            }
        }
        return Dictionary(uniqueKeysWithValues: zip(order, channels))
    }
}
