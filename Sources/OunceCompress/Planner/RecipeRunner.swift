import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTrain

/// Applies the steps of a recipe to a float graph.
struct RecipeRunner {
    var request: CompressionRequest
    let options: RuntimeOptions
    let progress: @Sendable (CompressionProgress) -> Void

    /// What a step made.
    struct Stage {
        /// As the recipe calls it.
        var name: String
        var graph: Graph
        /// How it went, for people; nil: nothing to tell.
        var note: String?
    }

    /// - Parameter finished: is given what each step but the last made.
    /// - Returns: what the last step made, nil where the recipe has no steps.
    /// - Throws: `.recipe` where a step cannot be applied, with the reason.
    func apply(
        _ recipe: Recipe, to graph: Graph, finished: (Stage) throws(CompressError) -> Void
    ) throws(CompressError) -> Stage? {
        guard recipe.samples == .given else {
            var runner = self
            progress(.working("make samples for \(recipe.name)", 0))
            runner.request.calibration = try SyntheticSamples(
                graph: graph, source: request.model.source, options: options
            ).dataset()
            return try runner.applySteps(recipe, to: graph, finished: finished)
        }
        return try applySteps(recipe, to: graph, finished: finished)
    }

    private func applySteps(
        _ recipe: Recipe, to graph: Graph, finished: (Stage) throws(CompressError) -> Void
    ) throws(CompressError) -> Stage? {
        var stage: Stage?
        for (index, step) in recipe.steps.enumerated() {
            if let stage { try finished(stage) }
            let graph = stage?.graph ?? graph
            switch step {
            case .quantize(let quantization):
                stage = try quantize(graph, quantization, recipe, index)
            case .fineTune(let tuning):
                stage = try fineTune(graph, tuning, recipe, index)
            case .prune(let pruning):
                try refuseSigns(graph, "prune")
                stage = try prune(graph, pruning, recipe, index)
            case .binarize(let binarization):
                stage = try binarize(graph, binarization, recipe, index)
            case .lowRank(let lowRank):
                try refuseSigns(graph, "low_rank")
                stage = try self.lowRank(graph, lowRank, recipe, index)
            }
        }
        return stage
    }

    /// - Throws: where a step would undo what `binarize` made.
    private func refuseSigns(_ graph: Graph, _ step: String) throws(CompressError) {
        guard graph.binaryWeights().isEmpty else {
            throw CompressError(
                .recipe, "\(step) would undo the signs that 'binarize' made; write it before 'binarize' in the recipe")
        }
    }

    func fineTune(
        _ graph: Graph, _ tuning: FineTuning, _ recipe: Recipe, _ index: Int
    ) throws(CompressError) -> Stage {
        let (tuned, note) = try training(tuning, of: "fine_tune", recipe, index).run(graph)
        return Stage(name: "fine_tune", graph: tuned, note: note)
    }

    /// The samples that a step trains with.
    ///
    /// - Throws: `.recipe` where there are none, `.data` where they are those that judge.
    func trainingData(_ tuning: FineTuning, of step: String) throws(CompressError) -> Dataset {
        guard let data = request.training ?? (tuning.loss == .distill ? request.calibration : nil) else {
            throw CompressError(
                .recipe,
                tuning.loss == .distill
                    ? "\(step) needs samples: give --data F.npz, or --calibration F.npz"
                    : "\(step) with loss \(tuning.loss.rawValue) needs training data: give --data F.npz")
        }
        if let validation = request.validation, validation.hash == data.hash {
            throw CompressError(
                .data, "\(step) would train on the data that judge it; give --data other samples than --validation")
        }
        return data
    }

    /// Training within a step, with checkpoints of its own.
    ///
    /// - Parameter round: for a step that trains several times; nil for one that trains once.
    func training(
        _ tuning: FineTuning, of step: String, _ recipe: Recipe, _ index: Int, round: Int? = nil,
        _ constraints: TrainingConstraints = TrainingConstraints()
    ) throws(CompressError) -> FineTunePass {
        let data = try trainingData(tuning, of: step)
        let progress = self.progress
        let name = "\(recipe.name)-\(index + 1)" + (round.map { "-\($0)" } ?? "")
        let key = checkpointKey(recipe, index, round: round, data: data.hash)
        let stage = step == "fine_tune" ? "fine-tune \(recipe.name)" : "\(step) \(recipe.name)"
        let shown = stage + (round.map { ", round \($0)" } ?? "")
        return FineTunePass(
            tuning: tuning, data: data, teacher: request.model.graph, metric: request.metric, options: options,
            constraints: constraints, checkpoints: request.checkpoints?.store(name, key: key)
        ) { progress(.training(shown, $0)) }
    }

    /// What a checkpoint of a step depends on.
    func checkpointKey(_ recipe: Recipe, _ index: Int, round: Int? = nil, data: String) -> String {
        [
            Ounce.version, recipe.canonicalHash, "\(index)" + (round.map { "-\($0)" } ?? ""), request.model.hash, data,
            request.calibration?.hash ?? "", String(options.threads),
        ].joined(separator: " ")
    }
}

/// What a compression is doing.
package enum CompressionProgress: Sendable {
    /// A stage and the share of it that is done.
    case working(String, Double)
    /// A stage of training.
    case training(String, TrainingProgress)
}
