import OunceGraph
import OunceRuntime

/// Trains the constants of a float graph.
package final class Trainer {
    private let graph: Graph
    fileprivate let settings: TrainingSettings
    package let program: TrainingProgram
    fileprivate let teacher: TrainingProgram?
    /// Samples of one pass: the batch, or 1 where the model cannot take more at once.
    package let samplesPerPass: Int
    private let optimizer: Optimizer
    private let quantizers: [ValueID: FakeQuantizer]
    /// How the run went so far, which a checkpoint keeps too.
    private let history = TrainBuffer(persistent: RunHistory.byteCount)

    /// - Parameters:
    ///   - graph: float, inputs with a first axis of 1 or unknown.
    ///   - teacher: for distillation; the same inputs and outputs.
    ///   - data: what `run` will get; smaller than a batch, it is one.
    /// - Throws: `.unsupported` naming every node that cannot be trained, `.data` where data do not fit.
    package init(
        graph: Graph, settings: TrainingSettings, teacher: Graph? = nil,
        constraints: TrainingConstraints = TrainingConstraints(), probes: [ValueID] = [], sampleCount: Int
    ) throws(TrainError) {
        self.graph = graph
        self.settings = settings
        quantizers = constraints.quantizers
        guard settings.loss.needsTeacher == (teacher != nil) else {
            throw TrainError(.data, "distillation, and only distillation, takes a teacher")
        }
        let trainable = constraints.trainable ?? Set(graph.trainableConstants)
        guard !trainable.isEmpty else {
            throw TrainError(.unsupported, "\(graph.name) has no float weights to train")
        }
        let wanted = max(1, min(settings.batchSize, sampleCount))
        var options = TrainingProgram.Options(
            trainable: trainable, quantizers: constraints.quantizers, probes: probes,
            updatesStatistics: settings.updatesStatistics, threads: settings.threads,
            allowedISAs: settings.allowedISAs)
        (options.binaryWeights, options.signs) = (constraints.binaryWeights, constraints.signs)
        if settings.loss == .mse { options.headsBeforeSoftmax = false }
        var fixed = TrainingProgram.Options(
            trainable: [], threads: settings.threads, allowedISAs: settings.allowedISAs)
        fixed.headsBeforeSoftmax = options.headsBeforeSoftmax
        if wanted > 1, let batched = try BatchedGraph.programs(graph, batch: wanted, options, teacher: teacher, fixed) {
            (program, self.teacher) = batched
            samplesPerPass = wanted
        } else {
            let single = try BatchedGraph.single(graph)
            program = try TrainingProgram(graph: single, options: options)
            self.teacher = try teacher.map { (teacher) throws(TrainError) in
                try TrainingProgram(graph: try BatchedGraph.single(teacher), options: fixed)
            }
            samplesPerPass = 1
        }
        for parameter in program.parameters {
            parameter.mask = parameter.id.flatMap { constraints.masks[$0] }
            parameter.units = parameter.id.flatMap { constraints.units[$0] }
        }
        optimizer = Optimizer(
            kind: settings.optimizer, weightDecay: settings.weightDecay, clipNorm: settings.clipNorm,
            parameters: program.parameters, kernels: program.kernels)
        guard program.heads.contains(where: { $0.needsGradient }) else {
            throw TrainError(.unsupported, "no output of \(graph.name) depends on a weight that can be trained")
        }
    }

    /// Steps of the optimiser that a run over `count` samples makes.
    package func steps(for count: Int) -> Int {
        let batch = samplesPerPass == 1 ? max(1, min(settings.batchSize, count)) : samplesPerPass
        return max(1, Int((settings.epochs * Double(count) / Double(batch)).rounded(.up)))
    }

    /// Trains, from a checkpoint where there is one.
    ///
    /// - Throws: `.data`, `.checkpoint`, `.diverged`; what saving a checkpoint throws, as `.checkpoint`.
    package func run(
        _ data: TrainingData, checkpoints: CheckpointStore? = nil,
        progress: (TrainingProgress) -> Void = { _ in }
    ) throws(TrainError) -> TrainingResult {
        let feeder = try BatchFeeder(data, program: program, teacher: teacher, settings: settings)
        let total = steps(for: data.count)
        let batch = samplesPerPass == 1 ? max(1, min(settings.batchSize, data.count)) : samplesPerPass
        var checkpoint = checkpoints.map { Checkpoint(key: $0.key) }
        var step = 0
        if let saved = checkpoints?.load(), var known = checkpoint,
            try known.restore(saved, into: state, maximumStep: total)
        {
            step = known.step
            optimizer.restore(steps: known.optimizerSteps)
            checkpoint = known
        }
        let begin = Model.now()
        var (lastSaved, lastShown) = (begin, begin)
        var course = step == 0 ? RunHistory() : RunHistory(in: history)
        let firstStep = step
        while step < total {
            program.zeroGradients()
            var (loss, correct) = (0.0, 0)
            for pass in 0..<batch / samplesPerPass {
                let result = feeder.pass(at: step * batch + pass * samplesPerPass, samples: samplesPerPass, of: batch)
                loss += result.loss
                correct += result.correct
            }
            guard loss.isFinite else {
                throw TrainError(
                    .diverged,
                    "the loss is no number after \(step) steps; take a smaller learning_rate or clip the gradient")
            }
            let rate = settings.learningRate * Float(settings.schedule.factor(step: step, of: total))
            let norm = optimizer.step(rate: rate)
            guard norm.isFinite else {
                throw TrainError(
                    .diverged, "the gradient is no number after \(step) steps; take a smaller learning_rate")
            }
            step += 1
            course.add(loss / Double(batch), Double(correct) / Double(batch))
            let now = Model.now()
            if now - lastShown > 0.2 || step == total {
                lastShown = now
                progress(
                    TrainingProgress(
                        epoch: Double(step * batch) / Double(data.count), epochs: settings.epochs, step: step,
                        steps: total, loss: course.loss, accuracy: data.labels.isEmpty ? nil : course.accuracy,
                        secondsLeft: (now - begin) / Double(step - firstStep) * Double(total - step)))
            }
            if let checkpoints, let checkpoint, now - lastSaved > checkpoints.interval || step == total {
                lastSaved = now
                course.store(in: history)
                do {
                    try checkpoints.save(
                        checkpoint.encoded(step: step, optimizerSteps: optimizer.stepCount, buffers: state))
                } catch {
                    throw TrainError(.checkpoint, "the checkpoint cannot be written: \(error)")
                }
            }
        }
        return TrainingResult(
            graph: program.updated(graph), scales: scales, firstLoss: course.firstLoss, lastLoss: course.loss,
            steps: total, seconds: Model.now() - begin)
    }

    /// Everything that changes from step to step.
    private var state: [TrainBuffer] {
        program.parameters.map(\.slot.value) + program.statisticBuffers + optimizer.states.flatMap { $0 } + [history]
    }

    /// Of quantisers, as far as they have learned.
    package var scales: [ValueID: [Float]] {
        var scales: [ValueID: [Float]] = [:]
        for parameter in program.parameters {
            guard let id = parameter.quantizes else { continue }
            scales[id] =
                quantizers[id].map { zip($0.scales, parameter.values).map { $0 * max($1, 0) } } ?? parameter.values
        }
        return scales
    }
}

extension Trainer {
    /// The mean loss over samples, without augmentation and without steps; with a batch that is no divisor of their number
    /// some count twice.
    package func loss(_ data: TrainingData) throws(TrainError) -> Double {
        var plain = settings
        plain.augmentation = .none
        let feeder = try BatchFeeder(data, program: program, teacher: teacher, settings: plain)
        let passes = (data.count + samplesPerPass - 1) / samplesPerPass
        var sum = 0.0
        for pass in 0..<passes {
            sum += feeder.loss(at: pass * samplesPerPass, samples: samplesPerPass)
        }
        return sum / Double(passes * samplesPerPass)
    }
}

/// The first loss, and means that forget.
private struct RunHistory {
    static let byteCount = 4 * MemoryLayout<Double>.size

    private(set) var firstLoss = Double.nan
    private(set) var loss = 0.0
    private(set) var accuracy = 0.0
    private var count = 0.0

    init() {}

    init(in buffer: TrainBuffer) {
        func number(_ index: Int) -> Double { buffer.raw.load(fromByteOffset: index * 8, as: Double.self) }
        (firstLoss, loss, accuracy, count) = (number(0), number(1), number(2), number(3))
    }

    func store(in buffer: TrainBuffer) {
        for (index, number) in [firstLoss, loss, accuracy, count].enumerated() {
            buffer.raw.storeBytes(of: number, toByteOffset: index * 8, as: Double.self)
        }
    }

    mutating func add(_ loss: Double, _ accuracy: Double) {
        if count == 0 { firstLoss = loss }
        count = min(count + 1, 20)
        self.loss += (loss - self.loss) / count
        self.accuracy += (accuracy - self.accuracy) / count
    }
}
