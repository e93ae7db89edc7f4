import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTrain

/// Writes layers of a float graph as products of smaller layers.
struct LowRankPass {
    let recipe: LowRank
    /// nil: only the weights are looked at.
    let calibration: Dataset?
    let options: RuntimeOptions
    /// Whether the layers will be int8 when they run.
    let isInt8: Bool
    let progress: (Double) -> Void

    /// Samples that tell what the loss of a layer does to the model.
    private static let probeSamples = 32
    /// Of a matrix, the smaller one: decomposing takes time with its third power, a minute here.
    private static let largestSide = 2048
    /// What covariances are taken from, noisy copies included.
    private static let wantedSamples = 1024
    /// Of the copies.
    private static let noise = 0.3

    /// A layer and what may become of it.
    private struct Candidate {
        let index: Int
        let decomposition: LayerDecomposition
        var choices: [Factorization]
        var weight = 1.0
        var layer: LowRankLayer { decomposition.layer }
    }

    /// What was measured in a run that was killed, and where it is kept.
    var measured = MeasuredChoices()

    /// - Returns: the graph, and what became of which layer, for the report.
    /// - Throws: `.recipe` where no layer fits the step.
    func run(_ graph: Graph) throws(CompressError) -> (graph: Graph, note: String) {
        guard !graph.isQuantized else {
            throw CompressError(
                .recipe, "low_rank factorises float weights; write the step before 'quantize' in the recipe")
        }
        var measured = measured
        var refusals: [String: [String]] = [:]
        var candidates = try self.candidates(graph, &refusals)
        if case .ratio = recipe.target { try weigh(&candidates, in: graph) }
        var picks: [Int: Factorization] = [:]
        while true {
            picks = choose(candidates, of: graph)
            let slower = try slower(candidates, picks, in: graph, &measured)
            guard !slower.isEmpty else { break }
            for index in candidates.indices where slower.contains(candidates[index].index) {
                guard let pick = picks[candidates[index].index] else { continue }
                // The same form with more arithmetic would be no faster either.
                candidates[index].choices.removeAll { $0.macs >= pick.macs && $0.isSameForm(as: pick) }
                if candidates[index].choices.isEmpty {
                    refusals["not faster here", default: []].append(candidates[index].layer.node.name)
                }
            }
            candidates.removeAll { $0.choices.isEmpty }
        }
        for candidate in candidates where picks[candidate.index] == nil {
            refusals["no rank keeps what was asked for", default: []].append(candidate.layer.node.name)
        }
        let result = try replaced(candidates, picks, in: graph)
        return (result, note(graph, result, candidates, picks, refusals))
    }

    // MARK: Candidates

    private func candidates(
        _ graph: Graph, _ refusals: inout [String: [String]]
    ) throws(CompressError) -> [Candidate] {
        let chosen = graph.nodes.indices.filter { index in
            let node = graph.nodes[index]
            guard recipe.selection.covers(node, in: graph),
                let layer = LowRankLayer(node, in: graph, moments: nil)
            else { return false }
            return !layer.methods(recipe.method).isEmpty
        }
        guard !chosen.isEmpty else {
            throw LayerSelection.nothingFits("low_rank", "float layer that \(recipe.method.rawValue) can factorise and")
        }
        var moments: [ValueID: ChannelMoments] = [:]
        if let calibration {
            let inputs = Set(chosen.compactMap { graph.nodes[$0].inputs.first ?? nil })
            let samples = try calibration.withNoisyCopies(wanted: Self.wantedSamples, share: Self.noise)
            moments = try ChannelMoments.observe(
                inputs, of: graph, over: samples, options: options, progress: { progress($0 / 2) })
        }
        let gradients = try self.gradients(of: chosen, in: graph)
        var found: [Candidate] = []
        for (place, index) in chosen.enumerated() {
            let node = graph.nodes[index]
            guard let x = node.inputs.first ?? nil,
                let layer = LowRankLayer(node, in: graph, moments: moments[x], gradients: gradients[index])
            else { continue }
            guard min(layer.outputs, layer.inputs) <= Self.largestSide else {
                refusals["too large to decompose", default: []].append(node.name)
                continue
            }
            let decomposition = LayerDecomposition(layer, method: recipe.method)
            let choices = decomposition.candidates
            if choices.isEmpty {
                refusals["never smaller", default: []].append(node.name)
            } else {
                found.append(Candidate(index: index, decomposition: decomposition, choices: choices))
            }
            progress(0.5 + Double(place + 1) / Double(chosen.count) / 4)
        }
        return found
    }

    /// For each layer the second moments of the gradients of its outputs before their activation; empty where the model has
    /// operators without a gradient.
    private func gradients(of layers: [Int], in graph: Graph) throws(CompressError) -> [Int: [Double]] {
        guard let calibration else { return [:] }
        var split = graph
        var values: [Int: ValueID] = [:]
        split.nodes = []
        for (index, var node) in graph.nodes.enumerated() {
            guard layers.contains(index), let bounds = node.op.takeActivation() else {
                values[index] = node.outputs.first
                split.nodes.append(node)
                continue
            }
            let output = node.outputs[0]
            let before = split.add(Value(name: "\(node.name)/before", type: graph[output].type))
            values[index] = before
            node.outputs = [before]
            split.nodes.append(node)
            split.nodes.append(
                Node(
                    name: "\(node.name)/activation", op: .unary(.clip(bounds.low, bounds.high)), inputs: [before],
                    outputs: [output]))
        }
        let samples = try calibration.trainingData(.classes, isRequired: false)
        let wanted = layers.compactMap { values[$0] }
        guard
            let measured = try? OutputSensitivity.measure(
                wanted, in: split, over: samples, isClassifier: graph.scoresClasses, threads: options.threads,
                allowedISAs: options.allowedISAs)
        else { return [:] }
        var results: [Int: [Double]] = [:]
        for index in layers { results[index] = values[index].flatMap { measured[$0] } }
        return results
    }

    // MARK: Ranks

    private func choose(_ candidates: [Candidate], of graph: Graph) -> [Int: Factorization] {
        let picks: [Factorization?]
        switch recipe.target {
        case .energy(let share): picks = candidates.map { Self.cheapest($0.choices, loss: 1 - share) }
        case .error(let part): picks = candidates.map { Self.cheapest($0.choices, loss: part * part) }
        case .ratio(let share):
            let total = graph.parameterCount
            let fixed = total - candidates.reduce(0) { $0 + $1.layer.parameters }
            picks = RankAllocation.choose(
                candidates.map {
                    RankAllocation.Layer(parameters: $0.layer.parameters, choices: $0.choices, weight: $0.weight)
                }, budget: Int(Double(total) * share) - fixed)
        }
        return Dictionary(
            uniqueKeysWithValues: zip(candidates, picks).compactMap { pair in
                pair.1.map { (pair.0.index, $0) }
            })
    }

    private static func cheapest(_ choices: [Factorization], loss: Double) -> Factorization? {
        // Rounding of the sums of energies is no loss.
        choices.filter { $0.loss <= loss + 1e-12 }.min { ($0.macs, $0.parameters) < ($1.macs, $1.parameters) }
    }

    /// Finds what the loss of a layer does to the model's outputs: runs the model with this layer alone at half its size.
    private func weigh(_ candidates: inout [Candidate], in graph: Graph) throws(CompressError) {
        guard let calibration else { return }
        let samples = min(Self.probeSamples, calibration.count)
        let clean = try outputs(graph, calibration, samples)
        for index in candidates.indices {
            let candidate = candidates[index]
            let half = candidate.layer.parameters / 2
            let small = candidate.choices.filter { $0.parameters <= half }.min { $0.loss < $1.loss }
            guard let pick = small ?? candidate.choices.min(by: { $0.parameters < $1.parameters }), pick.loss > 0
            else { continue }
            let noisy = try outputs(
                try replaced([candidate], [candidate.index: pick], in: graph), calibration, samples)
            let error = zip(clean, noisy).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
            let energy = clean.reduce(0) { $0 + $1 * $1 }
            guard energy > 0, (error / energy).isFinite else { continue }
            // Never nothing: the samples do not say all.
            candidates[index].weight = max(error / energy / pick.loss, 1e-6)
            progress(0.75 + Double(index + 1) / Double(candidates.count) / 4)
        }
    }

    /// All numbers of the outputs over some samples; of classifiers those before the softmax.
    private func outputs(_ graph: Graph, _ data: Dataset, _ samples: Int) throws(CompressError) -> [Double] {
        var probed = graph
        let producers = graph.producers()
        probed.replaceClientOutputs(
            graph.clientOutputs.map { id in
                guard let node = producers[id].map({ graph.nodes[$0] }), case .softmax = node.op,
                    let scores = node.inputs.first ?? nil
                else { return id }
                return scores
            })
        let model = try CompressError.wrapping(.recipe) { try Model(graph: probed, options: options) }
        let run = try SampleRun(model, over: data)
        var numbers: [Double] = []
        for sample in 0..<samples {
            for window in 0..<data.windows {
                let results = try run(sample, window: window)
                numbers += results.prefix(graph.clientOutputs.count).flatMap { $0.doubles() }
            }
        }
        return numbers
    }

    // MARK: Replacing

    private func replaced(
        _ candidates: [Candidate], _ picks: [Int: Factorization], in graph: Graph
    ) throws(CompressError) -> Graph {
        do {
            var patch = GraphPatch(for: graph)
            for candidate in candidates {
                guard let pick = picks[candidate.index], let x = candidate.layer.node.inputs.first ?? nil
                else { continue }
                let factors = LayerFactors(candidate.decomposition, pick.form)
                patch.replacements[candidate.index] = try factors.nodes(
                    for: candidate.layer, in: graph, input: x, add: { patch.add($0) })
            }
            return try graph.applying(patch)
        } catch {
            throw CompressError(.recipe, "low_rank: \(error)")
        }
    }

    /// The layers whose products must not stand for them, because they were not measured faster. With `ratio`, what counts
    /// is the sum of all layers, and the worst of them goes.
    private func slower(
        _ candidates: [Candidate], _ picks: [Int: Factorization], in graph: Graph, _ measured: inout MeasuredChoices
    ) throws(CompressError) -> Set<Int> {
        guard recipe.onlyFaster else { return [] }
        var times: [Int: TimePair] = [:]
        for candidate in candidates {
            guard let pick = picks[candidate.index] else { continue }
            // Layers of one form and size take the same time.
            let key = candidate.layer.measuringKey(pick, isInt8: isInt8)
            if let known = measured[key] {
                times[candidate.index] = known
            } else {
                let pair = try measure(candidate, pick, in: graph)
                try measured.add(key, pair)
                times[candidate.index] = pair
            }
        }
        guard case .ratio = recipe.target else { return Set(times.filter { $0.value.ratio >= 1 }.keys) }
        let sums = times.values.reduce((before: 0.0, after: 0.0)) { ($0.before + $1.before, $0.after + $1.after) }
        guard sums.after >= sums.before else { return [] }
        let worst = times.max { ($0.value.ratio, $0.key) < ($1.value.ratio, $1.key) }
        return worst.map { [$0.key] } ?? []
    }

    private func measure(
        _ candidate: Candidate, _ pick: Factorization, in graph: Graph
    ) throws(CompressError) -> TimePair {
        // What cannot be measured is not faster.
        let unknown = TimePair(before: 0, after: 1)
        do {
            guard let x = candidate.layer.node.inputs.first ?? nil else { return unknown }
            var patch = GraphPatch(for: graph)
            let nodes = try LayerFactors(candidate.decomposition, pick.form).nodes(
                for: candidate.layer, in: graph, input: x, add: { patch.add($0) })
            let values = { (id: ValueID) in patch.value(id, in: graph) }
            guard let whole = try LayerTiming.chain([candidate.layer.node], values: values),
                let product = try LayerTiming.chain(nodes, values: values)
            else { return unknown }
            return LayerTiming(options: options, isInt8: isInt8).measure(whole, product) ?? unknown
        } catch {
            throw CompressError(.recipe, "low_rank: \(error)")
        }
    }

    // MARK: The note

    private func note(
        _ before: Graph, _ after: Graph, _ candidates: [Candidate], _ picks: [Int: Factorization],
        _ refusals: [String: [String]]
    ) -> String {
        func list(_ names: [String]) -> String {
            names.prefix(6).joined(separator: ", ") + (names.count > 6 ? " and \(names.count - 6) more" : "")
        }
        let done = candidates.compactMap { candidate in
            picks[candidate.index].map { "\(candidate.layer.node.name) \($0.text)" }
        }
        let share = Double(after.parameterCount) / Double(max(before.parameterCount, 1))
        var parts = [
            "\(done.count) layers factorised, \(Compressor.text(100 * share, 1)) % of the parameters kept"
                + (done.isEmpty ? "" : ": \(list(done))")
        ]
        for (reason, names) in refusals.sorted(by: { $0.key < $1.key }) {
            parts.append("left as they are, \(reason): \(list(names))")
        }
        return parts.joined(separator: "; ")
    }
}

extension Factorization {
    func isSameForm(as other: Factorization) -> Bool {
        switch (form, other.form) {
        case (.svd, .svd), (.tucker2, .tucker2), (.spatial, .spatial): true
        default: false
        }
    }
}

extension Op {
    /// Takes the activation off a layer; its bounds, nil where it has none.
    fileprivate mutating func takeActivation() -> (low: Float, high: Float)? {
        switch self {
        case .conv(var conv) where conv.activation != .none:
            defer { self = .conv(conv) }
            let bounds = conv.activation.bounds
            conv.activation = .none
            return bounds
        case .fullyConnected(let activation) where activation != .none:
            self = .fullyConnected(.none)
            return activation.bounds
        default: return nil
        }
    }
}
