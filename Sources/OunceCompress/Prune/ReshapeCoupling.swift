import OunceGraph

/// Axes that are merged and split.
extension ChannelCoupling {
    /// Runs of axes of input and output that hold the same elements: none of them can be made shorter.
    private static func runs(_ from: [Int], _ to: [Int]) -> [(from: [Int], to: [Int])] {
        var result: [(from: [Int], to: [Int])] = []
        var (i, j) = (0, 0)
        while i < from.count || j < to.count {
            var (run, left, right) = ((from: [Int](), to: [Int]()), 1, 1)
            func takesLeft() -> Bool { i < from.count && (j >= to.count || left <= right) }
            repeat {
                if takesLeft() {
                    left *= from[i]
                    run.from.append(i)
                    i += 1
                } else {
                    right *= to[j]
                    run.to.append(j)
                    j += 1
                }
            } while left != right && (i < from.count || j < to.count)
            result.append(run)
        }
        return result
    }

    mutating func reshape(_ node: Node, _ x: ValueID, _ output: ValueID) {
        let (from, to) = (shape(x).dims, shape(output).dims)
        guard !from.contains(0), !to.contains(0) else { return fixAll(node, "empty") }
        let own = channels(x)
        let reason = "\(node.name) (reshape) mixes them with others"
        var result = to.map { _ in [Int]() }
        for run in Self.runs(from, to) {
            let (wide, parts) = (run.from.filter { from[$0] > 1 }, run.to.filter { to[$0] > 1 })
            for axis in run.from where from[axis] == 1 { sets.fix(own[axis], reason) }
            for axis in run.to where to[axis] == 1 { result[axis] = fixed(1, reason) }
            if wide.count == 1, parts.count == 1 {
                result[parts[0]] = own[wide[0]]
            } else if wide.count == 1, parts.count > 1 {
                split(own[wide[0]], parts, to, output, &result, reason)
            } else if parts.count == 1, wide.count > 1 {
                result[parts[0]] = merge(wide.map { own[$0] }, reason)
            } else {
                for axis in wide { sets.fix(own[axis], reason) }
                for axis in parts { result[axis] = fixed(to[axis], reason) }
            }
        }
        set(output, result)
    }

    /// One axis may lose places, and each of them takes its row of the merged axis along.
    private mutating func merge(_ axes: [[Int]], _ reason: String) -> [Int] {
        let free = axes.lastIndex { $0.contains { sets.reason($0) == nil } } ?? axes.count - 1
        for (axis, channels) in axes.enumerated() where axis != free { sets.fix(channels, reason) }
        let inner = axes[(free + 1)...].reduce(1) { $0 * $1.count }
        let count = axes.reduce(1) { $0 * $1.count }
        return (0..<count).map { axes[free][$0 / inner % axes[free].count] }
    }

    /// Along one of the new axes channels may go, and with each all places that it takes.
    private mutating func split(
        _ channels: [Int], _ parts: [Int], _ dims: [Int], _ output: ValueID, _ result: inout [[Int]], _ reason: String
    ) {
        func place(_ index: Int, along axis: Int) -> Int {
            index / parts.filter { $0 > axis }.reduce(1) { $0 * dims[$1] } % dims[axis]
        }
        /// Whether those that would go together do so already.
        func isTogether(_ axis: Int) -> Bool {
            var roots = [Int](repeating: -1, count: dims[axis])
            for (index, channel) in channels.enumerated() {
                let (slot, root) = (place(index, along: axis), sets.root(channel))
                if roots[slot] >= 0, roots[slot] != root { return false }
                roots[slot] = root
            }
            return true
        }
        let free =
            parts.first(where: isTogether) ?? parts.first { isBatch(of: output, $0) }
            ?? parts.max { (dims[$0], $0) < (dims[$1], $1) } ?? parts[0]
        for axis in parts { result[axis] = axis == free ? sets.make(dims[axis]) : fixed(dims[axis], reason) }
        for (index, channel) in channels.enumerated() { sets.join(result[free][place(index, along: free)], channel) }
    }

    /// Whether an axis ends as one over which products of matrices are repeated: as the heads of an attention.
    private func isBatch(of id: ValueID, _ axis: Int, depth: Int = 0) -> Bool {
        guard depth < 16 else { return false }
        return (readers[id] ?? []).contains { index in
            let node = graph.nodes[index]
            guard let output = node.outputs.first else { return false }
            let rank = shape(id).rank
            switch node.op {
            case .matMul: return axis < rank - 2
            case .transpose(let permutation):
                return permutation.firstIndex(of: axis).map { isBatch(of: output, $0, depth: depth + 1) } ?? false
            case .unary, .binary, .slice, .concat, .softmax, .pad:
                return isBatch(of: output, axis + shape(output).rank - rank, depth: depth + 1)
            case .gather(.slices(let along)):
                guard let along = shape(id).normalized(axis: along), along != axis, node.inputs.first == id,
                    node.inputs.count > 1, let indices = node.inputs[1]
                else { return false }
                return isBatch(
                    of: output, axis > along ? axis - 1 + shape(indices).rank : axis, depth: depth + 1)
            case .reshape:
                // Only axes of extent 1 come or go.
                let (from, to) = (shape(id).dims, shape(output).dims)
                guard from.filter({ $0 != 1 }) == to.filter({ $0 != 1 }) else { return false }
                let place = from[..<axis].count { $0 != 1 }
                let wide = to.indices.filter { to[$0] != 1 }
                return wide.indices.contains(place) && isBatch(of: output, wide[place], depth: depth + 1)
            default: return false
            }
        }
    }
}
