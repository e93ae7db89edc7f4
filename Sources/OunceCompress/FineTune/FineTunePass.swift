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
        let (result, note) = try train(graph)
        return (result.graph, note)
    }

    /// Likewise, with all that training gave.
    func train(_ graph: Graph) throws(CompressError) -> (result: TrainingResult, note: String) {
        guard !graph.isQuantized else {
            throw CompressError(
                .recipe, "fine_tune trains float weights; write the step before 'quantize' in the recipe")
        }
        let labels: TrainingLabels = tuning.loss == .mse ? .targets(width: width(of: graph)) : .classes
        let samples = try data.trainingData(labels, isRequired: tuning.loss == .crossEntropy)
        let settings = settings(graph)
        var constraints = constraints
        constraints.trainable = try trainable(in: graph)
        do {
            let trainer = try Trainer(
                graph: graph, settings: settings, teacher: tuning.loss == .distill ? teacher : nil,
                constraints: constraints, sampleCount: samples.count)
            let result = try trainer.run(samples, checkpoints: checkpoints, progress: progress)
            let note =
                "\(result.steps) steps of \(min(tuning.batchSize, samples.count)) samples, loss "
                + "\(Compressor.text(result.firstLoss, 4)) to \(Compressor.text(result.lastLoss, 4))"
            return (result, note)
        } catch {
            throw CompressError(error.code == .data ? .data : .recipe, "fine_tune: \(error.message)")
        }
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

    /// Whether outputs score classes: a vector of another size than the input, judged by the best of it.
    private func isClassifier(_ graph: Graph) -> Bool {
        guard metric == .top1 || metric == .fidelity, let output = graph.outputs.first, graph[output].shape.rank == 2,
            let input = graph.inputs.first
        else { return false }
        return graph[output].shape[1] > 1 && graph[output].shape.dims.dropFirst() != graph[input].shape.dims.dropFirst()
    }

    private func settings(_ graph: Graph) -> TrainingSettings {
        let loss: Loss =
            switch tuning.loss {
            case .crossEntropy: .crossEntropy
            case .mse: .mse
            case .distill: .distill(temperature: Float(tuning.temperature), divergence: 1, error: 0.5)
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
                timeMask: augmentation.timeMask),
            seed: UInt64(tuning.seed), threads: options.threads, allowedISAs: options.allowedISAs,
            isClassifier: isClassifier(graph))
    }
}

extension Graph {
    /// Whether any value that nodes use is on an integer grid.
    var isQuantized: Bool {
        nodes.contains { node in
            (node.inputs.compactMap { $0 } + node.outputs).contains { self[$0].encoding != .plain }
        }
    }
}
