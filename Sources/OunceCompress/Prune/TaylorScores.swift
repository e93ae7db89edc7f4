import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTrain

/// First-order importance: what the loss of a sample would change, to first order, if a weight or a channel were zero
/// (arXiv 1611.06440, 1906.10771). Samples are looked at one by one, because their gradients cancel in the mean.
struct TaylorScores {
    let data: Dataset
    let metric: Metric
    let options: RuntimeOptions
    let seed: Int

    /// Samples that are looked at.
    static let samples = 256

    /// The mean over samples of the square of what each set of channels does, summed over all that read it: exact to first
    /// order also where many layers do.
    func channels(_ coupling: ChannelCoupling, of graph: Graph) throws(CompressError) -> [Int: Double] {
        var sums: [Int: Double] = [:]
        let readers = Dictionary(grouping: coupling.consumers) { $0.constant }
        try measure(graph) { parameters in
            var own: [Int: Double] = [:]
            for parameter in parameters {
                guard let id = parameter.id, let uses = readers[id] else { continue }
                for axis in Set(uses.map(\.axis)) {
                    let products = parameter.products(along: axis)
                    for (place, root) in coupling.roots(id, axis).enumerated() {
                        own[root, default: 0] += Double(products[place])
                    }
                }
            }
            for (root, value) in own { sums[root, default: 0] += value * value }
        }
        return sums.mapValues { ($0 / Double(Self.samples)).squareRoot() }
    }

    /// The mean of `|weight · gradient|` of every weight.
    func weights(of graph: Graph) throws(CompressError) -> [ValueID: [Float]] { try measure(graph) { _ in } }

    @discardableResult
    private func measure(
        _ graph: Graph, visit: ([TrainingParameter]) -> Void
    ) throws(CompressError) -> [ValueID: [Float]] {
        let (samples, loss) = try labelled(graph)
        let settings = TrainingSettings(
            loss: loss, batchSize: 1, seed: UInt64(seed), threads: options.threads, allowedISAs: options.allowedISAs)
        do {
            let trainer = try Trainer(graph: graph, settings: settings, sampleCount: samples.count)
            return try trainer.importance(samples, batches: Self.samples, visit: visit)
        } catch {
            throw CompressError(
                error.code == .data ? .data : .recipe,
                "prune with importance taylor: \(error.message); 'importance: l1' needs no gradients")
        }
    }

    /// Samples with something to lose. Without labels: classes by the model's own answers; for other outputs numbers that
    /// lie beside its own, in random directions, so that the squared gradient is that of all outputs.
    private func labelled(_ graph: Graph) throws(CompressError) -> (TrainingData, Loss) {
        let chosen = data.spread(Self.samples)
        let samples = try data.trainingData(.classes, isRequired: false, samples: chosen)
        let isClassifier = graph.scoresClasses(metric)
        if isClassifier, samples.hasLabels { return (samples, .crossEntropy) }
        let model = try CompressError.wrapping(.recipe) {
            try Model(graph: graph, options: RuntimeOptions(allowedISAs: options.allowedISAs, threads: options.threads))
        }
        let run = try SampleRun(model, over: data)
        var random = SplitMix(seed: UInt64(seed) &+ 1)
        var (classes, targets) = ([Int32](), [Float]())
        for index in chosen {
            for window in 0..<data.windows {
                let outputs = try run(index, window: window)
                guard let numbers = outputs.first?.floats() else { continue }
                if isClassifier {
                    classes.append(Int32(Evaluator.argmax(numbers)))
                } else {
                    let size = (numbers.reduce(0) { $0 + $1 * $1 } / Float(max(numbers.count, 1))).squareRoot()
                    targets += numbers.map { $0 + (random.unit() < 0.5 ? -size : size) }
                }
            }
        }
        do {
            if isClassifier { return (try samples.labelled(classes), .crossEntropy) }
            let width = targets.count / max(samples.count, 1)
            return (try samples.labelled([], targets: Tensor(targets, shape: [samples.count, width])), .mse)
        } catch {
            throw CompressError(.data, "prune: \(error.message)")
        }
    }
}

extension Dataset {
    /// So many samples, evenly from the whole.
    func spread(_ limit: Int) -> [Int] {
        let wanted = min(limit, count)
        return (0..<wanted).map { $0 * count / wanted }
    }
}
