import OunceGraph

/// The variables of a TFLite model: what VAR_HANDLE names, READ_VARIABLE and ASSIGN_VARIABLE use, and the subgraph of a
/// CALL_ONCE initialises. Each that a run reads before it assigns it becomes a state of the graph.
struct TFLiteVariables {
    struct Key: Hashable {
        let container: String
        let name: String
    }

    fileprivate struct Variable {
        /// From the CALL_ONCE.
        var initial: (tensor: Tensor, encoding: Encoding)?
        /// Holds it when a run starts; nil: no run reads that.
        var start: ValueID?
        /// What was last assigned to it in this run.
        var current: ValueID?
    }

    private static let maximumCount = 1024

    /// In the order of their first use, so that the same file always gives the same states.
    fileprivate private(set) var order: [Key] = []
    fileprivate var all: [Key: Variable] = [:]
    fileprivate var initialized: Set<Int> = []
    /// Whether the operators are those of an initialising subgraph.
    fileprivate var isInitializing = false
    /// How often a run assigns variables.
    fileprivate(set) var assignments = 0

    fileprivate mutating func declare(_ key: Key) throws(ImportFailure) {
        guard all[key] == nil else { return }
        guard order.count < Self.maximumCount else {
            throw .fatal(FormatError(.limit, "the model has over \(Self.maximumCount) variables"))
        }
        order.append(key)
        all[key] = Variable()
    }
}

extension TFLiteTranslation {
    mutating func variableHandle(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let key = TFLiteVariables.Key(container: try op.string(4), name: try op.string(6))
        try variables.declare(key)
        return .variable(key)
    }

    mutating func readVariable(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let key = try variable(op)
        if variables.isInitializing {
            guard let (tensor, encoding) = variables.all[key]?.initial else {
                throw .unsupported("the initialiser reads '\(key.name)' before it assigns it; convert without it")
            }
            return .constant(tensor, encoding)
        }
        let declared = try declared(op)
        let id: ValueID
        if let known = variables.all[key]?.current ?? variables.all[key]?.start {
            id = known
        } else {
            let type = TensorType(declared.dtype, declared.shape)
            id = builder.graph.add(Value(name: key.name, type: type, encoding: declared.encoding))
            variables.all[key]?.start = id
        }
        let value = builder.graph[id]
        guard value.dtype == declared.dtype, value.shape == declared.shape, value.encoding == declared.encoding else {
            throw .unsupported(
                "'\(key.name)' is \(value.dtype) \(value.shape) and read as \(declared.dtype) \(declared.shape) or on "
                    + "another grid; convert with one type for each variable")
        }
        return .value(id)
    }

    mutating func assignVariable(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let key = try variable(op)
        if variables.isInitializing {
            let initial = try constant(op, 1)
            variables.all[key]?.initial = initial
        } else {
            let current = try value(op, 1)
            variables.assignments += 1
            variables.all[key]?.current = current
        }
        return .several([])
    }

    /// Takes the initial values that a subgraph assigns.
    mutating func callOnce(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let subgraph = try op.int(4)
        guard variables.initialized.insert(subgraph).inserted else { return .several([]) }
        let outer = variables.isInitializing
        variables.isInitializing = true
        defer { variables.isInitializing = outer }
        _ = try call(subgraph: subgraph, [])
        return .several([])
    }

    private mutating func variable(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteVariables.Key {
        guard let index = input(op, 0), case .variable(let key) = try binding(index) else {
            throw .corrupt("\(op.name): its first input names no variable")
        }
        return key
    }

    /// Makes states of the variables, behind the model's own inputs and outputs.
    mutating func finishVariables() throws(ImportFailure) {
        let states = variables.order.compactMap { key in
            variables.all[key].flatMap { variable in variable.start.map { (key.name, $0, variable) } }
        }
        // A value that has another part to play must not be renamed.
        var taken = Set(states.map(\.1) + builder.graph.inputs + builder.graph.outputs)
        for (name, id, variable) in states {
            guard let (initial, encoding) = variable.initial else {
                builder.unsupported.add(
                    op: "READ_VARIABLE", at: name,
                    "the variable is read before anything is assigned to it; convert with its initialiser")
                continue
            }
            let start = builder.graph[id]
            guard initial.dtype == start.dtype, initial.shape == start.shape, encoding == start.encoding else {
                builder.unsupported.add(
                    op: "CALL_ONCE", at: name,
                    "the variable begins as \(initial.dtype) \(initial.shape) and is read as \(start.dtype) \(start.shape) "
                        + "or on another grid; convert with one type for each variable")
                continue
            }
            guard let end = variable.current else {
                builder.graph[id].constant = initial
                continue
            }
            builder.graph.inputs.append(id)
            builder.graph.outputs.append(try ownValue(end, name: "\(name)/next", &taken))
            builder.graph.initialStates.append(initial)
        }
    }

    /// The value under a name of its own; a copy of one that has another part to play.
    private mutating func ownValue(
        _ id: ValueID, name: String, _ taken: inout Set<ValueID>
    ) throws(ImportFailure) -> ValueID {
        let value = builder.graph[id]
        if value.constant == nil, taken.insert(id).inserted {
            builder.graph[id].name = name
            return id
        }
        let same = value.shape.dims.indices.map { ReshapeDimension.copy($0) }
        return try builder.emit(.reshape(same), [id], name: name, output: name, encoding: value.encoding)
    }
}
