import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTrain

/// Takes out of a float model what matters least, in rounds, with training between them where the recipe says so.
struct PrunePass {
    let pruning: Pruning
    /// What importance is measured on; nil: there are no samples.
    let data: Dataset?
    let metric: Metric
    let options: RuntimeOptions
    /// The share that is done.
    let progress: @Sendable (Double) -> Void
    /// Trains a graph after a round, from 1 on.
    let fineTune: (Graph, FineTuning, TrainingConstraints, _ round: Int) throws(CompressError) -> (Graph, String)

    /// - Returns: the graph with fewer weights, and what went, for the report.
    /// - Throws: `.recipe` where nothing can be pruned or samples are missing.
    func run(_ graph: Graph) throws(CompressError) -> (graph: Graph, note: String) {
        guard !graph.isQuantized else {
            throw CompressError(.recipe, "prune works on float weights; write the step before 'quantize' in the recipe")
        }
        return pruning.what.isStructural ? try structural(graph) : try zeros(graph)
    }

    private var taylor: TaylorScores {
        get throws(CompressError) {
            guard let data else {
                throw CompressError(
                    .recipe,
                    "prune: importance taylor looks at samples: give --data F.npz or --calibration F.npz, or take l1")
            }
            return TaylorScores(data: data, metric: metric, options: options, seed: pruning.seed)
        }
    }

    private func tuned(
        _ graph: Graph, _ round: Int, _ masks: [ValueID: [Float]] = [:]
    ) throws(CompressError) -> (Graph, String) {
        guard let tuning = pruning.fineTuning else { return (graph, "") }
        let (result, note) = try fineTune(graph, tuning, TrainingConstraints(masks: masks), round)
        return (result, pruning.rounds == 1 ? "; \(note)" : "; round \(round): \(note)")
    }

    private func structural(_ original: Graph) throws(CompressError) -> (graph: Graph, note: String) {
        var graph = original
        var start: ChannelPruner.Start?
        var (notes, summary) = ("", "")
        for round in 1...pruning.rounds {
            var pruner = try ChannelPruner(pruning, graph, start: start)
            start = pruner.start
            if let data, pruning.reconstructs {
                pruner.reconstruction = try ChannelReconstruction(
                    pruner.coupling, pruner.families, of: graph, data: data, options: options)
            }
            let scores = try scores(pruner)
            var damage: ChannelDamage?
            if let data, looksForCounts {
                damage = try ChannelDamage(
                    graph, data: data, options: options, budget: Self.lookBudget / max(8 * pruner.families.count, 1))
            }
            let result = try pruner.pruned(
                scores: scores, damage: damage, share: pruning.progress(after: round), progress: progress)
            graph = result.graph
            summary = pruner.summary(result.cost)
            let (next, note) = try tuned(graph, round)
            graph = next
            notes += note
        }
        try check(graph)
        let before = Self.counts(original)
        let changes = Self.counts(graph).sorted { $0.key < $1.key }.filter { before[$0.key] != $0.value }
        let gone = before.keys.filter { Self.counts(graph)[$0] == nil }.count
        let note = "\(summary); \(changes.count) layers are narrower, \(gone) are gone"
        return (graph, note + notes)
    }

    /// Whether samples say how much each family loses.
    private var looksForCounts: Bool {
        if case .removed = pruning.amount { false } else { pruning.scope == .global }
    }

    /// Multiply-accumulates that looking for a good distribution may take.
    private static let lookBudget = 1_000_000_000_000

    private func scores(_ pruner: ChannelPruner) throws(CompressError) -> [[Int: Double]] {
        let measured =
            pruning.importance == .taylor ? try taylor.channels(pruner.coupling, of: pruner.graph) : [:]
        let scores = ChannelScores(coupling: pruner.coupling, graph: pruner.graph)
        var result: [[Int: Double]] = []
        for family in pruner.families {
            result.append(try scores.scores(family, pruning.importance, seed: pruning.seed, taylor: measured))
        }
        return result
    }

    /// Output channels of layers, by name.
    private static func counts(_ graph: Graph) -> [String: Int] {
        var counts: [String: Int] = [:]
        for node in graph.nodes where graph.layerKind(node) != nil {
            if node.inputs.count > 1, let w = node.inputs[1] { counts[node.name] = graph[w].shape.dims.first }
        }
        return counts
    }

    /// Whether the graph runs, and gives numbers.
    private func check(_ graph: Graph) throws(CompressError) {
        let outputs = try CompressError.wrapping(.recipe) {
            let model = try Model(
                graph: graph, options: RuntimeOptions(allowedISAs: options.allowedISAs, threads: options.threads))
            return try model.run(SyntheticInput.sample(for: model.inputs, seed: 1), stream: try model.makeStream())
        }
        guard outputs.allSatisfy({ $0.floats().allSatisfy(\.isFinite) }) else {
            throw CompressError(.recipe, "prune: the smaller model gives numbers that are not finite")
        }
    }

    private func zeros(_ original: Graph) throws(CompressError) -> (graph: Graph, note: String) {
        var graph = original
        var notes = ""
        var zeros = 0.0
        for round in 1...pruning.rounds {
            let measured = pruning.importance == .taylor ? try taylor.weights(of: graph) : nil
            let result = try WeightPruner(pruning: pruning, graph: graph)
                .pruned(taylor: measured, share: pruning.progress(after: round))
            zeros = result.zeros
            var made = result.graph
            if let data, pruning.reconstructs {
                made = try WeightReconstruction(data: data, options: options)
                    .adapted(made, original: graph, masks: result.masks)
            }
            let (next, note) = try tuned(made, round, result.masks)
            graph = next
            notes += note
        }
        return (graph, "\(Compressor.text(zeros * 100, 1)) % of the chosen layers' weights are zero" + notes)
    }
}
