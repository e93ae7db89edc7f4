/// Makes one reshape of two, drops those that change nothing and writes known extents down.
struct MergeReshapes: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard case .reshape(let dimensions) = node.op, let x = sweep.input(node, 0), let y = sweep.output(node),
            x.encoding.affine?.axis == nil
        else { return nil }
        if x.encoding == y.encoding, isIdentity(x.shape, y.shape, dimensions), let id = node.inputs[0] {
            return .value(id)
        }
        if let before = sweep.producer(node, 0), case .reshape(let first) = before.op,
            let source = sweep.input(before, 0), source.encoding == x.encoding,
            let merged = merge(dimensions, after: first, of: x.shape, to: y.shape)
        {
            return .node(.reshape(merged), before.inputs, for: node)
        }
        let literal = zip(dimensions, y.shape.dims).map { $1 >= 0 ? ReshapeDimension.literal($1) : $0 }
        return literal == dimensions ? nil : .node(.reshape(literal), node.inputs, for: node)
    }

    private func isIdentity(_ x: Shape, _ y: Shape, _ dimensions: [ReshapeDimension]) -> Bool {
        guard x.rank == y.rank else { return false }
        var inferred = 0
        for axis in 0..<x.rank where x[axis] < 0 || y[axis] < 0 {
            if dimensions[axis] == .copy(axis) { continue }
            guard dimensions[axis] == .infer, x[axis] < 0 else { return false }
            inferred += 1
        }
        return inferred <= 1 && zip(x.dims, y.dims).allSatisfy { $0 < 0 || $1 < 0 || $0 == $1 }
    }

    /// `dimensions` told in axes of the input of the reshape before.
    private func merge(
        _ dimensions: [ReshapeDimension], after first: [ReshapeDimension], of middle: Shape, to end: Shape
    ) -> [ReshapeDimension]? {
        var merged: [ReshapeDimension] = []
        for (dimension, extent) in zip(dimensions, end.dims) {
            switch dimension {
            case _ where extent >= 0: merged.append(.literal(extent))
            case .copy(let axis): merged.append(first[axis])
            default: merged.append(dimension)
            }
        }
        return merged.filter { $0 == .infer }.count <= 1 ? merged : nil
    }
}
