import OunceConfig
import OunceGraph
import OunceRuntime

/// A float graph with weights of few bits and, where the recipe says so, activations as integers.
///
/// Source of the scheme: arXiv 1712.05877 and 1806.08342; bias correction: arXiv 1906.04721, section 4.2.
package struct QuantizePass {
    private let recipe: Quantization

    package init(recipe: Quantization) { self.recipe = recipe }

    /// A graph and what is to be told about it.
    package struct Outcome {
        package var graph: Graph
        package var note: String?
    }

    /// Weights only, each to the nearest number: stored in few bits, computed in float.
    package func quantizedWeights(of graph: Graph) throws(CompressError) -> Graph {
        try weightsOnly(graph, nil, nil).graph
    }

    package func quantized(_ calibrator: Calibrator) throws(CompressError) -> Graph {
        try run(calibrator.graph, calibrator).graph
    }

    /// - Parameters:
    ///   - calibrator: of this graph; nil where the recipe needs no samples.
    ///   - training: where the recipe trains.
    package func run(
        _ graph: Graph, _ calibrator: Calibrator?, training: QuantizationTraining? = nil
    ) throws(CompressError) -> Outcome {
        if recipe.weights.format.kind == .float16 {
            let (result, count) = HalfPrecision.rounded(graph) { recipe.selection.covers($0, in: graph) }
            guard count > 0 else { throw nothingToDo }
            return Outcome(graph: result, note: "\(count) constants in half precision")
        }
        guard recipe.activations != .float32, let calibrator else {
            return try weightsOnly(graph, calibrator, training)
        }
        return try weightsAndActivations(calibrator, training)
    }

    private func weightsOnly(
        _ graph: Graph, _ calibrator: Calibrator?, _ training: QuantizationTraining?
    ) throws(CompressError) -> Outcome {
        let formats = LayerFormats(graph, recipe)
        let layers = formats.formats.keys.sorted()
        guard !layers.isEmpty else { throw nothingToDo }
        var rounder = WeightRounder(recipe: recipe, formats: formats, calibrator: calibrator)
        if let training {
            let trained = try training.run(graph, rounder: rounder, layers: layers, plan: nil, grids: nil)
            return Outcome(
                graph: try checked(installing(trained.weights, in: trained.graph)),
                note: joined(formats.note, trained.note))
        }
        let weights = try rounder.round(graph, layers)
        return Outcome(
            graph: try checked(installing(weights, in: graph)), note: joined(formats.note, rounder.note))
    }

    /// Layers whose input or output int8 would spoil compute in float; their weights become int8 nevertheless, but for the
    /// few of an entrance whose inputs differ so much in size that rounding them would spoil it.
    private func weightsAndActivations(
        _ calibrator: Calibrator, _ training: QuantizationTraining?
    ) throws(CompressError) -> Outcome {
        var graph = calibrator.graph
        let isWide = recipe.activations == .int16
        let entrance =
            isWide ? [] : try InputPrecision(calibrator: calibrator, recipe: recipe).layersWithFloatInput()
        let exit = !isWide && recipe.floatOutput ? OutputPrecision.layersWithFloatOutput(graph) : []
        let float = entrance.union(exit)
        let large = graph.parameterCount / 8
        let formats = LayerFormats(graph, recipe)
        let storedOnly = float.filter {
            formats[$0] != nil && (!entrance.contains($0) || weightCount(graph, $0) > large)
        }.sorted()
        let plan = QuantizePlan(graph, recipe, float: float)
        guard plan.nodes.contains(where: { QuantizePlan.isLayer(graph.nodes[$0]) }) else { throw nothingToDo }
        let signed = plan.signed.limited(to: plan.int8Values, graph)
        let layers = plan.nodes.filter { QuantizePlan.isLayer(graph.nodes[$0]) }.sorted()
        var rounder = WeightRounder(recipe: recipe, formats: formats, calibrator: calibrator)
        let weights: [Int: WeightQuantizer.Result]
        let grids: ActivationGrids
        var means: [ValueID: [Double]] = [:]
        if let training {
            let statistics = try calibrator.observe(plan.watched)
            let trained = try training.run(
                graph, rounder: rounder, layers: layers + storedOnly, plan: plan,
                grids: ActivationGrids(plan, recipe, statistics, signed: signed))
            (weights, grids) = (
                trained.weights, trained.grids ?? ActivationGrids(plan, recipe, statistics, signed: signed)
            )
            graph = installing(weights.filter { storedOnly.contains($0.key) }, in: trained.graph)
            rounder.note = trained.note
        } else {
            let stored = try rounder.round(graph, storedOnly)
            graph = installing(stored, in: graph)
            let statistics = try calibrator.observe(plan.watched)
            grids = ActivationGrids(plan, recipe, statistics, signed: signed)
            weights = try rounder.round(graph, layers) { node in
                isWide ? nil : grids.minimumScales(graph, node)
            }
            means = statistics.mapValues(\.channelMeans)
        }
        var builder = QuantizedGraphBuilder(
            graph, grids: grids, weights: weights, means: means, signed: signed)
        let scores = Set(plan.attentions.values.map(\.scoreNode))
        let softmaxes = Set(plan.attentions.values.map(\.softmaxNode))
        for (index, node) in graph.nodes.enumerated() {
            if scores.contains(index) {
                try builder.addScores(node)
            } else if softmaxes.contains(index) {
                try builder.addAttentionWeights(node)
            } else if plan.attentions[index] != nil {
                try builder.addAttention(node, isInteger: plan.int8Values.contains(node.outputs[0]))
            } else if plan.nodes.contains(index), let scaling = plan.scaling(node) {
                try builder.addScaling(node, by: scaling.number)
            } else if plan.nodes.contains(index) {
                try builder.addQuantized(node, index)
            } else {
                try builder.addFloat(node, sumsIntegers: exit.contains(index))
            }
        }
        return Outcome(graph: try checked(try builder.finish()), note: joined(formats.note, rounder.note))
    }

    /// The graph with these weights under float operators, and biases that make up for them.
    private func installing(_ weights: [Int: WeightQuantizer.Result], in graph: Graph) -> Graph {
        var result = graph
        for (index, quantized) in weights.sorted(by: { $0.key < $1.key }) {
            let node = graph.nodes[index]
            guard let id = node.inputs[1] else { continue }
            result.nodes[index].inputs[1] = result.addConstant(
                quantized.weights, name: graph[id].name, encoding: quantized.encoding)
            guard let shift = quantized.biasShift else { continue }
            let old = node.inputs.count > 2 ? node.inputs[2].flatMap { graph[$0].constant?.elements(Float.self) } : nil
            let bias = shift.indices.map { Float(Double(old?[$0] ?? 0) + shift[$0]) }
            let added = result.addConstant(Tensor(bias), name: "\(node.name)/bias")
            result.nodes[index].inputs = Array(node.inputs.prefix(1)) + [result.nodes[index].inputs[1], added]
        }
        return result
    }

    private func weightCount(_ graph: Graph, _ index: Int) -> Int {
        let inputs = graph.nodes[index].inputs
        return inputs.count > 1 ? inputs[1].flatMap { graph[$0].constant?.count } ?? 0 : 0
    }

    private func joined(_ notes: String?...) -> String? {
        let given = notes.compactMap { $0 }
        return given.isEmpty ? nil : given.joined(separator: "; ")
    }

    private var nothingToDo: CompressError {
        CompressError(
            .recipe,
            "the model has no float convolution or fully connected layer that the recipe's layers name; "
                + "'ounce inspect' shows the names")
    }

    private func checked(_ graph: Graph) throws(CompressError) -> Graph {
        // An empty patch: drops what is no longer used.
        try CompressError.wrapping(.recipe) { try graph.applying(GraphPatch(for: graph)) }
    }
}
