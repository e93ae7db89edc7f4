import OunceGraph

/// Which channels of a graph must be removed together, so that what remains is a smaller graph that computes what the
/// graph would compute if these channels were zero wherever they are read.
///
/// Every index along every axis of every value is a channel here. A walk over the nodes joins those that go together:
/// operands of an addition, both sides of a depthwise convolution, the places that a channel takes in a flattened vector.
/// What an operator needs whole (positions, what a softmax or a mean runs over, inputs and outputs of the model) is
/// fixed, and so is all that goes through an operator that is not known here. The idea of dependency groups: arXiv
/// 2301.12900; here index by index, so that slices, concatenations and paddings of channels need no exceptions.
struct ChannelCoupling {
    /// A constant whose slices along an axis make channels, or read them.
    struct Use: Hashable {
        var constant: ValueID
        var axis: Int
        /// Index of the node.
        var node: Int
    }

    /// With a batch of 1.
    let graph: Graph
    var sets = ChannelSets()
    /// By the index of the value, for each axis the channel at each place; in the end its set.
    private(set) var axes: [[[Int]]]
    var producers: [Use] = []
    var consumers: [Use] = []
    /// Constant factors of channels: what is left of a normalisation.
    var scales: [Use] = []
    /// Channels that are the batches of a product of matrices: the heads of an attention.
    var heads: [Int] = []
    let readers: ValueMap<[Int]>

    /// - Throws: `.recipe` where extents of the graph stay unknown.
    init(_ graph: Graph) throws(CompressError) {
        do {
            self.graph = try graph.bound(to: [:])
        } catch {
            throw CompressError(.recipe, "prune: \(error.description)")
        }
        axes = Array(repeating: [], count: graph.values.count)
        readers = graph.consumers()
        for id in graph.inputs { set(id, fresh(id, "the shape of the model's input stays")) }
        for index in self.graph.nodes.indices { add(index) }
        for id in graph.outputs { fix(id, "the shape of the model's output stays") }
        axes = axes.map { $0.map { $0.map(sets.root) } }
    }

    // MARK: What rules are made of

    func shape(_ id: ValueID) -> Shape { graph[id].shape }

    mutating func set(_ id: ValueID, _ channels: [[Int]]) { axes[id.index] = channels }

    /// Channels of all axes of a value; new ones for a constant that is met first.
    mutating func channels(_ id: ValueID) -> [[Int]] {
        if axes[id.index].isEmpty { axes[id.index] = shape(id).dims.map { sets.make(max($0, 0)) } }
        return axes[id.index]
    }

    mutating func channels(_ id: ValueID, _ axis: Int) -> [Int] {
        let all = channels(id)
        return all.indices.contains(axis) ? all[axis] : []
    }

    /// New channels that stay.
    mutating func fixed(_ extent: Int, _ reason: String) -> [Int] {
        let channels = sets.make(max(extent, 0))
        sets.fix(channels, reason)
        return channels
    }

    mutating func fresh(_ id: ValueID, _ reason: String) -> [[Int]] {
        shape(id).dims.map { fixed($0, reason) }
    }

    mutating func fix(_ id: ValueID, _ reason: String, but free: Set<Int> = []) {
        for (axis, channels) in channels(id).enumerated() where !free.contains(axis) { sets.fix(channels, reason) }
    }

    /// What an operator that is not known does: everything stays.
    mutating func fixAll(_ node: Node, _ reason: String) {
        for id in node.inputs.compactMap({ $0 }) { fix(id, reason) }
        for id in node.outputs { set(id, fresh(id, reason)) }
    }

    // MARK: Reading the result

    /// The sets (by root) along an axis of a value; empty where no node uses it.
    func roots(_ id: ValueID, _ axis: Int) -> [Int] {
        axes[id.index].indices.contains(axis) ? axes[id.index][axis] : []
    }

    /// The places along an axis that stay where the sets of `removed` go; nil: all.
    func kept(_ id: ValueID, _ axis: Int, without removed: Set<Int>) -> [Int]? {
        let roots = roots(id, axis)
        let kept = roots.indices.filter { !removed.contains(roots[$0]) }
        return kept.count == roots.count ? nil : kept
    }

    /// The extent of an axis without `removed`.
    func extent(_ id: ValueID, _ axis: Int, without removed: Set<Int>) -> Int {
        let roots = roots(id, axis)
        return roots.isEmpty ? shape(id)[axis] : roots.reduce(0) { $0 + (removed.contains($1) ? 0 : 1) }
    }
}
