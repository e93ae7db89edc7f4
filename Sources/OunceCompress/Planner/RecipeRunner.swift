import OunceConfig
import OunceGraph
import OunceRuntime

/// Applies the steps of a recipe to a float graph.
struct RecipeRunner {
    let options: RuntimeOptions
    let calibration: Dataset?
    let progress: @Sendable (CompressionProgress) -> Void

    /// - Throws: `.recipe` where a step cannot be applied, with the reason.
    func apply(_ recipe: Recipe, to graph: Graph) throws(CompressError) -> Graph {
        var graph = graph
        for step in recipe.steps {
            switch step {
            case .quantize(let quantization): graph = try quantize(graph, quantization, recipe)
            }
        }
        return graph
    }

    private func quantize(
        _ graph: Graph, _ quantization: Quantization, _ recipe: Recipe
    ) throws(CompressError) -> Graph {
        let pass = QuantizePass(recipe: quantization)
        guard quantization.activations == .int8 else { return try pass.quantizedWeights(of: graph) }
        guard let calibration else {
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
}
