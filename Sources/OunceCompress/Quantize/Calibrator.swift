import OunceGraph
import OunceRuntime

/// Runs a float graph over calibration samples and watches its values.
package struct Calibrator {
    let graph: Graph
    let dataset: Dataset
    let options: RuntimeOptions
    private let progress: (@Sendable (Double) -> Void)?

    package init(
        graph: Graph, dataset: Dataset, options: RuntimeOptions, progress: (@Sendable (Double) -> Void)? = nil
    ) {
        self.graph = graph
        self.dataset = dataset
        self.options = options
        self.progress = progress
    }

    /// Statistics of float values: range, histogram and channel means.
    func observe(_ watched: Set<ValueID>) throws(CompressError) -> [ValueID: ActivationStatistics] {
        let order = watched.sorted()
        guard !order.isEmpty else { return [:] }
        var instrumented = graph
        instrumented.replaceClientOutputs(order)
        let model = try CompressError.wrapping(.recipe) { try Model(graph: instrumented, options: options) }
        let run = try SampleRun(model, over: dataset)
        var statistics = [ActivationStatistics](repeating: ActivationStatistics(), count: order.count)
        let total = dataset.count * dataset.windows
        for pass in 0..<2 {
            for index in 0..<total {
                let outputs = try run(index / dataset.windows, window: index % dataset.windows)
                defer { withExtendedLifetime(outputs) {} }
                for (place, output) in outputs.enumerated() where output.dtype == .float32 {
                    let values = output.bytes.bindMemory(to: Float.self)
                    if pass == 0 {
                        statistics[place].observeRange(values, channels: output.shape.dims.last ?? 1)
                    } else {
                        statistics[place].observeHistogram(values)
                    }
                }
                if index % 8 == 7 {
                    progress?((Double(pass) + Double(index + 1) / Double(total)) / 2)
                }
            }
        }
        progress?(1)
        return Dictionary(uniqueKeysWithValues: zip(order, statistics))
    }
}
