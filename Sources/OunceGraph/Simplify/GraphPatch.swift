/// A change to a graph, as a value: what one pass wants done.
package struct GraphPatch: Sendable {
    /// The number of values of the graph that this patch is for; the first added value gets this index.
    package let base: Int
    package private(set) var addedValues: [Value] = []
    /// For the index of a node, the nodes that stand in its place. The order of nodes stays topological because the new
    /// ones may only read what is made before that place.
    package var replacements: [Int: [Node]] = [:]
    /// Values that others stand for from now on.
    package var substitutions: [ValueID: ValueID] = [:]

    package init(for graph: Graph) { base = graph.values.count }

    package var isEmpty: Bool { replacements.isEmpty }

    package mutating func add(_ value: Value) -> ValueID {
        addedValues.append(value)
        return ValueID(base + addedValues.count - 1)
    }

    package func value(_ id: ValueID, in graph: Graph) -> Value {
        id.index < base ? graph[id] : addedValues[id.index - base]
    }

    /// Follows substitutions to the value that is really there.
    package func resolve(_ id: ValueID) -> ValueID {
        var id = id
        while let next = substitutions[id] { id = next }
        return id
    }
}

extension Graph {
    /// The graph after `patch`, without nodes and values that nothing needs. Inputs and outputs keep names and order.
    ///
    /// - Throws: `GraphError` where the result is not a valid graph.
    package func applying(_ patch: GraphPatch) throws(GraphError) -> Graph {
        var graph = self
        graph.values += patch.addedValues
        graph.nodes = []
        graph.nodes.reserveCapacity(nodes.count)
        for (index, node) in nodes.enumerated() {
            for var node in patch.replacements[index] ?? [node] {
                node.inputs = node.inputs.map { $0.map(patch.resolve) }
                graph.nodes.append(node)
            }
        }
        for (index, output) in outputs.enumerated() where patch.substitutions[output] != nil {
            let new = patch.resolve(output)
            graph[new].name = self[output].name
            graph.outputs[index] = new
        }
        graph.dropDead()
        try graph.validate()
        return graph
    }

    /// Removes nodes whose results nothing reads and values that nothing names, and numbers the values anew.
    private mutating func dropDead() {
        var needed = [Bool](repeating: false, count: values.count)
        for id in outputs { needed[id.index] = true }
        var kept: [Node] = []
        for node in nodes.reversed() where node.outputs.contains(where: { needed[$0.index] }) {
            for input in node.inputs.compactMap({ $0 }) { needed[input.index] = true }
            kept.append(node)
        }
        for id in inputs { needed[id.index] = true }
        var place: [ValueID] = []
        var compact: [Value] = []
        for (index, value) in values.enumerated() {
            place.append(ValueID(compact.count))
            if needed[index] { compact.append(value) }
        }
        values = compact
        inputs = inputs.map { place[$0.index] }
        outputs = outputs.map { place[$0.index] }
        nodes = kept.reversed().map { node in
            Node(
                name: node.name, op: node.op, inputs: node.inputs.map { $0.map { place[$0.index] } },
                outputs: node.outputs.map { place[$0.index] })
        }
    }
}
