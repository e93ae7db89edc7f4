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
                stage = Stage(name: "quantize", graph: try quantize(graph, quantization, recipe))
            case .fineTune(let tuning):
                stage = try fineTune(graph, tuning, recipe, index)
            case .lowRank(let lowRank):
                stage = try self.lowRank(graph, lowRank, recipe, index)
            }
        }
        return stage
    }

    private func fineTune(
        _ graph: Graph, _ tuning: FineTuning, _ recipe: Recipe, _ index: Int
    ) throws(CompressError) -> Stage {
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
        let key = checkpointKey(recipe, index, data: data.hash)
        let pass = FineTunePass(
            tuning: tuning, data: data, teacher: request.model.graph, metric: request.metric, options: options,
            checkpoints: request.checkpoints?.store("\(recipe.name)-\(index + 1)", key: key)
        ) { progress(.training("fine-tune \(recipe.name)", $0)) }
        let (tuned, note) = try pass.run(graph)
        return Stage(name: "fine_tune", graph: tuned, note: note)
    }

    /// What a checkpoint of a step depends on.
    private func checkpointKey(_ recipe: Recipe, _ index: Int, data: String) -> String {
        [
            Ounce.version, recipe.canonicalHash, String(index), request.model.hash, data,
            request.calibration?.hash ?? "", String(options.threads),
        ].joined(separator: " ")
    }

    private func lowRank(
        _ graph: Graph, _ lowRank: LowRank, _ recipe: Recipe, _ index: Int
    ) throws(CompressError) -> Stage {
        let isInt8 = recipe.steps[index...].contains {
            if case .quantize(let quantization) = $0 { quantization.activations == .int8 } else { false }
        }
        // The more samples, the better is known what layers see.
        let data = [request.calibration, request.training].compactMap { $0 }.max { $0.count < $1.count }
        guard data != nil || lowRank.dataAware != true else {
            throw CompressError(
                .recipe, "low_rank with data_aware needs samples: give --calibration F.npz, or write data_aware: false")
        }
        let progress = self.progress
        var pass = LowRankPass(
            recipe: lowRank, calibration: lowRank.dataAware == false ? nil : data, options: options, isInt8: isInt8
        ) { progress(.working("factorise for \(recipe.name)", $0)) }
        let key = checkpointKey(recipe, index, data: data?.hash ?? "")
        let store = request.checkpoints?.store("\(recipe.name)-\(index + 1)-layers", key: key)
        if let store { pass.measured = MeasuredChoices(store) }
        let (factored, note) = try pass.run(graph)
        let stage = Stage(name: "low_rank", graph: factored, note: note)
        guard let tuning = lowRank.fineTune else { return stage }
        let tuned = try fineTune(factored, tuning, recipe, index)
        return Stage(
            name: stage.name, graph: tuned.graph, note: [note, tuned.note].compactMap { $0 }.joined(separator: "; "))
    }

    private func quantize(
        _ graph: Graph, _ quantization: Quantization, _ recipe: Recipe
    ) throws(CompressError) -> Graph {
        let graph = quantization.equalize ? try Equalization.equalized(graph) : graph
        let pass = QuantizePass(recipe: quantization)
        guard quantization.activations == .int8 else { return try pass.quantizedWeights(of: graph) }
        guard let calibration = request.calibration else {
            throw CompressError(
                .recipe,
                "int8 activations need calibration data: give --calibration F.npz with a hundred samples or so, or take "
                    + "a recipe with 'samples: synthetic'")
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
