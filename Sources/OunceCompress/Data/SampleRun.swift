import OunceGraph
import OunceRuntime

/// Runs a model over the samples of a dataset, window by window. For a model with states the windows of a sample are
/// consecutive steps: they begin in the initial states, which are carried from window to window.
package struct SampleRun {
    package let model: Model
    private let dataset: Dataset
    private let stream: StreamState?
    private let isOneStream: Bool

    /// - Parameter isOneStream: states are carried from sample to sample, too.
    package init(_ model: Model, over dataset: Dataset, isOneStream: Bool = false) throws(CompressError) {
        self.model = model
        self.dataset = dataset
        self.isOneStream = isOneStream
        stream = model.states.isEmpty ? nil : try CompressError.wrapping(.data) { try model.makeStream() }
    }

    /// Whether what a window gives depends on those before it.
    package var isSequential: Bool { stream != nil }

    /// The outputs for a window; those before it in the same sample must have been run.
    package func callAsFunction(_ inputs: [Tensor], window: Int) throws(CompressError) -> [Tensor] {
        if window == 0, !isOneStream { stream?.reset() }
        return try CompressError.wrapping(.data) { try model.run(inputs, stream: stream) }
    }

    package func callAsFunction(_ index: Int, window: Int) throws(CompressError) -> [Tensor] {
        try self(try dataset.sample(index, window: window), window: window)
    }
}
