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
