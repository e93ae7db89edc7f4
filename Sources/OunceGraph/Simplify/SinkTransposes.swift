/// Moves transposes below operators that work as well on the untransposed tensor, so that they meet their inverses.
struct SinkTransposes: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard let output = sweep.output(node), output.encoding.affine?.axis == nil else { return nil }
        for index in 0..<min(node.inputs.count, isMultiary(node.op) ? node.inputs.count : 1) {
            guard let permutation = sweep.producer(node, index)?.permutation,
                sweep.input(node, index)?.encoding.affine?.axis == nil
            else { continue }
            return try sink(permutation, through: node, in: &sweep)
        }
        return nil
    }

    private func isMultiary(_ op: Op) -> Bool {
        switch op {
        case .binary, .concat: true
        default: false
        }
    }

    private func sink(
        _ permutation: [Int], through node: Node, in sweep: inout Sweep
    ) throws(GraphError) -> Rewrite? {
        let rank = permutation.count
        func original(_ axis: Int) -> Int { permutation[axis < 0 ? axis + rank : axis] }
        let inverse = permutation.inverted
        var after = permutation
        let op: Op
        switch node.op {
        case .unary, .quantize, .dequantize, .cast, .binary: op = node.op
        case .batchNormalization(let axis, let epsilon):
            op = .batchNormalization(axis: original(axis), epsilon: epsilon)
        case .pad(let before, let after, let value):
            op = .pad(before: inverse.map { before[$0] }, after: inverse.map { after[$0] }, value: value)
        case .slice(let ranges): op = .slice(inverse.map { ranges[$0] })
        case .concat(let axis): op = .concat(axis: original(axis))
        case .resample(let axis): op = .resample(axis: original(axis))
        case .gather(.slices(let axis)) where sweep.input(node, 1)?.shape.rank == 1:
            op = .gather(.slices(axis: original(axis)))
        case .softmax(let axis):
            // The last axis is the one that kernels are fast on.
            guard original(axis) == rank - 1 || (axis != rank - 1 && axis != -1) else { return nil }
            op = .softmax(axis: original(axis))
        case .reduce(let reduction, let axes, let keepDims):
            let reduced = axes.map(original)
            op = .reduce(reduction, axes: reduced.sorted(), keepDims: keepDims)
            if !keepDims {
                let kept = permutation.filter { !reduced.contains($0) }
                let order = kept.sorted()
                after = kept.map { axis in order.firstIndex(of: axis) ?? 0 }
            }
        default: return nil
        }
        guard let inputs = inputs(of: node, undoing: permutation, in: &sweep) else { return nil }
        let encoding = sweep.output(node)?.encoding ?? .plain
        let (below, moved) = try sweep.makeNode(op, inputs.ids, name: node.name, encoding: encoding)
        let last = Node(name: node.name, op: .transpose(after), inputs: [moved], outputs: node.outputs)
        return .nodes(inputs.nodes + [below, last])
    }

    /// The inputs as they are before `permutation`; nil where that would take another movement of data.
    private func inputs(
        of node: Node, undoing permutation: [Int], in sweep: inout Sweep
    ) -> (ids: [ValueID?], nodes: [Node])? {
        var ids = node.inputs
        var nodes: [Node] = []
        for (index, id) in node.inputs.enumerated() where index == 0 || isMultiary(node.op) {
            guard let id else { return nil }
            let value = sweep[id]
            if let before = sweep.producer(node, index), before.permutation == permutation {
                guard sweep.input(before, 0)?.encoding == value.encoding else { return nil }
                ids[index] = before.inputs[0]
            } else if let constant = value.constant, value.encoding.affine?.axis == nil {
                guard constant.byteCount <= sweep.budget,
                    let moved = constant.expanded(toRank: permutation.count)?.transposed(permutation.inverted)
                else { return nil }
                if constant.count == 1 && constant.shape.rank <= 1 && node.isBinary { continue }
                ids[index] = sweep.addConstant(moved, name: value.name, encoding: value.encoding)
            } else {
                guard let reshaped = reshape(id, undoing: permutation, in: &sweep) else { return nil }
                nodes.append(reshaped.node)
                ids[index] = reshaped.output
            }
        }
        return (ids, nodes)
    }

    /// For a value in which the inverse of `permutation` only moves axes of extent 1.
    private func reshape(
        _ id: ValueID, undoing permutation: [Int], in sweep: inout Sweep
    ) -> (node: Node, output: ValueID)? {
        let value = sweep[id]
        let missing = permutation.count - value.shape.rank
        guard missing >= 0 else { return nil }
        let expanded = Shape([Int](repeating: 1, count: missing) + value.shape.dims)
        let inverse = permutation.inverted
        guard inverse.movesOnlyUnits(of: expanded) else { return nil }
        let dimensions = inverse.map { $0 < missing ? ReshapeDimension.literal(1) : .copy($0 - missing) }
        return try? sweep.makeNode(.reshape(dimensions), [id], name: value.name, encoding: value.encoding)
    }
}

extension Node {
    var isBinary: Bool {
        if case .binary = op { true } else { false }
    }
}
