import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTrain

/// Trains the weights of a graph as it is, to win accuracy back.
struct FineTunePass {
    let tuning: FineTuning
    let data: Dataset
    /// The original float model.
    let teacher: Graph
    let metric: Metric
    let options: RuntimeOptions
    /// What earlier steps want kept as it is.
    var constraints = TrainingConstraints()
    /// Constants that stay as they are whatever the recipe says.
    var frozen: Set<ValueID> = []
    var checkpoints: CheckpointStore?
    let progress: @Sendable (TrainingProgress) -> Void

    /// - Returns: the graph with other constants, and how training went, for the report.
    /// - Throws: `.recipe` for what cannot be trained, `.data` for data that do not fit.
    func run(_ graph: Graph) throws(CompressError) -> (graph: Graph, note: String) {
        var pass = self
        let binary = BinaryTraining(resuming: graph)
        pass.constraints.binaryWeights.merge(binary.weights) { own, _ in own }
        pass.constraints.signs.merge(try BinaryTraining.signs(of: graph, data, options)) { own, _ in own }
        let units = try graph.trainingUnits(data, options).filter { pass.constraints.binaryWeights[$0.key] == nil }
        pass.constraints.units.merge(units) { own, _ in own }
        let (result, note) = try pass.train(binary.graph)
        return (binary.finished(result), note)
    }

    /// - Returns: what the trainer made, and how training went, for the report.
    /// - Throws: `.recipe` for what cannot be trained, `.data` for data that do not fit.
    func train(_ graph: Graph) throws(CompressError) -> (result: TrainingResult, note: String) {
        guard !graph.isQuantized else {
            throw CompressError(
                .recipe, "fine_tune trains float weights; write the step before 'quantize' in the recipe")
        }
        let labels: TrainingLabels = tuning.loss == .mse ? .targets(width: width(of: graph)) : .classes
        let (learned, held) = Self.division(of: data.count, tuning.loss)
        let samples = try data.trainingData(labels, isRequired: tuning.loss == .crossEntropy, samples: learned)
        let judge = try held.map { (held) throws(CompressError) in
            try data.trainingData(labels, isRequired: false, samples: held)
        }
        let settings = settings(graph, hasLabels: samples.hasLabels)
        var constraints = constraints
        constraints.trainable = try trainable(in: graph)
        constraints.masks.merge(graph.zeroMasks) { given, _ in given }
        do {
            let trainer = try Trainer(
                graph: graph, settings: settings, teacher: tuning.loss == .distill ? teacher : nil,
                constraints: constraints, sampleCount: samples.count)
            let untrained = trainer.scales
            let before = try judge.map { (judge) throws(TrainError) in try trainer.loss(judge) }
            let result = try trainer.run(samples, checkpoints: checkpoints, progress: progress)
            var note =
                "\(result.steps) steps of \(min(tuning.batchSize, samples.count)) samples, loss "
                + "\(Compressor.text(result.firstLoss, 4)) to \(Compressor.text(result.lastLoss, 4))"
            if tuning.labelWeight > 0, case .distill(_, _, _, 0) = settings.loss {
                note += ", without labels: " + (samples.hasLabels ? "the model is no classifier" : "the data hold none")
            }
            if let judge, let before, try trainer.loss(judge) >= before {
                var unchanged = result
                (unchanged.graph, unchanged.scales) = (graph, untrained)
                let reason = "; the weights stay as they were: on \(judge.count) samples kept apart they came no nearer"
                return (unchanged, note + reason)
            }
            return (result, note)
        } catch {
            throw CompressError(error.code == .data ? .data : .recipe, "fine_tune: \(error.message)")
        }
    }

    /// Samples to learn from, and some that tell whether distillation helped: agreement with the original says little
    /// about samples that were learned by heart. nil: labels are what counts, or there are too few.
    private static func division(of count: Int, _ loss: FineTuning.Loss) -> (learned: [Int], held: [Int]?) {
        let all = Array(0..<count)
        guard loss == .distill, count >= 20 else { return (all, nil) }
        let period = count < 500 ? 5 : max(10, count / 256)
        return (all.filter { $0 % period != period - 1 }, all.filter { $0 % period == period - 1 })
    }

    /// The constants of the layers that the recipe names.
    private func trainable(in graph: Graph) throws(CompressError) -> Set<ValueID> {
        let all = Set(graph.trainableConstants)
        var chosen: Set<ValueID> = []
        for node in graph.nodes where tuning.covers(layer: node.name) {
            chosen.formUnion(node.inputs.compactMap { $0 }.filter(all.contains))
        }
        chosen.subtract(frozen)
        guard !chosen.isEmpty else {
            throw CompressError(.recipe, "fine_tune: no layer with float weights matches 'layers' and 'freeze'")
        }
        return chosen
    }

    private func width(of graph: Graph) -> Int {
        graph.outputs.first.map { graph[$0].shape.dims.dropFirst().reduce(1) { $0 * max($1, 1) } } ?? 0
    }

    private func settings(_ graph: Graph, hasLabels: Bool) -> TrainingSettings {
        let isClassifier = graph.scoresClasses(metric)
        let loss: Loss =
            switch tuning.loss {
            case .crossEntropy: .crossEntropy
            case .mse: .mse
            case .distill:
                .distill(
                    temperature: Float(tuning.temperature), divergence: 1, error: 0.5,
                    labels: isClassifier && hasLabels ? Float(tuning.labelWeight) : 0)
            }
        let schedule: Schedule.Kind =
            switch tuning.schedule {
            case .cosine: .cosine
            case .constant: .constant
            case .step: .step(at: [0.5, 0.75], factor: 0.1)
            }
        let augmentation = tuning.augmentation
        return TrainingSettings(
            loss: loss, optimizer: tuning.optimizer == .adamw ? .adamW : .sgd, learningRate: Float(tuning.rate),
            schedule: Schedule(schedule, warmup: tuning.warmup), epochs: tuning.epochs, batchSize: tuning.batchSize,
            weightDecay: Float(tuning.weightDecay), clipNorm: Float(tuning.clip),
            augmentation: Augmentation(
                shift: augmentation.shift, flip: augmentation.flip, noise: Float(augmentation.noise),
                timeMask: augmentation.timeMask, mixup: Float(augmentation.mixup)),
            seed: UInt64(tuning.seed), threads: options.threads, allowedISAs: options.allowedISAs,
            isClassifier: isClassifier)
    }
}

extension Graph {
    /// Whether the first output scores classes: a vector of another size than the input, judged by the best of it.
    func scoresClasses(_ metric: Metric) -> Bool {
        guard metric == .top1 || metric == .fidelity, let output = outputs.first, self[output].shape.rank == 2,
            let input = inputs.first
        else { return false }
        return self[output].shape[1] > 1 && self[output].shape.dims.dropFirst() != self[input].shape.dims.dropFirst()
    }

    /// For weights of which a tenth or more is zero: what was pruned stays so.
    var zeroMasks: [ValueID: [Float]] {
        var masks: [ValueID: [Float]] = [:]
        for id in trainableConstants where self[id].shape.rank >= 2 {
            guard let numbers = self[id].constant?.elements(Float.self) else { continue }
            if numbers.count(where: { $0 == 0 }) * 10 >= max(numbers.count, 1) {
                masks[id] = numbers.map { $0 == 0 ? 0 : 1 }
            }
        }
        return masks
    }

    /// Whether any value that nodes use is on an integer grid.
    var isQuantized: Bool {
        nodes.contains { node in
            (node.inputs.compactMap { $0 } + node.outputs).contains { self[$0].encoding != .plain }
        }
    }
}
