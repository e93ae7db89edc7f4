import OunceGraph

/// The outputs of one direction of a recurrent layer as ONNX has them.
struct RecurrentParts {
    /// `[T, B, H]`
    var sequence: String
    /// Last h, and c of an LSTM: `[1, B, H]`
    var states: [String]
    /// T; unknown where it is negative.
    var length: Int
}

extension ONNXExport {
    mutating func recurrent(_ node: Node, _ x: ValueID, _ layer: Recurrent) throws(FormatError) {
        let name = node.name
        func input(_ index: Int) -> ValueID? { node.inputs.count > index ? node.inputs[index] : nil }
        var inputs = [try tensor(x, order: [0, 1, 2])]
        for index in 1...7 {
            // Lengths have no axis of directions.
            guard let id = input(index) else {
                inputs.append("")
                continue
            }
            inputs.append(index == 4 ? try tensor(id, order: [0]) : try withDirection(id))
        }
        while inputs.last == "" { inputs.removeLast() }
        var attributes: [String: ONNXAttribute] = ["hidden_size": .integer(layer.hidden)]
        if layer.isReversed { attributes["direction"] = .string("reverse") }
        if layer.clip < .infinity { attributes["clip"] = .float(layer.clip) }
        if layer.couplesGates { attributes["input_forget"] = .integer(1) }
        if layer.linearBeforeReset { attributes["linear_before_reset"] = .integer(1) }
        addActivations(layer, &attributes)
        let output = graph[node.outputs[0]].name
        let isLSTM = layer.kind == .lstm
        let type = isLSTM ? "LSTM" : layer.kind == .gru ? "GRU" : "RNN"
        var names = emit(
            type, inputs, name: name, outputs: ["\(output)_Y", "\(output)_Y_h"] + (isLSTM ? ["\(output)_Y_c"] : []),
            attributes)
        let axes = integers([1], name: "\(name)_directions")
        let sequence = emit(
            "Squeeze", [names.removeFirst(), axes], name: "\(name)_Squeeze", output: "\(output)_sequence")
        recurrents[node.outputs[0]] = RecurrentParts(
            sequence: sequence, states: names, length: graph[x].shape[0])
        if graph.outputs.contains(node.outputs[0]) { _ = try tensor(node.outputs[0], order: [0, 1, 2]) }
    }

    /// A parameter or state with ONNX's axis of directions before it.
    private mutating func withDirection(_ id: ValueID) throws(FormatError) -> String {
        if let constant = graph[id].constant, grid(id) == nil,
            let wide = constant.reshaped(Shape([1] + constant.shape.dims))
        {
            return initializer(wide, name: graph[id].name)
        }
        let name = graph[id].name
        let source = try tensor(id, order: Array(0..<rank(id)))
        return emit(
            "Unsqueeze", [source, integers([0], name: "\(name)_axes")], name: "\(name)_Unsqueeze",
            output: "\(name)_direction")
    }

    private func addActivations(_ layer: Recurrent, _ attributes: inout [String: ONNXAttribute]) {
        let usual: [Recurrent.Function] =
            switch layer.kind {
            case .rnn: [.tanh]
            case .gru: [.sigmoid, .tanh]
            case .lstm: [.sigmoid, .tanh, .tanh]
            }
        guard layer.activations.map(\.function) != usual else { return }
        var (names, alphas, betas): ([String], [Float], [Float]) = ([], [], [])
        for activation in layer.activations {
            let (name, hasAlpha, hasBeta) =
                switch activation.function {
                case .sigmoid: ("Sigmoid", false, false)
                case .tanh: ("Tanh", false, false)
                case .relu: ("Relu", false, false)
                case .affine: ("Affine", true, true)
                case .leakyRelu: ("LeakyRelu", true, false)
                case .thresholdedRelu: ("ThresholdedRelu", true, false)
                case .scaledTanh: ("ScaledTanh", true, true)
                case .hardSigmoid: ("HardSigmoid", true, true)
                case .elu: ("Elu", true, false)
                case .softsign: ("Softsign", false, false)
                case .softplus: ("Softplus", false, false)
                }
            names.append(name)
            if hasAlpha { alphas.append(activation.alpha) }
            if hasBeta { betas.append(activation.beta) }
        }
        attributes["activations"] = .strings(names)
        if !alphas.isEmpty { attributes["activation_alpha"] = .floats(alphas) }
        if !betas.isEmpty { attributes["activation_beta"] = .floats(betas) }
    }

    /// The value as the graph has it: h at each time, then the last states.
    mutating func joined(_ parts: RecurrentParts, name: String) -> String {
        emit(
            "Concat", [parts.sequence] + parts.states, name: "\(name)_Concat", output: name, ["axis": .integer(0)])
    }

    /// Where a slice of a recurrent layer's value reads only the sequence, or all of one state: that tensor, and the
    /// range of its first axis.
    func recurrentSource(_ x: ValueID, _ range: SliceRange) -> (name: String, range: SliceRange)? {
        guard let parts = recurrents[x] else { return nil }
        let states = parts.states.count
        let (length, rows) = (parts.length, parts.length + states)
        guard length >= 0 else {
            guard range.step == 1 else { return nil }
            if range.start == 0, range.end == -states { return (parts.sequence, .all) }
            guard (-states..<0).contains(range.start), (range.end ?? 0) == range.start + 1 else { return nil }
            return (parts.states[states + range.start], .all)
        }
        let (start, end) = (range.start, min(range.end ?? rows, rows))
        guard start >= 0, end > start else { return nil }
        if end <= length {
            return (parts.sequence, start == 0 && end == length && range.step == 1 ? .all : range)
        }
        guard start >= length, end == start + 1 else { return nil }
        return (parts.states[start - length], .all)
    }
}
