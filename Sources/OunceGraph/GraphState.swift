/// What a streaming model keeps from one run to the next.
///
/// A run reads it as an input and makes its successor as an output. In `Graph.inputs` and `Graph.outputs` the states stand
/// behind what a client gives and gets, in the order of `Graph.initialStates`: so every pass and every reader keeps them as
/// it keeps inputs and outputs.
package struct GraphState: Sendable {
    /// Holds the state when a run starts.
    package let start: ValueID
    /// Holds what is kept when the run has ended.
    package let end: ValueID
    /// What `start` holds in the first run.
    package let initial: Tensor
}

extension Graph {
    package var states: [GraphState] {
        if initialStates.isEmpty { return [] }
        return zip(zip(inputs.suffix(initialStates.count), outputs.suffix(initialStates.count)), initialStates)
            .map { GraphState(start: $0.0, end: $0.1, initial: $1) }
    }

    /// What a client gives: the inputs without those that hold a state.
    package var clientInputs: ArraySlice<ValueID> { inputs.dropLast(initialStates.count) }

    /// What a client gets: the outputs without those that hold a state.
    package var clientOutputs: ArraySlice<ValueID> { outputs.dropLast(initialStates.count) }

    /// Bytes that one stream takes.
    package var stateBytes: Int {
        initialStates.reduce(0) { sum, state in
            let (sum, overflow) = sum.addingReportingOverflow(state.byteCount)
            return overflow ? .max : sum
        }
    }

    /// Puts other values in the place of those that a client gets.
    package mutating func replaceClientOutputs(_ values: [ValueID]) {
        outputs = values + outputs.suffix(initialStates.count)
    }

    /// The graph with explicit inputs and outputs bound together as states that start as zeros.
    ///
    /// A state of unknown extents has 1 there, and so has then the batch axis of every input: a stream is one sample after
    /// the other.
    /// - Parameter pairs: names of an input and of the output that it gets back in the next run.
    /// - Throws: `GraphError` naming what is not there or does not fit.
    package func binding(states pairs: [(input: String, output: String)]) throws(GraphError) -> Graph {
        guard !pairs.isEmpty else { return self }
        var graph = self
        var isBatched = false
        for pair in pairs {
            guard let start = graph.clientInputs.first(where: { self[$0].name == pair.input }) else {
                throw GraphError(
                    .invalidStructure, at: name,
                    "there is no input '\(pair.input)' to bind as a state; its inputs are "
                        + graph.names(graph.clientInputs))
            }
            guard let place = graph.clientOutputs.firstIndex(where: { self[$0].name == pair.output }) else {
                throw GraphError(
                    .invalidStructure, at: name,
                    "there is no output '\(pair.output)' to bind as a state; its outputs are "
                        + graph.names(graph.clientOutputs))
            }
            let end = graph.outputs.remove(at: place)
            graph.inputs.removeAll { $0 == start }
            graph.inputs.append(start)
            graph.outputs.append(end)
            let value = graph[start]
            let shape = value.shape.smallest
            graph[start].type.shape = shape
            isBatched = isBatched || shape != value.shape
            guard let initial = Tensor.filled(with: value.encoding, type: TensorType(value.dtype, shape)) else {
                throw GraphError(
                    .limit, at: value.name,
                    "a state of \(value.dtype) \(shape) cannot be bound; it is empty or too large")
            }
            graph.initialStates.append(initial)
        }
        for id in graph.clientInputs where isBatched && graph[id].shape.dims.first.map({ $0 < 0 }) == true {
            graph[id].type.shape[0] = 1
        }
        try graph.inferTypes()
        try graph.validate()
        return graph
    }

    private func names(_ ids: ArraySlice<ValueID>) -> String {
        ids.isEmpty ? "none" : ids.map { "'\(self[$0].name)'" }.joined(separator: ", ")
    }

    /// Checks that each state starts and ends as the same kind of value; part of `validate`.
    func validateStates() throws(GraphError) {
        guard initialStates.count <= min(inputs.count, outputs.count) else {
            throw GraphError(.invalidStructure, at: name, "there are more states than inputs or outputs to hold them")
        }
        guard initialStates.isEmpty || outputs.count > initialStates.count else {
            throw GraphError(.invalidStructure, at: name, "the model has no output besides its states")
        }
        for state in states {
            let (start, end) = (self[state.start], self[state.end])
            guard state.initial.dtype == start.dtype, state.initial.shape == start.shape else {
                throw GraphError(
                    .invalidType, at: start.name,
                    "the state is \(start.dtype) \(start.shape), its initial value \(state.initial.dtype) "
                        + "\(state.initial.shape)")
            }
            let fits =
                start.dtype == end.dtype && start.encoding == end.encoding && start.shape.rank == end.shape.rank
                && zip(start.shape.dims, end.shape.dims).allSatisfy { $1 < 0 || $0 == $1 }
            guard fits else {
                throw GraphError(
                    .invalidType, at: start.name,
                    "the state is \(start.dtype) \(start.shape) before a run and \(end.dtype) \(end.shape) after it; "
                        + "only a state that stays of one type and size can be kept")
            }
        }
    }
}

extension Tensor {
    /// Holds nothing but the number that stands for zero; nil where that is no tensor of at most 1 GiB.
    fileprivate static func filled(with encoding: Encoding, type: TensorType) -> Tensor? {
        guard let count = type.shape.elementCount, count > 0, count * type.dtype.byteSize <= 1 << 30 else { return nil }
        let zero = UInt8(truncatingIfNeeded: encoding.affine?.zeroPoints.first ?? 0)
        let storage = TensorStorage(byteCount: count * type.dtype.byteSize) { bytes in
            guard type.dtype.byteSize == 1, zero != 0 else { return }
            bytes.initializeMemory(as: UInt8.self, repeating: zero)
        }
        return Tensor(dtype: type.dtype, shape: type.shape, storage: storage)
    }
}
