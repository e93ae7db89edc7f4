import OunceGraph

/// If, Loop and Scan, unrolled: the branch that is taken, each round of a loop whose count is known.
extension ONNXTranslation {
    private static let maximumDepth = 8
    /// Of all loops of a model together.
    private static let maximumRounds = 1 << 12

    private func body(_ name: String, _ node: inout ONNXNode) throws(ImportFailure) -> ONNXGraphProto {
        guard let graph = node.attribute(name)?.g else { throw .corrupt("\(name) is missing") }
        guard depth < Self.maximumDepth else { throw .unsupported("bodies within over \(Self.maximumDepth) others") }
        return graph
    }

    /// Translates a body whose inputs stand for `inputs`; names of the surroundings are known in it.
    private mutating func inline(
        _ body: ONNXGraphProto, _ inputs: [ONNXBinding]
    ) throws(ImportFailure) -> [ONNXBinding] {
        guard body.input.count == inputs.count else {
            throw .corrupt("a body takes \(body.input.count) inputs, \(inputs.count) are given")
        }
        rounds += 1
        guard rounds <= Self.maximumRounds else { throw .unsupported("over \(Self.maximumRounds) rounds of loops") }
        let place = location
        let made = Set(body.node.flatMap(\.output) + body.initializer.map(\.name) + body.input.map(\.name))
        let hidden = made.map { ($0, bindings[$0], materialized[$0]) }
        for name in made {
            bindings[name] = nil
            materialized[name] = nil
        }
        for (input, binding) in zip(body.input, inputs) { bindings[input.name] = binding }
        for initializer in body.initializer { bindings[initializer.name] = .constant(try initializer.tensor(), .plain) }
        depth += 1
        defer {
            depth -= 1
            location = place
            for (name, binding, id) in hidden {
                bindings[name] = binding
                materialized[name] = id
                absentOutputs.remove(name)
            }
        }
        for proto in body.node {
            var node = ONNXNode(proto)
            try run(&node)
        }
        var outputs: [ONNXBinding] = []
        for output in body.output {
            guard let binding = bindings[output.name] else { throw .corrupt("'\(output.name)' is made by no node") }
            outputs.append(binding)
        }
        return outputs
    }

    mutating func identity(_ binding: ONNXBinding) throws(ImportFailure) -> ValueID {
        switch binding {
        case .value(let id): return id
        case .constant(let tensor, let encoding):
            guard encoding == .plain else { throw .unsupported("quantised constants in a body") }
            return builder.constant(tensor, name: "\(location).constant")
        case .extents(let list):
            if let known = knownExtents(list) { return try numbers(known) }
            throw .unsupported("extents that are not known; export with fixed shapes")
        case .sequence: throw .unsupported("a sequence where a tensor is wanted")
        case .missing: throw .unsupported("its body uses what is not supported")
        }
    }

    private mutating func flag(_ binding: ONNXBinding) throws(ImportFailure) -> Bool {
        switch binding {
        case .constant(let tensor, _): return tensor.doubles().first ?? 0 != 0
        case .value(let id):
            if let constant = builder.graph[id].constant { return constant.doubles().first ?? 0 != 0 }
            need(id)
        default: break
        }
        throw .unsupported("its condition is not known on import; export without control flow that depends on data")
    }

    mutating func branch(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let isTaken = try flag(try binding(node, 0))
        node.ignore("then_branch", "else_branch")
        let outputs = try inline(try body(isTaken ? "then_branch" : "else_branch", &node), [])
        return try giveOutputs(node, outputs)
    }

    private mutating func giveOutputs(
        _ node: ONNXNode, _ outputs: [ONNXBinding]
    ) throws(ImportFailure) -> ONNXBinding {
        guard outputs.count >= node.proto.output.count, let first = outputs.first else {
            throw .corrupt("a body gives \(outputs.count) outputs, \(node.proto.output.count) are wanted")
        }
        for (index, output) in outputs.enumerated().dropFirst() { bind(node, output: index, output) }
        return first
    }

    mutating func loop(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let body = try body("body", &node)
        let rounds = try integers(node, 0)?.first ?? Int.max
        var isRunning = node.input(1) == nil ? true : try flag(try binding(node, 1))
        var state: [ONNXBinding] = []
        for index in node.proto.input.indices.dropFirst(2) { state.append(try binding(node, index)) }
        let scans = body.output.count - 1 - state.count
        guard scans >= 0 else { throw .corrupt("a body with \(body.output.count) outputs") }
        var collected = [[ValueID?]](repeating: [], count: scans)
        var round = 0
        while isRunning, round < rounds {
            guard let number = Tensor([Int64(round)], shape: []), let yes = Tensor([true], shape: []) else { break }
            let outputs = try inline(body, [.constant(number, .plain), .constant(yes, .plain)] + state)
            isRunning = try flag(outputs[0])
            state = Array(outputs.dropFirst().prefix(state.count))
            for scan in 0..<scans {
                collected[scan].append(try asRow(try identity(outputs[1 + state.count + scan])))
            }
            round += 1
        }
        return try giveOutputs(node, state + (try joined(collected, axis: 0)))
    }

    private mutating func asRow(_ x: ValueID) throws(ImportFailure) -> ValueID {
        try reshape(x, [.literal(1)] + shape(x).dims.indices.map { .copy($0) })
    }

    private mutating func joined(_ parts: [[ValueID?]], axis: Int) throws(ImportFailure) -> [ONNXBinding] {
        var all: [ONNXBinding] = []
        for part in parts {
            guard !part.isEmpty else { throw .unsupported("a loop without rounds") }
            all.append(.value(try make(.concat(axis: axis), part)))
        }
        return all
    }

    mutating func scan(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let body = try body("body", &node)
        let scanned = node.int("num_scan_inputs", default: 0)
        // Opset 8 has an input of lengths in front and an axis for the batch.
        let isBatched = opset < 9
        let first = isBatched ? 1 : 0
        guard (1...node.proto.input.count).contains(scanned) else { throw .corrupt("\(scanned) scanned inputs") }
        let count = node.proto.input.count - first - scanned
        guard count >= 0, body.output.count >= count else { throw .corrupt("\(scanned) scanned inputs") }
        let scans = body.output.count - count
        for name in ["scan_input_axes", "scan_output_axes"] {
            guard node.ints(name)?.allSatisfy({ $0 == 0 }) ?? true else { throw .unsupported("\(name) other than 0") }
        }
        let backwards = node.ints(isBatched ? "directions" : "scan_input_directions") ?? []
        let backwardsOut = node.ints("scan_output_directions") ?? []
        var state: [ONNXBinding] = []
        for index in 0..<count { state.append(try binding(node, first + index)) }
        var inputs: [ValueID] = []
        for index in 0..<scanned { inputs.append(try value(node, first + count + index)) }
        let time = isBatched ? 1 : 0
        guard node.input(0) == nil || !isBatched, inputs.allSatisfy({ rank($0) > time }),
            let rounds = inputs.first.map({ shape($0)[time] }), (1...Self.maximumRounds).contains(rounds),
            inputs.allSatisfy({ shape($0)[time] == rounds }), !isBatched || inputs.allSatisfy({ shape($0)[0] == 1 })
        else { throw .unsupported("a scan with lengths, batches or an unknown extent; export with fixed shapes") }
        if isBatched {
            inputs = try inputs.map { (id) throws(ImportFailure) in try withoutAxis(id) }
            state = try state.map { (state) throws(ImportFailure) in .value(try withoutAxis(try identity(state))) }
        }
        var collected = [[ValueID?]](repeating: [], count: scans)
        for round in 0..<rounds {
            var rows: [ONNXBinding] = []
            for (index, input) in inputs.enumerated() {
                let isReversed = index < backwards.count && backwards[index] != 0
                let place = isReversed ? rounds - 1 - round : round
                rows.append(.value(try withoutAxis(try slice(input, axis: 0, place, place + 1))))
            }
            let outputs = try inline(body, state + rows)
            state = Array(outputs[..<count])
            for scan in 0..<scans { collected[scan].append(try asRow(try identity(outputs[count + scan]))) }
        }
        for index in collected.indices where index < backwardsOut.count && backwardsOut[index] != 0 {
            collected[index].reverse()
        }
        var outputs = state + (try joined(collected, axis: 0))
        if isBatched {
            outputs = try outputs.map { (output) throws(ImportFailure) in .value(try asRow(try identity(output))) }
        }
        return try giveOutputs(node, outputs)
    }

    private mutating func withoutAxis(_ x: ValueID) throws(ImportFailure) -> ValueID {
        try reshape(x, shape(x).dims.indices.dropFirst().map { .copy($0) })
    }
}
