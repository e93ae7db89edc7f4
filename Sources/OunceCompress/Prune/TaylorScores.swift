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

    /// Samples that are looked at, and gradients of each.
    static let samples = 256
    static let draws = 2

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
        return sums.mapValues { $0.squareRoot() }
    }

    /// The mean of `|weight · gradient|` of every weight.
    func weights(of graph: Graph) throws(CompressError) -> [ValueID: [Float]] {
        var sums: [ValueID: [Float]] = [:]
        try measure(graph) { parameters in
            for parameter in parameters { parameter.id.map { parameter.addImportance(to: &sums[$0, default: []]) } }
        }
        return sums
    }

    private func measure(_ graph: Graph, visit: ([TrainingParameter]) -> Void) throws(CompressError) {
        let chosen = data.spread(Self.samples)
        let samples = try data.trainingData(.classes, isRequired: false, samples: chosen)
        do {
            try OutputSensitivity.gradients(
                of: graph, over: samples, samples: samples.count, draws: Self.draws,
                isClassifier: graph.scoresClasses(metric), seed: UInt64(seed) &+ 1, threads: options.threads,
                allowedISAs: options.allowedISAs, visit: visit)
        } catch {
            throw CompressError(
                error.code == .data ? .data : .recipe,
                "prune with importance taylor: \(error.message); 'importance: l1' needs no gradients")
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
