import OunceGraph

/// Sets of channels that lie along the same axes, and so can stand for each other: the filters of a layer and of all that
/// are coupled with it.
struct ChannelFamily {
    struct Track: Hashable {
        var value: ValueID
        var axis: Int
    }

    /// By root, in the order of the graph.
    let sets: [Int]
    let tracks: [Track]
    let producers: [ChannelCoupling.Use]
    let consumers: [ChannelCoupling.Use]
    let scales: [ChannelCoupling.Use]
    /// Whether they are attention heads.
    let isHeads: Bool
    /// Names of the layers that make them, which tell the family in the next round.
    let layers: [String]
    /// Whether each of the axes has other channels too.
    let isPart: Bool

    /// What makes the channels, and what reads them.
    var layersOfWeights: [ChannelCoupling.Use] { producers + consumers }
}

extension ChannelCoupling {
    /// All that may go, apart from what no weights make or read.
    func families() -> [ChannelFamily] {
        var tracks: [Int: [ChannelFamily.Track]] = [:]
        for index in graph.values.indices {
            let value = ValueID(index)
            for axis in graph.values[index].shape.dims.indices {
                for root in Set(roots(value, axis)) where sets.reason(root) == nil {
                    tracks[root, default: []].append(ChannelFamily.Track(value: value, axis: axis))
                }
            }
        }
        var members: [[ChannelFamily.Track]: [Int]] = [:]
        for (root, own) in tracks { members[own, default: []].append(root) }
        let headSets = Set(heads.map(sets.root))
        return members.compactMap { tracks, roots -> ChannelFamily? in
            let known = Set(tracks)
            func used(_ uses: [Use]) -> [Use] {
                uses.filter { known.contains(ChannelFamily.Track(value: $0.constant, axis: $0.axis)) }
            }
            let (producers, consumers) = (used(producers), used(consumers))
            guard !producers.isEmpty, !consumers.isEmpty else { return nil }
            let own = Set(roots)
            return ChannelFamily(
                sets: roots.sorted(), tracks: tracks, producers: producers, consumers: consumers,
                scales: used(scales), isHeads: own.contains(where: headSets.contains),
                layers: producers.map { graph.nodes[$0.node].name },
                isPart: tracks.allSatisfy { !own.isSuperset(of: self.roots($0.value, $0.axis)) })
        }.sorted { $0.sets[0] < $1.sets[0] }
    }

    /// Where a whole family may go because what reads it is a branch that is only added to something: the additions, and
    /// what stays of them. nil: it may not.
    func branchEnds(of family: ChannelFamily) -> [Int: ValueID]? {
        let own = Set(family.sets)
        guard family.tracks.allSatisfy({ own.isSuperset(of: roots($0.value, $0.axis)) }) else { return nil }
        var ends: [Int: ValueID] = [:]
        for use in family.consumers {
            let node = graph.nodes[use.node]
            switch node.op {
            case .conv, .fullyConnected: break
            default: return nil
            }
            guard let output = node.outputs.first, let reader = readers[output], reader.count == 1,
                !graph.outputs.contains(output), case .binary(.add, _) = graph.nodes[reader[0]].op
            else { return nil }
            let others = graph.nodes[reader[0]].inputs.compactMap { $0 }.filter { $0 != output }
            guard others.count == 1, graph[others[0]].constant == nil,
                shape(others[0]) == shape(output), ends[reader[0]] == nil
            else { return nil }
            ends[reader[0]] = others[0]
        }
        return ends
    }
}
