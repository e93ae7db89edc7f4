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
                stage = try quantize(graph, quantization, recipe, index)
            case .fineTune(let tuning):
                stage = try fineTune(graph, tuning, recipe, index)
            }
        }
        return stage
    }

    private func fineTune(
        _ graph: Graph, _ tuning: FineTuning, _ recipe: Recipe, _ index: Int
    ) throws(CompressError) -> Stage {
        let (tuned, note) = try trainer(tuning, recipe, index).run(graph)
        return Stage(name: "fine_tune", graph: tuned, note: note)
    }

    /// Training with the data of the request.
    ///
    /// - Parameter index: of the step that trains.
    private func trainer(
        _ tuning: FineTuning, _ recipe: Recipe, _ index: Int
    ) throws(CompressError) -> FineTunePass {
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
        let key = [
            Ounce.version, recipe.canonicalHash, String(index), request.model.hash, data.hash,
            request.calibration?.hash ?? "", String(options.threads),
        ].joined(separator: " ")
        return FineTunePass(
            tuning: tuning, data: data, teacher: request.model.graph, metric: request.metric, options: options,
            checkpoints: request.checkpoints?.store("\(recipe.name)-\(index + 1)", key: key)
        ) { progress(.training("fine-tune \(recipe.name)", $0)) }
    }

    private func quantize(
        _ graph: Graph, _ quantization: Quantization, _ recipe: Recipe, _ index: Int
    ) throws(CompressError) -> Stage {
        let progress = self.progress
        let isLearned = quantization.weights.rounding == .learned
        if quantization.activations != .float32 || isLearned, request.calibration == nil {
            let what = isLearned ? "learned rounding needs" : "\(quantization.activations.rawValue) activations need"
            throw CompressError(
                .recipe, "\(what) calibration data: give --calibration F.npz with a hundred samples or so")
        }
        let calibrator = request.calibration.map {
            Calibrator(graph: graph, dataset: $0, options: options) {
                progress(.working("calibrate \(recipe.name)", $0))
            }
        }
        let training = try quantization.fineTune.map { (tuning) throws(CompressError) in
            let trainer = try trainer(tuning, recipe, index)
            return QuantizationTraining { (graph, constraints, frozen) throws(CompressError) in
                var trainer = trainer
                trainer.constraints = constraints
                trainer.frozen = frozen
                return try trainer.train(graph)
            }
        }
        let outcome = try QuantizePass(recipe: quantization).run(graph, calibrator, training: training)
        return Stage(name: "quantize", graph: outcome.graph, note: outcome.note)
    }
}

/// What a compression is doing.
package enum CompressionProgress: Sendable {
    /// A stage and the share of it that is done.
    case working(String, Double)
    /// A stage of training.
    case training(String, TrainingProgress)
}
