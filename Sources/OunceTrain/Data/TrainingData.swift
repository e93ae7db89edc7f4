import OunceGraph

/// Samples to train with: for each input of the model an array, the first axis the samples.
package struct TrainingData: Sendable {
    package let count: Int
    let inputs: [Tensor]
    /// Classes of the samples; empty: none are known.
    let labels: [Int32]
    /// Numbers to come near, `[count, …]`.
    let targets: Tensor?

    /// - Throws: `.data` where counts differ.
    package init(inputs: [Tensor], labels: [Int32] = [], targets: Tensor? = nil) throws(TrainError) {
        guard let count = inputs.first?.shape.dims.first, count > 0,
            inputs.allSatisfy({ $0.shape.dims.first == count }), labels.isEmpty || labels.count == count,
            targets == nil || targets?.shape.dims.first == count,
            targets == nil || targets?.dtype == .float32
        else { throw TrainError(.data, "the arrays to train with are not of one number of samples") }
        self.count = count
        self.inputs = inputs
        self.labels = labels
        self.targets = targets
    }
}

extension TrainingData {
    package var hasLabels: Bool { !labels.isEmpty }

    /// The same samples with other labels.
    package func labelled(_ labels: [Int32], targets: Tensor? = nil) throws(TrainError) -> TrainingData {
        try TrainingData(inputs: inputs, labels: labels, targets: targets)
    }
}

/// An endless stream of shuffled epochs, so that every batch is whole. Its position is two numbers and a seed.
struct SampleStream {
    let count: Int
    let seed: UInt64
    private var epoch = -1
    private var order: [Int] = []

    init(count: Int, seed: UInt64) {
        self.count = count
        self.seed = seed
    }

    /// The sample at a place of the stream.
    mutating func sample(at position: Int) -> Int {
        let wanted = position / count
        if wanted != epoch {
            epoch = wanted
            var random = SplitMix(seed: seed ^ (UInt64(wanted) &+ 1) &* 0xD134_2543_DE82_EF95)
            order = Array(0..<count)
            for index in stride(from: count - 1, to: 0, by: -1) { order.swapAt(index, random.below(index + 1)) }
        }
        return order[position % count]
    }

    /// Randomness of one place of the stream, whatever came before.
    func random(at position: Int) -> SplitMix {
        SplitMix(seed: seed &* 0x9E6C_63D0_876A_9A47 ^ UInt64(position) &* 0xA24B_AED4_963E_E407)
    }
}
