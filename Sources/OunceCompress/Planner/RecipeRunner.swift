import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTrain

/// Applies the steps of a recipe to a float graph.
struct RecipeRunner {
    let request: CompressionRequest
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
        var stage: Stage?
        for (index, step) in recipe.steps.enumerated() {
            if let stage { try finished(stage) }
            let graph = stage?.graph ?? graph
            switch step {
            case .quantize(let quantization):
                stage = Stage(name: "quantize", graph: try quantize(graph, quantization, recipe))
            case .fineTune(let tuning):
                let (tuned, note) = try tuned(graph, tuning, recipe, index)
                stage = Stage(name: "fine_tune", graph: tuned, note: note)
            case .prune(let pruning):
                stage = try prune(graph, pruning, recipe, index)
            }
        }
        return stage
    }

    /// Training as a step of its own, or in rounds (from 1 on) of the step at `index`.
    func tuned(
        _ graph: Graph, _ tuning: FineTuning, _ recipe: Recipe, _ index: Int, round: Int? = nil,
        _ constraints: TrainingConstraints = TrainingConstraints()
    ) throws(CompressError) -> (Graph, String) {
        guard let data = request.training ?? (tuning.loss == .distill ? request.calibration : nil) else {
            throw CompressError(
                .recipe,
                tuning.loss == .distill
                    ? "fine_tune needs samples: give --data F.npz, or --calibration F.npz"
                    : "fine_tune with loss \(tuning.loss.rawValue) needs training data: give --data F.npz")
        }
        if let validation = request.validation, validation.hash == data.hash {
            throw CompressError(
                .data, "fine_tune would train on the data that judge it; give --data other samples than --validation")
        }
        let progress = self.progress
        let place = ([index + 1] + (round.map { [$0] } ?? [])).map(String.init).joined(separator: "-")
        let key = [
            Ounce.version, recipe.canonicalHash, place, request.model.hash, data.hash,
            request.calibration?.hash ?? "", String(options.threads),
        ].joined(separator: " ")
        let pass = FineTunePass(
            tuning: tuning, data: data, teacher: request.model.graph, metric: request.metric, options: options,
            constraints: constraints, checkpoints: request.checkpoints?.store("\(recipe.name)-\(place)", key: key)
        ) { progress(.training("fine-tune \(recipe.name)", $0)) }
        return try pass.run(graph)
    }

    private func quantize(
        _ graph: Graph, _ quantization: Quantization, _ recipe: Recipe
    ) throws(CompressError) -> Graph {
        let pass = QuantizePass(recipe: quantization)
        guard quantization.activations == .int8 else { return try pass.quantizedWeights(of: graph) }
        guard let calibration = request.calibration else {
            throw CompressError(
                .recipe, "int8 activations need calibration data: give --calibration F.npz with a hundred samples or so"
            )
        }
        let progress = self.progress
        return try pass.quantized(
            Calibrator(graph: graph, dataset: calibration, options: options) {
                progress(.working("calibrate \(recipe.name)", $0))
            })
    }
}

/// What a compression is doing.
package enum CompressionProgress: Sendable {
    /// A stage and the share of it that is done.
    case working(String, Double)
    /// A stage of training.
    case training(String, TrainingProgress)
}
