import OunceConfig
import OunceGraph

/// Rounds the weights of layers as a recipe says.
struct WeightRounder {
    let recipe: Quantization
    let formats: LayerFormats
    /// Where moments for learned rounding come from; nil: every weight goes to the nearest number.
    let calibrator: Calibrator?
    /// How it went, for people.
    var note: String?

    init(recipe: Quantization, formats: LayerFormats, calibrator: Calibrator?) {
        self.recipe = recipe
        self.formats = formats
        self.calibrator = calibrator
    }

    /// Eight bits leave next to nothing to win: beside narrow layers they are rounded to the nearest, also where the others
    /// learn.
    private func isLearned(_ layer: Int) -> Bool {
        !recipe.weights.format.isNarrow || formats[layer]?.isNarrow == true
    }

    func weights(_ graph: Graph, _ layer: Int) -> Tensor? {
        let node = graph.nodes[layer]
        return node.inputs.count > 1 ? node.inputs[1].flatMap { graph[$0].constant } : nil
    }

    func grid(_ graph: Graph, _ layer: Int, minimumScales: [Float]? = nil) -> WeightGrid? {
        guard let weights = weights(graph, layer), let format = formats[layer] else { return nil }
        return WeightGrid(
            weights, perChannel: recipe.perChannel, minimumScales: minimumScales, bits: format.bits,
            group: format.group)
    }

    /// - Parameters:
    ///   - layers: indices in the graph's nodes.
    ///   - minimumScales: for each channel of a layer a scale not to go below.
    mutating func round(
        _ graph: Graph, _ layers: [Int], minimumScales: (Node) -> [Float]? = { _ in nil }
    ) throws(CompressError) -> [Int: WeightQuantizer.Result] {
        var results: [Int: WeightQuantizer.Result] = [:]
        if recipe.weights.rounding == .learned, let calibrator {
            var ratios: [Double] = []
            try MomentCollector(calibrator).collect(layers.filter(isLearned)) { index, moments in
                guard let weights = weights(graph, index), let format = formats[index],
                    let outcome = LearnedRounding.round(
                        weights, moments: moments, perChannel: recipe.perChannel,
                        minimumScales: minimumScales(graph.nodes[index]), format: (format.bits, format.group))
                else { return }
                results[index] = outcome.result
                ratios.append(outcome.errorRatio)
            }
            if !ratios.isEmpty {
                let share = ratios.reduce(0, +) / Double(ratios.count) * 100
                note =
                    (note.map { $0 + ", " } ?? "learned rounding leaves ")
                    + "\(Compressor.text(share, 0)) % of the error at the outputs of \(ratios.count) "
                    + (ratios.count == 1 ? "layer" : "layers")
            }
        }
        for index in layers where results[index] == nil {
            let minimum = minimumScales(graph.nodes[index])
            guard let values = weights(graph, index)?.elements(Float.self),
                let grid = grid(graph, index, minimumScales: minimum), let result = grid.result(grid.rounded(values))
            else { throw CompressError(.recipe, "\(graph.nodes[index].name): the weights are no float32 numbers") }
            results[index] = result
        }
        return results
    }
}
