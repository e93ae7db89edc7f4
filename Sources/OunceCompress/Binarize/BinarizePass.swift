import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTrain

/// Makes the weights of layers signs times a size for each output channel, and where wanted what they meet signs, too; then
/// trains (arXiv 1603.05279; thresholds: arXiv 2003.03488; signs of activations before those of weights: as there and in
/// arXiv 2003.11535).
///
/// The result is a float graph: `quantize` finds the signs in it and stores them as such.
struct BinarizePass {
    let recipe: Binarization
    /// Samples to fit and to train with.
    let data: Dataset
    let options: RuntimeOptions
    /// Gives the training of a round; rounds count from 1.
    let training: (_ round: Int, FineTuning) throws(CompressError) -> FineTunePass

    /// - Returns: the graph and how it went, for the report.
    /// - Throws: `.recipe` where there is nothing to do, or nothing that could be trained.
    func run(_ graph: Graph) throws(CompressError) -> (graph: Graph, note: String) {
        guard !graph.isQuantized else {
            throw CompressError(
                .recipe, "binarize trains float weights; write the step before 'quantize' in the recipe")
        }
        let ends = recipe.keepsEnds ? graph.endLayers() : []
        var layers: [ValueID] = []
        for (index, node) in graph.nodes.enumerated() where graph.canBeBinary(node) && !ends.contains(index) {
            if recipe.selection.covers(node, in: graph) { layers.append(node.outputs[0]) }
        }
        guard !layers.isEmpty else {
            throw CompressError(
                .recipe,
                "binarize: the model has no dense layer that 'layers', 'keep', 'kinds' and 'min_parameters' choose"
                    + (ends.isEmpty
                        ? "" : " besides its first and last ones, which 'keep_ends: true' leaves as they are")
                    + "; 'ounce inspect' shows the names")
        }
        var graph = graph
        var notes: [String] = []
        let rounds = recipe.activations == .binary && recipe.isProgressive ? 2 : 1
        let tuning = recipe.fineTuning.lasting(recipe.fineTuning.epochs / Double(rounds))
        if recipe.activations == .binary {
            graph = try withSigns(graph, layers)
            if rounds == 2 {
                let pass = try prepared(training(1, tuning), graph)
                let (result, note) = try pass.train(graph)
                graph = result.graph
                notes.append("signs of activations: " + note)
            }
        }
        let binary = try withBinaryWeights(graph, layers)
        var pass = try prepared(training(rounds, tuning), binary.graph)
        pass.constraints.binaryWeights = binary.weights
        let (result, note) = try pass.train(binary.graph)
        graph = binary.finished(result)
        notes.append((rounds == 2 ? "signs of weights: " : "") + note)
        let share = weightShare(graph, layers)
        let summary =
            "\(layers.count) layer\(layers.count == 1 ? "" : "s") with \(Compressor.text(share * 100, 0)) % of the "
            + "parameters"
        let checked = try CompressError.wrapping(.recipe) { try graph.applying(GraphPatch(for: graph)) }
        return (checked, ([summary] + notes).joined(separator: "; "))
    }

    private func weightShare(_ graph: Graph, _ layers: [ValueID]) -> Double {
        let binary = graph.nodes.filter { layers.contains($0.outputs[0]) }
            .reduce(0) { $0 + ($1.inputs[1].flatMap { graph[$0].constant?.count } ?? 0) }
        return Double(binary) / Double(max(graph.parameterCount, 1))
    }

    private func prepared(_ pass: FineTunePass, _ graph: Graph) throws(CompressError) -> FineTunePass {
        var pass = pass
        pass.constraints.units = try BinaryTraining.units(of: graph, data, options)
        pass.constraints.signs = try BinaryTraining.signs(
            of: graph, data, options, recipe.estimator == .clipped ? .clipped : .approximate)
        return pass
    }

    // MARK: Activations

    /// Signs before the layers, whose weights and biases are then fitted to what they gave before.
    private func withSigns(_ graph: Graph, _ layers: [ValueID]) throws(CompressError) -> Graph {
        let inputs = Set(graph.nodes.filter { layers.contains($0.outputs[0]) }.compactMap { $0.inputs[0] })
        let observer = ValueObserver(graph: graph, data: data, options: options)
        let thresholds = try observer.channels(of: Array(inputs)).mapValues { $0.map { Float($0.mean) } }
        let fits = try fits(graph, layers, signsOfInputs: thresholds, signsOfWeights: false)
        var result = graph
        for (index, node) in result.nodes.enumerated() {
            guard let lines = fits[node.outputs[0]], let w = node.inputs[1], let weights = result[w].constant,
                let values = weights.elements(Float.self)
            else { continue }
            let inner = values.count / lines.count
            let scaled = values.enumerated().map { $1 * lines[$0 / inner].gain }
            result.nodes[index].inputs[1] = Tensor(scaled, shape: weights.shape).map {
                result.addConstant($0, name: result[w].name)
            }
            setBias(lines.map(\.offset), &result, index)
        }
        var insertion = SignInsertion(result)
        try insertion.insert(before: Set(layers), thresholds: thresholds)
        return insertion.graph
    }

    // MARK: Weights

    /// Sizes and biases that bring the signs of the weights closest to what the layers gave before.
    private func withBinaryWeights(_ graph: Graph, _ layers: [ValueID]) throws(CompressError) -> BinaryTraining {
        let fits = try fits(graph, layers, signsOfInputs: [:], signsOfWeights: true)
        var graph = graph
        var sizes: [ValueID: [Float]] = [:]
        for (index, node) in graph.nodes.enumerated() {
            guard let lines = fits[node.outputs[0]], let w = node.inputs[1], let weights = graph[w].constant else {
                continue
            }
            // A constant of its own, whoever else reads the old one.
            let own = graph.addConstant(weights, name: graph[w].name)
            graph.nodes[index].inputs[1] = own
            setBias(lines.map(\.offset), &graph, index)
            sizes[own] = lines.map(\.gain)
        }
        var binary = BinaryTraining(graph)
        for (id, sizes) in sizes { binary.add(id, sizes: sizes, learnsSizes: recipe.scaling == .learned) }
        return binary
    }

    private func setBias(_ bias: [Float], _ graph: inout Graph, _ index: Int) {
        let name = graph.nodes[index].name + "/bias"
        graph.nodes[index].inputs =
            Array(graph.nodes[index].inputs.prefix(2)) + [
                graph.addConstant(Tensor(bias), name: name)
            ]
    }

    /// For each layer, by its output: the lines from what it gives with signs, without bias, to what it gives without.
    private func fits(
        _ graph: Graph, _ layers: [ValueID], signsOfInputs thresholds: [ValueID: [Float]], signsOfWeights: Bool
    ) throws(CompressError) -> [ValueID: [(gain: Float, offset: Float)]] {
        var probe = graph
        var pairs: [ValueID] = []
        let probed = graph.nodes.filter { layers.contains($0.outputs[0]) }
        do {
            for node in probed {
                guard let x = node.inputs[0], let w = node.inputs[1], let weights = graph[w].constant else { continue }
                var source = x
                if let threshold = thresholds[x] {
                    let constant = probe.addConstant(Tensor(threshold), name: "threshold")
                    source = try probe.append(.binary(.subtract, .none), [x, constant], name: "probe/minus")
                    source = try probe.append(.unary(.function(.sign)), [source], name: "probe/sign")
                }
                var signs = w
                if signsOfWeights {
                    let values = weights.floats().map { $0 < 0 ? -1 : 1 as Float }
                    signs = Tensor(values, shape: weights.shape).map { probe.addConstant($0, name: "signs") } ?? w
                }
                let op = node.op.withoutActivation
                pairs.append(try probe.append(op, node.inputs, name: "probe/before"))
                pairs.append(try probe.append(op, [source, signs], name: "probe/after"))
            }
        } catch {
            throw CompressError(.recipe, error.description)
        }
        var fits = probed.map { ChannelFit(channels: max(graph[$0.outputs[0]].shape.dims.last ?? 1, 1)) }
        try ValueObserver(graph: probe, data: data, options: options).observe(pairs) { values in
            for place in fits.indices { fits[place].add(x: values[2 * place + 1], y: values[2 * place]) }
        }
        return Dictionary(uniqueKeysWithValues: zip(probed.map { $0.outputs[0] }, fits.map(\.lines)))
    }
}

extension Op {
    /// The layer without what is fused behind it.
    fileprivate var withoutActivation: Op {
        switch self {
        case .conv(var conv):
            conv.activation = .none
            return .conv(conv)
        case .fullyConnected: return .fullyConnected(.none)
        default: return self
        }
    }
}
