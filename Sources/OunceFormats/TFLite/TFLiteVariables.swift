import OunceGraph

/// The variables of a TFLite model: what VAR_HANDLE names, READ_VARIABLE and ASSIGN_VARIABLE use, and the subgraph of a
/// CALL_ONCE initialises. Each that a run reads before it assigns it becomes a state of the graph.
struct TFLiteVariables {
    struct Key: Hashable {
        let container: String
        let name: String
    }

    private struct Variable {
        /// From the CALL_ONCE.
        var initial: (tensor: Tensor, encoding: Encoding)?
        /// Holds it when a run starts; nil: no run reads that.
        var start: ValueID?
        /// What was last assigned to it in this run.
        var current: ValueID?
    }

    /// In the order of their first use, so that the same file always gives the same states.
    private var order: [Key] = []
    private var variables: [Key: Variable] = [:]
    /// By the tensor that holds the handle.
    private var handles: [Int: Key] = [:]
    private var initialized: Set<Int> = []
    /// Whether the operators are those of an initialising subgraph.
    var isInitializing = false

    private static let maximumVariables = 1024

    fileprivate mutating func name(_ handle: Int, _ key: Key) throws(ImportFailure) {
        handles[handle] = key
        guard variables[key] == nil else { return }
        guard order.count < Self.maximumVariables else {
            throw .fatal(FormatError(.limit, "the model has over \(Self.maximumVariables) variables"))
        }
        order.append(key)
        variables[key] = Variable()
    }

    fileprivate func key(_ handle: Int?) throws(ImportFailure) -> Key {
        guard let handle, let key = handles[handle] else {
            throw .unsupported("its variable is not named by a VAR_HANDLE in the same subgraph; convert without it")
        }
        return key
    }
}

extension TFLiteTranslation {
    /// Runs the operators that work on variables; false for any other.
    mutating func runVariable(_ op: TFLiteOperator) throws(ImportFailure) -> Bool {
        switch op.name {
        case "VAR_HANDLE":
            guard let output = op.outputs.first else { throw .corrupt("a VAR_HANDLE makes nothing") }
            try variables.name(output, .init(container: try op.string(4), name: try op.string(6)))
        case "READ_VARIABLE": try readVariable(op)
        case "ASSIGN_VARIABLE": try assignVariable(op)
        case "CALL_ONCE": try callOnce(op)
        default: return false
        }
        return true
    }

    private mutating func readVariable(_ op: TFLiteOperator) throws(ImportFailure) {
        let key = try variables.key(input(op, 0))
        guard let output = op.outputs.first, bindings[output] == nil else {
            throw .corrupt("READ_VARIABLE '\(op.location)' does not make one tensor of its own")
        }
        let id: ValueID
        if let current = variables.current(key) {
            id = current
        } else {
            let tensor = try tensor(output)
            let type = TensorType(tensor.dtype, tensor.shape)
            id = builder.graph.add(Value(name: key.name, type: type, encoding: tensor.encoding))
            variables.start(key, id)
        }
        try check(id, against: try tensor(output), key)
        bindings[output] = .value(id)
    }

    private mutating func assignVariable(_ op: TFLiteOperator) throws(ImportFailure) {
        let key = try variables.key(input(op, 0))
        if let index = input(op, 1), case .missing = bindings[index] { return }
        guard variables.isInitializing else { return variables.assign(key, try value(op, 1)) }
        guard let index = input(op, 1), case .constant(let tensor, let encoding) = try binding(index) else {
            throw .unsupported("the initial value of '\(key.name)' is computed; convert with constant initial values")
        }
        variables.initialize(key, (tensor, encoding))
    }

    private func check(_ id: ValueID, against tensor: TFLiteTensor, _ key: TFLiteVariables.Key) throws(ImportFailure) {
        let value = builder.graph[id]
        guard value.dtype == tensor.dtype, value.shape == tensor.shape, value.encoding == tensor.encoding else {
            throw .unsupported(
                "'\(key.name)' is assigned as \(value.dtype) \(value.shape) and read as \(tensor.dtype) \(tensor.shape) or "
                    + "on another grid; convert with one type for each variable")
        }
    }

    /// Takes the initial values that a subgraph assigns.
    private mutating func callOnce(_ op: TFLiteOperator) throws(ImportFailure) {
        guard !variables.isInitializing else { throw .unsupported("an initialiser calls another; convert without it") }
        let index = try op.int(4)
        guard variables.isFirstCall(index) else { return }
        var initializer = try subtranslation(index)
        initializer.variables.isInitializing = true
        try initializer.translate()
        let graph = builder.graph
        builder = initializer.builder
        builder.graph = graph
        variables.takeInitialValues(initializer.variables)
    }

    /// Makes states of the variables, behind the model's own inputs and outputs.
    mutating func finishVariables() throws(ImportFailure) {
        guard !variables.isInitializing else { return }
        let states = variables.states
        // A value that is kept as it is must not be taken for the successor of another state.
        var taken = Set(states.map(\.start) + builder.graph.inputs + builder.graph.outputs)
        for state in states {
            guard let (initial, encoding) = state.initial else {
                builder.unsupported.add(
                    op: "READ_VARIABLE", at: state.name,
                    "the variable is read before anything is assigned to it; convert with its initialiser")
                continue
            }
            let start = builder.graph[state.start]
            guard initial.dtype == start.dtype, initial.shape == start.shape, encoding == start.encoding else {
                builder.unsupported.add(
                    op: "CALL_ONCE", at: state.name,
                    "the variable starts as \(initial.dtype) \(initial.shape) and is read as \(start.dtype) "
                        + "\(start.shape) or on another grid; convert with one type for each variable")
                continue
            }
            guard let current = state.current else {
                builder.graph[state.start].constant = initial
                continue
            }
            builder.graph.inputs.append(state.start)
            builder.graph.outputs.append(try ownValue(current, name: "\(state.name)/next", &taken))
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

extension TFLiteVariables {
    fileprivate func current(_ key: Key) -> ValueID? { variables[key]?.current ?? variables[key]?.start }
    fileprivate mutating func start(_ key: Key, _ id: ValueID) { variables[key]?.start = id }
    fileprivate mutating func assign(_ key: Key, _ id: ValueID) { variables[key]?.current = id }
    fileprivate mutating func initialize(_ key: Key, _ value: (Tensor, Encoding)) { variables[key]?.initial = value }
    fileprivate mutating func isFirstCall(_ subgraph: Int) -> Bool { initialized.insert(subgraph).inserted }

    /// The values that another subgraph has assigned to variables of the same names.
    fileprivate mutating func takeInitialValues(_ other: TFLiteVariables) {
        for key in other.order {
            guard let initial = other.variables[key]?.initial else { continue }
            if variables[key] == nil { order.append(key) }
            variables[key, default: Variable()].initial = initial
        }
    }

    /// Those that a run reads as they were before it.
    fileprivate var states: [(name: String, start: ValueID, current: ValueID?, initial: (Tensor, Encoding)?)] {
        order.compactMap { key in
            guard let variable = variables[key], let start = variable.start else { return nil }
            return (key.name, start, variable.current, variable.initial)
        }
    }
}
