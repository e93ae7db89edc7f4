import OunceGraph
import OunceTrain

/// What labels are for in training.
enum TrainingLabels {
    case classes
    /// Numbers that outputs of this many should come near.
    case targets(width: Int)
}

extension Dataset {
    /// Samples, each window a sample of its own, in the model's element types.
    ///
    /// - Parameters:
    ///   - isRequired: whether labels must be there.
    ///   - samples: those wanted; nil: all.
    /// - Throws: `.data` where samples or labels do not fit.
    func trainingData(
        _ kind: TrainingLabels, isRequired: Bool, samples: [Int]? = nil
    ) throws(CompressError) -> TrainingData {
        let samples = samples ?? Array(0..<count)
        var arrays: [[Tensor]] = []
        for index in samples {
            for window in 0..<windows { arrays.append(try sample(index, window: window)) }
        }
        var inputs: [Tensor] = []
        for (place, first) in (arrays.first ?? []).enumerated() {
            guard arrays.allSatisfy({ $0[place].shape == first.shape }) else {
                throw CompressError(.data, "training needs samples of one shape")
            }
            let storage = TensorStorage(byteCount: first.byteCount * arrays.count) { target in
                for (index, tensors) in arrays.enumerated() {
                    let start = index * first.byteCount
                    UnsafeMutableRawBufferPointer(rebasing: target[start..<start + first.byteCount])
                        .copyMemory(from: tensors[place].bytes)
                }
            }
            let shape = Shape([arrays.count] + first.shape.dims.dropFirst())
            guard let tensor = Tensor(dtype: first.dtype, shape: shape, storage: storage) else {
                throw CompressError(.data, "the samples of an input are too many to train with")
            }
            inputs.append(tensor)
        }
        var classes: [Int32] = []
        var targets: Tensor?
        switch kind {
        case .classes:
            let found = samples.compactMap { label($0).flatMap { Int32(exactly: $0) } }
            if found.count == samples.count {
                classes = found.flatMap { [Int32](repeating: $0, count: windows) }
            } else if isRequired {
                throw CompressError(
                    .data, "loss cross_entropy needs one class a sample: an array 'labels' in the .npz of --data")
            }
        case .targets(let width):
            let rows = samples.compactMap { target($0) }
            if rows.count == samples.count, rows.allSatisfy({ $0.count == width }) {
                let all = rows.flatMap { row in (0..<windows).flatMap { _ in row } }
                targets = Tensor(all, shape: [samples.count * windows, width])
            }
        }
        do {
            return try TrainingData(inputs: inputs, labels: classes, targets: targets)
        } catch {
            throw CompressError(.data, error.message)
        }
    }
}
