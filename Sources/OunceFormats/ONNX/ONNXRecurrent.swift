import OunceGraph

extension ONNXTranslation {
    mutating func recurrent(_ kind: Recurrent.Kind, _ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("output_sequence")
        let layout = node.int("layout", default: 0)
        guard layout == 0 || layout == 1 else { throw .corrupt("layout is \(layout)") }
        let direction = node.string("direction", default: "forward")
        guard ["forward", "reverse", "bidirectional"].contains(direction) else {
            throw .corrupt("direction is '\(direction)'")
        }
        let directions = direction == "bidirectional" ? 2 : 1
        let weights = (try value(node, 1), try value(node, 2))
        guard rank(weights.0) == 3, rank(weights.1) == 3, shape(weights.0)[0] == directions else {
            throw .corrupt("weights \(shape(weights.0)) and \(shape(weights.1)) for \(directions) directions")
        }
        let hidden = node.int("hidden_size", default: shape(weights.1)[2])
        let activations = try self.activations(kind, directions: directions, &node)
        let clip = node.attribute("clip").map(\.f) ?? .infinity
        let couples = kind == .lstm && node.int("input_forget", default: 0) != 0
        let linear = kind == .gru && node.int("linear_before_reset", default: 0) != 0
        var x = try value(node, 0)
        if layout == 1 { x = try transpose(x, [1, 0, 2]) }
        let lengths = try optionalValue(node, 4).map { (id) throws(ImportFailure) in try cast(id, .int32) }
        var all: [ValueID] = []
        for index in 0..<directions {
            let layer = Recurrent(
                kind: kind, hidden: hidden, isReversed: direction == "reverse" || index == 1,
                activations: activations[index], clip: clip, couplesGates: couples, linearBeforeReset: linear)
            var inputs: [ValueID?] = [x]
            for place in [1, 2, 3] { inputs.append(try part(node, place, index)) }
            inputs.append(lengths)
            for place in [5, 6] { inputs.append(try part(node, place, index, axis: layout)) }
            inputs.append(kind == .lstm ? try part(node, 7, index) : nil)
            while inputs.last == .some(nil) { inputs.removeLast() }
            all.append(try make(.recurrent(layer), inputs))
        }
        // Row t of each is h at time t; then follow the last h and the last c.
        let rows = kind == .lstm ? 2 : 1
        if wants(node, output: 1) {
            bind(node, output: 1, .value(try last(all, from: -rows, to: rows == 2 ? -1 : nil, layout)))
        }
        if rows == 2, wants(node, output: 2) { bind(node, output: 2, .value(try last(all, from: -1, to: nil, layout))) }
        guard wants(node, output: 0) else { return .missing }
        var parts: [ValueID] = []
        for id in all {
            let end = shape(id)[0] < 0 ? -rows : shape(id)[0] - rows
            let y = try slice(id, axis: 0, 0, end)
            parts.append(try reshape(y, [.copy(0), .literal(1), .copy(1), .copy(2)]))
        }
        let y = parts.count == 1 ? parts[0] : try make(.concat(axis: 1), parts.map { $0 })
        return .value(layout == 1 ? try transpose(y, [2, 0, 1, 3]) : y)
    }

    /// What input `index` holds for one direction, without the axis of directions.
    private mutating func part(
        _ node: ONNXNode, _ index: Int, _ direction: Int, axis: Int = 0
    ) throws(ImportFailure) -> ValueID? {
        guard let x = try optionalValue(node, index) else { return nil }
        guard rank(x) > axis + 1 || (axis == 0 && rank(x) >= 2) else { throw .corrupt("input \(index) is \(shape(x))") }
        let own = try slice(x, axis: axis, direction, direction + 1)
        return try reshape(own, shape(x).dims.indices.filter { $0 != axis }.map { .copy($0) })
    }

    private mutating func last(
        _ all: [ValueID], from start: Int, to end: Int?, _ layout: Int
    ) throws(ImportFailure) -> ValueID {
        var parts: [ValueID?] = []
        for id in all {
            let extent = shape(id)[0]
            func place(_ index: Int) -> Int { extent < 0 ? index : extent + index }
            parts.append(try slice(id, axis: 0, place(start), end.map(place)))
        }
        let states = parts.count == 1 ? parts[0] : try make(.concat(axis: 0), parts)
        guard let states else { throw .corrupt("no direction") }
        return layout == 1 ? try transpose(states, [1, 0, 2]) : states
    }

    private func activations(
        _ kind: Recurrent.Kind, directions: Int, _ node: inout ONNXNode
    ) throws(ImportFailure) -> [[Recurrent.GateActivation]] {
        let defaults: [String] =
            switch kind {
            case .rnn: ["Tanh"]
            case .gru: ["Sigmoid", "Tanh"]
            case .lstm: ["Sigmoid", "Tanh", "Tanh"]
            }
        let given = node.attribute("activations")?.strings.map { String(decoding: $0, as: UTF8.self) } ?? []
        let names = given.isEmpty ? Array(repeating: defaults, count: directions).flatMap { $0 } : given
        guard names.count == defaults.count * directions else {
            throw .corrupt("\(names.count) activations for \(directions) directions")
        }
        var alphas = (node.attribute("activation_alpha")?.floats ?? [])[...]
        var betas = (node.attribute("activation_beta")?.floats ?? [])[...]
        var all: [Recurrent.GateActivation] = []
        for name in names {
            // Name in lower case, and the defaults of alpha and beta where it has them.
            let known: [String: (Recurrent.Function, Float?, Float?)] = [
                "sigmoid": (.sigmoid, nil, nil), "tanh": (.tanh, nil, nil), "relu": (.relu, nil, nil),
                "affine": (.affine, 1, 0), "leakyrelu": (.leakyRelu, 0.01, nil),
                "thresholdedrelu": (.thresholdedRelu, 1, nil), "scaledtanh": (.scaledTanh, 1, 1),
                "hardsigmoid": (.hardSigmoid, 0.2, 0.5), "elu": (.elu, 1, nil), "softsign": (.softsign, nil, nil),
                "softplus": (.softplus, nil, nil),
            ]
            guard let (function, alpha, beta) = known[name.lowercased()] else {
                throw .unsupported("the activation '\(name.prefix(32))' is not known")
            }
            all.append(
                Recurrent.GateActivation(
                    function, alpha: alpha.map { alphas.popFirst() ?? $0 } ?? 0,
                    beta: beta.map { betas.popFirst() ?? $0 } ?? 0))
        }
        return (0..<directions).map { Array(all[$0 * defaults.count..<($0 + 1) * defaults.count]) }
    }
}
