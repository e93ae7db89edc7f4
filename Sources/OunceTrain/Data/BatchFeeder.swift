import OunceGraph

/// Fills the inputs of a program with samples and runs it forward and backward.
final class BatchFeeder {
    private let data: TrainingData
    private let program: TrainingProgram
    private let teacher: TrainingProgram?
    private let settings: TrainingSettings
    private var stream: SampleStream
    private let shapes: [[Int]]
    private let axes: [Augmentation.Axes]
    private var labels: [MixedLabel] = []
    /// Room for a sample that is blended into another; as large as the largest input.
    private let blended: TrainBuffer?
    private let targets: TrainBuffer?

    /// - Throws: `.data` where arrays do not fit the inputs or the loss.
    init(
        _ data: TrainingData, program: TrainingProgram, teacher: TrainingProgram?, settings: TrainingSettings
    ) throws(TrainError) {
        self.data = data
        self.program = program
        self.teacher = teacher
        self.settings = settings
        stream = SampleStream(count: data.count, seed: settings.seed)
        guard data.inputs.count == program.inputs.count else {
            throw TrainError(
                .data, "the model takes \(program.inputs.count) inputs, the data hold \(data.inputs.count)")
        }
        for (tensor, slot) in zip(data.inputs, program.inputs) {
            let perSample = slot.count / max(slot.shape.dims.first ?? 1, 1)
            guard tensor.dtype == slot.type.dtype, tensor.count == data.count * perSample else {
                throw TrainError(
                    .data,
                    "a sample for '\(slot.name)' is \(tensor.dtype) of \(tensor.count / data.count) numbers, the model "
                        + "takes \(slot.type.dtype) of \(perSample)")
            }
        }
        shapes = program.inputs.map { Array($0.shape.dims.dropFirst()) }
        axes = shapes.map { settings.axes ?? Augmentation.Axes.guess($0) }
        if settings.augmentation.mixup > 0 {
            if let whole = program.inputs.first(where: { $0.type.dtype != .float32 }) {
                throw TrainError(
                    .data, "mixup blends samples, but '\(whole.name)' takes \(whole.type.dtype) numbers; leave it out")
            }
            blended = TrainBuffer(persistent: shapes.map { $0.reduce(1, *) * 4 }.max() ?? 4)
        } else {
            blended = nil
        }
        guard let head = program.heads.first else { throw TrainError(.data, "the model has no output") }
        let width = head.count / max(program.inputs.first?.shape.dims.first ?? 1, 1)
        switch settings.loss {
        case .crossEntropy:
            try Self.checkLabels(of: data, width, for: "cross_entropy")
            targets = nil
        case .mse:
            let wanted = (data.targets ?? data.inputs.first).map { $0.count / data.count } ?? 0
            guard wanted == width, data.targets != nil || data.inputs.first?.dtype == .float32 else {
                throw TrainError(
                    .data, "mse compares \(width) outputs with \(wanted) numbers a sample; give labels of that shape")
            }
            targets = TrainBuffer(persistent: head.count * 4)
        case .distill(_, _, _, let labels):
            if labels > 0 { try Self.checkLabels(of: data, width, for: "label_weight") }
            guard let teacher, zip(teacher.heads, program.heads).allSatisfy({ $0.shape == $1.shape }),
                teacher.heads.count == program.heads.count
            else { throw TrainError(.data, "the teacher's outputs have other shapes than the model's") }
            targets = nil
        }
    }

    private static func checkLabels(of data: TrainingData, _ classes: Int, for what: String) throws(TrainError) {
        guard data.labels.count == data.count, data.labels.allSatisfy({ (0..<Int32(classes)).contains($0) }) else {
            throw TrainError(.data, "\(what) needs a class below \(classes) for every sample: an array 'labels'")
        }
    }

    /// Forward and backward over samples from a place of the stream on.
    ///
    /// - Parameter total: samples over which the loss is a mean.
    func pass(at position: Int, samples: Int, of total: Int) -> (loss: Double, correct: Int) {
        let result = forward(at: position, samples: samples, of: total)
        program.backward()
        return result
    }

    /// The sum of the losses of these samples.
    func loss(at position: Int, samples: Int) -> Double { forward(at: position, samples: samples, of: samples).loss }

    private func forward(at position: Int, samples: Int, of total: Int) -> (loss: Double, correct: Int) {
        labels.removeAll(keepingCapacity: true)
        for index in 0..<samples { fill(index, from: stream.sample(at: position + index), position + index) }
        program.forward()
        if let teacher {
            for (own, other) in zip(program.inputs, teacher.inputs) {
                other.value.raw.copyMemory(
                    from: own.value.raw, byteCount: min(own.value.byteCount, other.value.byteCount))
            }
            teacher.forward()
        }
        return LossHead(loss: settings.loss, samples: samples).apply(
            program, labels: labels, targets: targets.map { UnsafePointer($0.floats) }, teacher: teacher,
            isClassifier: settings.isClassifier, total: total)
    }

    private func fill(_ index: Int, from sample: Int, _ position: Int) {
        var random = stream.random(at: position)
        let blend = settings.augmentation.blend(of: data.count, random: &random)
        for (number, (tensor, slot)) in zip(data.inputs, program.inputs).enumerated() {
            let bytes = tensor.byteCount / data.count
            let target = slot.value.raw + index * bytes
            copy(sample, of: tensor, number, to: target, &random)
            if let blend, let blended {
                copy(blend.sample, of: tensor, number, to: blended.raw, &random)
                Self.add(blended.raw, share: blend.share, to: target, bytes: bytes)
            }
        }
        if !data.labels.isEmpty {
            labels.append(
                MixedLabel(
                    own: data.labels[sample], other: data.labels[blend?.sample ?? sample], share: blend?.share ?? 0))
        }
        guard let targets, let tensor = data.targets ?? data.inputs.first, let base = tensor.bytes.baseAddress else {
            return
        }
        let bytes = tensor.byteCount / data.count
        let target = targets.raw + index * bytes
        if data.targets == nil, let own = program.inputs.first {
            // An autoencoder reconstructs what it was shown.
            target.copyMemory(from: own.value.raw + index * bytes, byteCount: bytes)
        } else {
            target.copyMemory(from: base + sample * bytes, byteCount: bytes)
            if let blend { Self.add(base + blend.sample * bytes, share: blend.share, to: target, bytes: bytes) }
        }
    }

    /// A sample of an input, changed as augmentation wants it.
    private func copy(
        _ sample: Int, of tensor: Tensor, _ input: Int, to target: UnsafeMutableRawPointer, _ random: inout SplitMix
    ) {
        let bytes = tensor.byteCount / data.count
        guard let source = tensor.bytes.baseAddress.map({ $0 + sample * bytes }) else { return }
        if tensor.dtype == .float32, !settings.augmentation.isNone {
            settings.augmentation.apply(
                source.assumingMemoryBound(to: Float.self), to: target.assumingMemoryBound(to: Float.self),
                shape: shapes[input], axes: axes[input], random: &random)
        } else {
            target.copyMemory(from: source, byteCount: bytes)
        }
    }

    private static func add(
        _ other: UnsafeRawPointer, share: Float, to target: UnsafeMutableRawPointer, bytes: Int
    ) {
        let (x, y) = (other.assumingMemoryBound(to: Float.self), target.assumingMemoryBound(to: Float.self))
        for place in 0..<bytes / 4 { y[place] += share * (x[place] - y[place]) }
    }
}

/// The class of a sample, and that of another one that was blended into it.
struct MixedLabel: Hashable {
    var own: Int32
    var other: Int32
    /// Of the other; at most a half.
    var share: Float
}
