/// Moves reshapes below elementwise operators, and those that only concern extents of 1 below transposes, so that they
/// meet each other and activations meet what they can be fused with.
struct SinkReshapes: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard sweep.output(node)?.encoding.affine?.axis == nil else { return nil }
        switch node.op {
        case .unary, .quantize, .dequantize, .cast:
            guard let before = reshape(node, 0, in: sweep) else { return nil }
            return try move(before, below: node, op: node.op, inputs: [before.inputs[0]], in: &sweep)
        case .binary: return try binary(node, in: &sweep)
        case .batchNormalization(let axis, let epsilon):
            guard let before = reshape(node, 0, in: sweep), let unit = UnitReshape(before, in: sweep),
                let axis = unit.to.normalized(axis: axis), let source = unit.source(of: axis)
            else { return nil }
            let op = Op.batchNormalization(axis: source, epsilon: epsilon)
            let inputs = [before.inputs[0]] + node.inputs.dropFirst()
            return try move(before, below: node, op: op, inputs: inputs, in: &sweep)
        case .transpose(let permutation): return try transpose(node, permutation, in: &sweep)
        default: return nil
        }
    }

    private func reshape(_ node: Node, _ index: Int, in sweep: Sweep) -> Node? {
        guard let before = sweep.producer(node, index), case .reshape = before.op,
            let x = sweep.input(before, 0), x.encoding == sweep.output(before)?.encoding,
            x.encoding.affine?.axis == nil
        else { return nil }
        return before
    }

    private func move(
        _ reshape: Node, below node: Node, op: Op, inputs: [ValueID?], in sweep: inout Sweep
    ) throws(GraphError) -> Rewrite? {
        let encoding = sweep.output(node)?.encoding ?? .plain
        let (moved, id) = try sweep.makeNode(op, inputs, name: node.name, encoding: encoding)
        guard sweep[id].shape == sweep.input(reshape, 0)?.shape else { return nil }
        return .nodes([moved, Node(name: node.name, op: reshape.op, inputs: [id], outputs: node.outputs)])
    }

    private func binary(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        let index = reshape(node, 0, in: sweep) == nil ? 1 : 0
        guard let before = reshape(node, index, in: sweep), let shape = sweep.input(node, index)?.shape,
            sweep.output(node)?.shape == shape
        else { return nil }
        var inputs = node.inputs
        inputs[index] = before.inputs[0]
        let other = 1 - index
        if let constant = sweep.constant(node, other), let value = sweep.input(node, other) {
            if !(constant.count == 1 && constant.shape.rank <= 1) {
                guard value.encoding.affine?.axis == nil,
                    let adapted = adapt(constant, before, in: sweep)
                else { return nil }
                inputs[other] = sweep.addConstant(adapted, name: value.name, encoding: value.encoding)
            }
        } else {
            guard let twin = reshape(node, other, in: sweep), twin.op == before.op,
                let a = sweep.input(before, 0)?.shape, a == sweep.input(twin, 0)?.shape,
                shape == sweep.input(node, other)?.shape
            else { return nil }
            inputs[other] = twin.inputs[0]
        }
        return try move(before, below: node, op: node.op, inputs: inputs, in: &sweep)
    }

    /// The constant in the axes before the reshape; nil where it would not be broadcast in the same way.
    private func adapt(_ constant: Tensor, _ reshape: Node, in sweep: Sweep) -> Tensor? {
        guard let unit = UnitReshape(reshape, in: sweep), let expanded = constant.expanded(toRank: unit.to.rank) else {
            return nil
        }
        var dims = [Int](repeating: 1, count: unit.from.rank)
        for axis in unit.to.dims.indices {
            if let source = unit.source(of: axis) {
                dims[source] = expanded.shape[axis]
            } else if expanded.shape[axis] != 1 {
                return nil
            }
        }
        return expanded.reshaped(Shape(dims))
    }

    /// The transpose in the axes before the reshape, then a reshape: axes of extent 1 stay where they are.
    private func transpose(
        _ node: Node, _ permutation: [Int], in sweep: inout Sweep
    ) throws(GraphError) -> Rewrite? {
        guard let before = reshape(node, 0, in: sweep), let unit = UnitReshape(before, in: sweep),
            let y = sweep.output(node), let x = before.inputs[0]
        else { return nil }
        var sources = permutation.compactMap(unit.source)[...]
        var moved = Array(unit.from.dims.indices)
        for axis in moved.indices where unit.from[axis] != 1 { moved[axis] = sources.popFirst() ?? axis }
        let (transposed, id) = try sweep.makeNode(
            .transpose(moved), [x], name: node.name, encoding: y.encoding)
        let place = moved.inverted
        let all = unit.dimensions { place[$0] }
        return .nodes([
            transposed,
            Node(name: node.name, op: .reshape(permutation.map { all[$0] }), inputs: [id], outputs: node.outputs),
        ])
    }
}
