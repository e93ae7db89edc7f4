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
