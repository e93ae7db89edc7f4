import OunceGraph

/// A graph without some of its channels.
extension ChannelCoupling {
    /// - Parameters:
    ///   - original: the graph of which this is the coupling, with the extents that it leaves open.
    ///   - removed: sets of channels, by root.
    ///   - ends: additions one operand of which is gone, and the operand that stays.
    /// - Throws: `.recipe` where the result is no valid graph: a layer that cannot be analysed.
    func removing(
        _ removed: Set<Int>, ends: [Int: ValueID] = [:], from original: Graph
    ) throws(CompressError) -> Graph {
        var graph = original
        for index in graph.values.indices {
            guard var tensor = graph.values[index].constant else { continue }
            for axis in tensor.shape.dims.indices {
                guard let kept = kept(ValueID(index), axis, without: removed) else { continue }
                guard let part = tensor.keeping(kept, along: axis) else {
                    throw CompressError(.recipe, "prune: \(graph.values[index].name) cannot be cut")
                }
                tensor = part
            }
            graph.values[index].constant = tensor
            graph.values[index].type.shape = tensor.shape
        }
        do {
            for index in graph.nodes.indices {
                adjust(&graph.nodes[index], removed)
                let node = graph.nodes[index]
                guard let output = node.outputs.first else { continue }
                graph[output].type = try graph.inferType(
                    of: node.op, inputs: node.inputs.map { $0.map { graph[$0] } }, node: node.name,
                    encoding: graph[output].encoding)
            }
            var patch = GraphPatch(for: graph)
            for (index, stays) in ends { end(graph.nodes[index], with: stays, in: graph, index, &patch) }
            let result = try graph.applying(patch)
            let (before, after) = (self.graph, try result.bound(to: [:]))
            guard zip(before.outputs, after.outputs).allSatisfy({ before[$0].type == after[$1].type }) else {
                throw CompressError(.recipe, "prune: the outputs would change their shape")
            }
            return result
        } catch let error as CompressError {
            throw error
        } catch {
            throw CompressError(.recipe, "prune: \(error)")
        }
    }

    /// Extents that an operator names.
    private func adjust(_ node: inout Node, _ removed: Set<Int>) {
        guard let x = node.inputs.first ?? nil, let output = node.outputs.first else { return }
        func change(_ id: ValueID, _ axis: Int) -> Int? { kept(id, axis, without: removed)?.count }
        switch node.op {
        case .conv(var conv) where conv.groups > 1:
            let last = shape(x).rank - 1
            guard let inputs = change(x, last) else { return }
            conv.groups = inputs / (shape(x)[last] / conv.groups)
            node.op = .conv(conv)
        case .reshape(var dims):
            for axis in dims.indices {
                if case .literal = dims[axis], let extent = change(output, axis) { dims[axis] = .literal(extent) }
            }
            node.op = .reshape(dims)
        case .expand(var dims):
            for axis in dims.indices {
                let own = axis + shape(output).rank - dims.count
                if let extent = change(output, own) { dims[axis] = extent }
            }
            node.op = .expand(dims)
        case .recurrent(var layer):
            guard let hidden = change(output, 2) else { return }
            layer.hidden = hidden
            node.op = .recurrent(layer)
        case .slice(var ranges):
            for axis in ranges.indices where !ranges[axis].isAll {
                guard let kept = kept(x, axis, without: removed) else { continue }
                let (start, end) = ranges[axis].bounds(extent: shape(x)[axis])
                ranges[axis].start = kept.count { $0 < start }
                ranges[axis].end = kept.count { $0 < end }
            }
            node.op = .slice(ranges)
        case .pad(var before, var after, let value):
            for axis in before.indices {
                guard let kept = kept(output, axis, without: removed) else { continue }
                let end = before[axis] + shape(x)[axis]
                before[axis] = kept.count { $0 < before[axis] }
                after[axis] = kept.count { $0 >= end }
            }
            node.op = .pad(before: before, after: after, value: value)
        default: return
        }
    }

    /// The addition is what stays of it, with its activation.
    private func end(_ node: Node, with stays: ValueID, in graph: Graph, _ index: Int, _ patch: inout GraphPatch) {
        guard case .binary(_, let activation) = node.op, let output = node.outputs.first else { return }
        let maker = graph.nodes.first { $0.outputs == [stays] }
        if activation == .none || maker?.op.activation == activation {
            patch.replacements[index] = []
            patch.substitutions[output] = stays
        } else {
            let (low, high) = activation.bounds
            patch.replacements[index] = [
                Node(name: node.name, op: .unary(.clip(low, high)), inputs: [stays], outputs: node.outputs)
            ]
        }
    }
}

extension Op {
    fileprivate var activation: Activation? {
        switch self {
        case .conv(let conv): conv.activation
        case .fullyConnected(let activation), .binary(_, let activation): activation
        default: nil
        }
    }
}

extension Tensor {
    /// The slices at `places` along an axis.
    func keeping(_ places: [Int], along axis: Int) -> Tensor? {
        let inner = shape.dims[(axis + 1)...].reduce(dtype.byteSize, *)
        let outer = shape.dims[..<axis].reduce(1, *)
        let extent = shape[axis]
        var dims = shape.dims
        dims[axis] = places.count
        let storage = TensorStorage(byteCount: outer * places.count * inner) { target in
            for row in 0..<outer {
                for (index, place) in places.enumerated() {
                    let (to, from) = ((row * places.count + index) * inner, (row * extent + place) * inner)
                    UnsafeMutableRawBufferPointer(rebasing: target[to..<to + inner])
                        .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[from..<from + inner]))
                }
            }
        }
        return Tensor(dtype: dtype, shape: Shape(dims), storage: storage)
    }
}
