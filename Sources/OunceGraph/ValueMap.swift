/// Something for some of a graph's values: a dictionary by place, in which nothing is hashed. Names that the graph does not have
/// stand for nothing, and nothing is kept for them.
package struct ValueMap<Element> {
    package var elements: [Element?]

    @inlinable package init(over graph: Graph) {
        elements = [Element?](repeating: nil, count: graph.values.count)
    }

    @inlinable package subscript(id: ValueID) -> Element? {
        get { id.index >= 0 && id.index < elements.count ? elements[id.index] : nil }
        set { if id.index >= 0 && id.index < elements.count { elements[id.index] = newValue } }
    }

    @inlinable package subscript(id: ValueID, default value: @autoclosure () -> Element) -> Element {
        get { self[id] ?? value() }
        set { self[id] = newValue }
    }
}

extension ValueMap: Sendable where Element: Sendable {}

/// Some of a graph's values.
package struct ValueSet: Sendable {
    private var members: [Bool]

    package init(_ members: [ValueID] = [], over graph: Graph) {
        self.members = [Bool](repeating: false, count: graph.values.count)
        for id in members { insert(id) }
    }

    package func contains(_ id: ValueID) -> Bool { members.indices.contains(id.index) && members[id.index] }

    /// Whether it is a value of the graph, and was no member before.
    @discardableResult
    package mutating func insert(_ id: ValueID) -> Bool {
        guard members.indices.contains(id.index), !members[id.index] else { return false }
        members[id.index] = true
        return true
    }
}

/// Where the values of a graph come from and go to.
package struct ValueFlow: Sendable {
    /// The index in `nodes` of the node that makes a value.
    package let producers: ValueMap<Int>
    /// The indices in `nodes` of the nodes that read a value, one entry for each use.
    package let consumers: ValueMap<[Int]>
    /// What is read when the model has run: its outputs, and the counts of those that are cut.
    package let kept: ValueSet

    package init(_ graph: Graph) {
        producers = graph.producers()
        consumers = graph.consumers()
        kept = ValueSet(graph.outputs + graph.outputCuts.compactMap { $0?.count }, over: graph)
    }

    /// The node that makes a value which so many nodes read and nothing else.
    package func maker(_ id: ValueID?, readers: Int = 1) -> Int? {
        guard let id, !kept.contains(id), consumers[id]?.count == readers else { return nil }
        return producers[id]
    }
}
