import OunceGraph

/// What each operator couples.
extension ChannelCoupling {
    mutating func add(_ index: Int) {
        let node = graph.nodes[index]
        guard let output = node.outputs.first, let x = node.inputs.first ?? nil else {
            return fixAll(node, "\(node.name) reads nothing")
        }
        let whole = "\(node.name) (\(node.op.name)) needs all of them"
        switch node.op {
        case .conv(let conv): convolution(index, conv, x, output)
        case .fullyConnected: fullyConnected(index, x, output)
        case .matMul: matMul(index, x, output)
        case .recurrent(let layer): recurrent(index, layer, x, output)
        case .binary, .compare, .select, .expand: elementwise(index, output)
        case .unary, .cast: set(output, channels(x))
        case .batchNormalization(let axis, _):
            guard let axis = shape(x).normalized(axis: axis) else { return fixAll(node, whole) }
            for id in node.inputs.dropFirst().compactMap({ $0 }) { sets.join(channels(x, axis), channels(id, 0)) }
            if node.inputs.count > 1, let scale = node.inputs[1] {
                scales.append(Use(constant: scale, axis: 0, node: index))
            }
            set(output, channels(x))
        case .softmax(let axis), .cumulativeSum(let axis, _, _), .resample(let axis):
            fixAxes(node, x, [axis], whole)
            for id in node.inputs.dropFirst().compactMap({ $0 }) { fix(id, whole) }
            copy(x, to: output, whole)
        case .reverse(let axes):
            fixAxes(node, x, axes, whole)
            copy(x, to: output, whole)
        case .layerNormalization(let count, _):
            fixAxes(node, x, (0..<count).map { -1 - $0 }, whole)
            for id in node.inputs.dropFirst().compactMap({ $0 }) { fix(id, whole) }
            copy(x, to: output, whole)
        case .pool:
            let last = shape(x).rank - 1
            fix(x, whole, but: [last])
            copy(x, to: output, whole)
        case .reduce(_, let axes, let keepsDims): reduce(node, x, output, axes, keepsDims)
        case .transpose(let permutation):
            let own = channels(x)
            set(output, permutation.map { own[$0] })
        case .concat(let axis): concat(node, output, axis)
        case .slice(let ranges): slice(node, x, output, ranges)
        case .pad(let before, let after, _):
            let own = channels(x)
            var all: [[Int]] = []
            for axis in own.indices { all.append(sets.make(before[axis]) + own[axis] + sets.make(after[axis])) }
            set(output, all)
        case .gather(.slices(let axis)): gather(index, x, output, axis)
        case .reshape: reshape(node, x, output)
        default: fixAll(node, "\(node.name) (\(node.op.name)) is not known to bear it")
        }
    }

    private mutating func fixAxes(_ node: Node, _ x: ValueID, _ axes: [Int], _ reason: String) {
        for axis in axes.compactMap({ shape(x).normalized(axis: $0) }) { sets.fix(channels(x, axis), reason) }
    }

    /// The channels of `x` where extents are the same, else new ones that stay.
    private mutating func copy(_ x: ValueID, to output: ValueID, _ reason: String) {
        var result: [[Int]] = []
        for (axis, extent) in shape(output).dims.enumerated() {
            let own = channels(x, axis)
            if own.count == extent {
                result.append(own)
            } else {
                sets.fix(own, reason)
                result.append(fixed(extent, reason))
            }
        }
        set(output, result)
    }

    private mutating func convolution(_ index: Int, _ conv: Convolution, _ x: ValueID, _ output: ValueID) {
        let node = graph.nodes[index]
        guard node.inputs.count > 1, let w = node.inputs[1] else { return fixAll(node, "no weights") }
        let (last, rank) = (shape(x).rank - 1, shape(w).rank)
        let places = "positions of \(node.name) stay"
        fix(x, places, but: [last])
        fix(w, "\(node.name) keeps its kernel", but: conv.groups == 1 ? [0, rank - 1] : [0])
        let (inputs, outputs) = (channels(x, last), channels(w, 0))
        if conv.groups == 1 {
            sets.join(inputs, channels(w, rank - 1))
            consumers.append(Use(constant: w, axis: rank - 1, node: index))
        } else {
            // A group goes as a whole: its inputs and the outputs that it makes.
            let (perInput, perOutput) = (inputs.count / conv.groups, outputs.count / conv.groups)
            for group in 0..<conv.groups {
                let members =
                    inputs[group * perInput..<(group + 1) * perInput]
                    + outputs[group * perOutput..<(group + 1) * perOutput]
                for member in members { sets.join(inputs[group * perInput], member) }
            }
        }
        if node.inputs.count > 2, let bias = node.inputs[2] { sets.join(outputs, channels(bias, 0)) }
        producers.append(Use(constant: w, axis: 0, node: index))
        var result = fresh(output, places)
        result[last] = outputs
        set(output, result)
    }

    private mutating func fullyConnected(_ index: Int, _ x: ValueID, _ output: ValueID) {
        let node = graph.nodes[index]
        guard node.inputs.count > 1, let w = node.inputs[1] else { return fixAll(node, "no weights") }
        sets.join(channels(x, shape(x).rank - 1), channels(w, 1))
        consumers.append(Use(constant: w, axis: 1, node: index))
        if node.inputs.count > 2, let bias = node.inputs[2] { sets.join(channels(w, 0), channels(bias, 0)) }
        producers.append(Use(constant: w, axis: 0, node: index))
        set(output, channels(x).dropLast() + [channels(w, 0)])
    }

    private mutating func matMul(_ index: Int, _ a: ValueID, _ output: ValueID) {
        let node = graph.nodes[index]
        let rank = shape(output).rank
        guard node.inputs.count > 1, let b = node.inputs[1], shape(a).rank >= 2, shape(b).rank >= 2 else {
            return fixAll(node, "\(node.name) multiplies vectors")
        }
        let (left, right) = (channels(a), channels(b))
        sets.join(left[left.count - 1], right[right.count - 2])
        for (id, axis, isProduct) in [(a, left.count - 1, false), (b, right.count - 2, true)]
        where graph[id].constant != nil {
            consumers.append(Use(constant: id, axis: axis, node: index))
            producers.append(Use(constant: id, axis: isProduct ? right.count - 1 : left.count - 2, node: index))
        }
        var result: [[Int]] = []
        for axis in 0..<rank - 2 {
            result.append(
                broadcast([(a, axis + left.count - rank), (b, axis + right.count - rank)], shape(output)[axis]))
            if shape(output)[axis] > 1 { heads += result[axis] }
        }
        set(output, result + [left[left.count - 2], right[right.count - 1]])
    }

    /// One axis of a result of broadcasting: operands of the full extent go together.
    private mutating func broadcast(_ operands: [(id: ValueID, axis: Int)], _ extent: Int) -> [Int] {
        var result: [Int]?
        for (id, axis) in operands where axis >= 0 {
            let own = channels(id, axis)
            guard own.count == extent else {
                sets.fix(own, "broadcast")
                continue
            }
            if let result { sets.join(result, own) } else { result = own }
        }
        return result ?? fixed(extent, "broadcast")
    }

    private mutating func elementwise(_ index: Int, _ output: ValueID) {
        let node = graph.nodes[index]
        let inputs = node.inputs.compactMap { $0 }
        let rank = shape(output).rank
        var result: [[Int]] = []
        for axis in 0..<rank {
            result.append(broadcast(inputs.map { ($0, axis + shape($0).rank - rank) }, shape(output)[axis]))
        }
        set(output, result)
        if case .binary(.multiply, _) = node.op {
            for id in inputs where graph[id].constant != nil && shape(id).elementCount == shape(output).dims.last {
                scales.append(Use(constant: id, axis: shape(id).rank - 1, node: index))
            }
        }
    }

    private mutating func reduce(_ node: Node, _ x: ValueID, _ output: ValueID, _ axes: [Int], _ keepsDims: Bool) {
        let reason = "\(node.name) (\(node.op.name)) runs over them"
        let reduced = Set(axes.compactMap { shape(x).normalized(axis: $0) })
        fixAxes(node, x, axes, reason)
        var result: [[Int]] = []
        for (axis, own) in channels(x).enumerated() {
            if !reduced.contains(axis) { result.append(own) } else if keepsDims { result.append(fixed(1, reason)) }
        }
        set(output, result)
    }

    private mutating func concat(_ node: Node, _ output: ValueID, _ axis: Int) {
        let inputs = node.inputs.compactMap { $0 }
        guard let axis = shape(output).normalized(axis: axis), let first = inputs.first else {
            return fixAll(node, "concat")
        }
        var result = channels(first)
        for id in inputs.dropFirst() {
            for (other, own) in channels(id).enumerated() {
                if other == axis { result[axis] += own } else { sets.join(result[other], own) }
            }
        }
        set(output, result)
    }

    private mutating func slice(_ node: Node, _ x: ValueID, _ output: ValueID, _ ranges: [SliceRange]) {
        var result: [[Int]] = []
        for (axis, own) in channels(x).enumerated() {
            let range = ranges[axis]
            let (start, end) = range.bounds(extent: own.count)
            if range.step == 1 {
                result.append(Array(own[min(start, max(end, start))..<max(end, start)]))
            } else {
                let reason = "\(node.name) takes every \(range.step)th"
                sets.fix(own, reason)
                result.append(stride(from: start, to: end, by: range.step).map { own[$0] })
            }
        }
        set(output, result)
    }

    private mutating func gather(_ index: Int, _ x: ValueID, _ output: ValueID, _ axis: Int) {
        let node = graph.nodes[index]
        guard let axis = shape(x).normalized(axis: axis), node.inputs.count > 1, let indices = node.inputs[1] else {
            return fixAll(node, "gather")
        }
        sets.fix(channels(x, axis), "\(node.name) chooses among them")
        let own = channels(x)
        if graph[x].constant != nil, own.count == 2, axis == 0 {
            producers.append(Use(constant: x, axis: 1, node: index))
        }
        if graph[indices].constant != nil { fix(indices, "indices") }
        set(output, own[..<axis] + channels(indices) + own[(axis + 1)...])
    }

    /// A unit of a recurrent layer: its rows of every gate, and its column in the recurrent weights.
    private mutating func recurrent(_ index: Int, _ layer: Recurrent, _ x: ValueID, _ output: ValueID) {
        let node = graph.nodes[index]
        let (gates, hidden) = (layer.kind.gates, layer.hidden)
        guard node.inputs.count > 2, let w = node.inputs[1], let r = node.inputs[2], shape(x).rank == 3 else {
            return fixAll(node, "no weights")
        }
        fix(x, "steps of \(node.name) stay", but: [2])
        sets.join(channels(x, 2), channels(w, 1))
        consumers.append(Use(constant: w, axis: 1, node: index))
        producers.append(Use(constant: w, axis: 0, node: index))
        let units = channels(r, 1)
        consumers.append(Use(constant: r, axis: 1, node: index))
        for table in [channels(w, 0), channels(r, 0)] {
            for gate in 0..<gates { sets.join(units, Array(table[gate * hidden..<(gate + 1) * hidden])) }
        }
        for (place, repeats) in [(3, 2 * gates), (7, 3)] where place < node.inputs.count {
            guard let id = node.inputs[place] else { continue }
            let table = channels(id, 0)
            for part in 0..<repeats { sets.join(units, Array(table[part * hidden..<(part + 1) * hidden])) }
        }
        for place in [5, 6] where place < node.inputs.count {
            guard let id = node.inputs[place] else { continue }
            sets.join(units, channels(id, 1))
            fix(id, "steps of \(node.name) stay", but: [1])
        }
        if node.inputs.count > 4, let lengths = node.inputs[4] { fix(lengths, "lengths") }
        var result = fresh(output, "steps of \(node.name) stay")
        result[2] = units
        set(output, result)
    }
}
