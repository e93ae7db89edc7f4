import OunceGraph

// Subgraphs are put in the place of the operators that call them.
extension TFLiteTranslation {
    /// Loops longer than this are refused, so that a small file does not unfold into a huge graph.
    private static let maximumRounds = 1 << 12

    private mutating func bindings(_ op: TFLiteOperator, from first: Int) throws(ImportFailure) -> [TFLiteBinding] {
        var bindings: [TFLiteBinding] = []
        for place in op.inputs.indices.dropFirst(first) {
            guard let index = input(op, place) else { throw .corrupt("\(op.name): input \(place) is missing") }
            bindings.append(try binding(index))
        }
        return bindings
    }

    mutating func call(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        .several(try call(subgraph: try op.int(4), try bindings(op, from: 0)))
    }

    mutating func composite(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        .several(try call(subgraph: try op.secondInt(6), try bindings(op, from: 0)))
    }

    /// The branch that a constant condition names; otherwise both, and a choice between their results.
    mutating func branch(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let inputs = try bindings(op, from: 1)
        let condition = try value(op, 0)
        guard builder.graph[condition].dtype == .bool, shape(condition).elementCount == 1 else {
            throw .corrupt("IF: the condition is \(builder.graph[condition].dtype) \(shape(condition))")
        }
        if let constant = builder.graph[condition].constant {
            let holds = constant.bytes.first != 0
            return .several(try call(subgraph: try op.int(holds ? 4 : 6), inputs))
        }
        let before = variables.assignments
        let branches = [
            try call(subgraph: try op.int(4), inputs), try call(subgraph: try op.int(6), inputs),
        ]
        guard variables.assignments == before else {
            throw .unsupported("a branch assigns a variable, whatever the condition; convert without it")
        }
        guard branches[0].count == branches[1].count else { throw .corrupt("IF: the branches differ in outputs") }
        let scalar = try reshaped(condition, [], op)
        var results: [TFLiteBinding] = []
        for (place, pair) in zip(branches[0], branches[1]).enumerated() {
            guard let a = try id(pair.0, op), let b = try id(pair.1, op) else {
                results.append(.missing)
                continue
            }
            guard shape(a) == shape(b), builder.graph[a].encoding == builder.graph[b].encoding else {
                throw .unsupported("its branches make tensors of different extents or scales; convert without it")
            }
            results.append(.value(try emit(.select, [scalar, a, b], op, at: place)))
        }
        return .several(results)
    }

    /// Rounds one after the other, as long as the condition is known on import.
    mutating func loop(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (condition, body) = (try op.int(4), try op.int(6))
        var state = try bindings(op, from: 0)
        for _ in 0..<Self.maximumRounds {
            guard let result = try call(subgraph: condition, state).first, let holds = try id(result, op) else {
                throw .unsupported("its condition cannot be read; unroll it on export")
            }
            guard let known = builder.graph[holds].constant?.bytes.first else {
                throw .unsupported("how often it runs depends on the data; unroll it on export")
            }
            guard known != 0 else { return .several(state) }
            state = try call(subgraph: body, state)
        }
        throw .unsupported("it runs over \(Self.maximumRounds) rounds; convert without it")
    }

    private mutating func id(_ binding: TFLiteBinding, _ op: TFLiteOperator) throws(ImportFailure) -> ValueID? {
        switch binding {
        case .value(let id): return id
        case .constant(let tensor, let encoding):
            return builder.constant(tensor, name: op.location, encoding: encoding)
        case .dequantized(let tensor, let affine):
            return builder.constant(try builder.dequantize(tensor, affine), name: op.location)
        case .missing, .several, .variable: return nil
        }
    }
}
