import OunceConfig
import OunceGraph

extension RecipeRunner {
    func quantize(
        _ graph: Graph, _ quantization: Quantization, _ recipe: Recipe, _ index: Int
    ) throws(CompressError) -> Stage {
        let graph = quantization.equalize ? try Equalization.equalized(graph) : graph
        let progress = self.progress
        let isLearned = quantization.weights.rounding == .learned
        if quantization.activations != .float32 || isLearned, request.calibration == nil {
            let what = isLearned ? "learned rounding needs" : "\(quantization.activations.rawValue) activations need"
            throw CompressError(
                .recipe,
                "\(what) calibration data: give --calibration F.npz with a hundred samples or so, or take a recipe with "
                    + "'samples: synthetic'")
        }
        let calibrator = request.calibration.map {
            Calibrator(graph: graph, dataset: $0, options: options) {
                progress(.working("calibrate \(recipe.name)", $0))
            }
        }
        let training = try quantization.fineTune.map { (tuning) throws(CompressError) in
            let trainer = try self.training(tuning, of: "quantize", recipe, index)
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
