/// Channels of values, and which of them can only go together: a union-find whose sets may be fixed.
struct ChannelSets {
    private var parents: [Int] = []
    /// Why the set of this root stays whole.
    private var reasons: [Int: String] = [:]

    /// New channels, each a set of its own.
    mutating func make(_ count: Int) -> [Int] {
        let first = parents.count
        parents.append(contentsOf: first..<first + count)
        return Array(first..<first + count)
    }

    /// What stands for the set of a channel.
    func root(_ channel: Int) -> Int {
        var channel = channel
        while parents[channel] != channel { channel = parents[channel] }
        return channel
    }

    /// Makes one set of two. The lower root stays, so that roots follow the order of the graph.
    mutating func join(_ a: Int, _ b: Int) {
        let (a, b) = (shortened(a), shortened(b))
        guard a != b else { return }
        let (low, high) = (min(a, b), max(a, b))
        parents[high] = low
        if let reason = reasons.removeValue(forKey: high), reasons[low] == nil { reasons[low] = reason }
    }

    mutating func join(_ a: [Int], _ b: [Int]) {
        for (x, y) in zip(a, b) { join(x, y) }
    }

    private mutating func shortened(_ channel: Int) -> Int {
        let root = root(channel)
        var channel = channel
        while parents[channel] != root { (parents[channel], channel) = (root, parents[channel]) }
        return root
    }

    /// From now on nothing of these sets may go.
    mutating func fix(_ channels: [Int], _ reason: String) {
        for channel in channels {
            let root = shortened(channel)
            if reasons[root] == nil { reasons[root] = reason }
        }
    }

    /// Why the set of this channel stays; nil: it may go.
    func reason(_ channel: Int) -> String? { reasons[root(channel)] }
}
