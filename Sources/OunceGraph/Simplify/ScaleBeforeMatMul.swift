/// Scales the smaller operand of a matrix product in place of the product, as attention's scores by `1 / sqrt(width)`.
struct ScaleBeforeMatMul: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard node.isProduct || node.isDivision, let y = sweep.output(node), y.dtype == .float32 else { return nil }
        for index in 0...(node.isProduct ? 1 : 0) {
            guard let number = sweep.number(node, 1 - index), number.isFinite,
                let product = sweep.soleProducer(node, index), case .matMul = product.op,
                let shape = sweep.input(node, index)?.shape, shape == y.shape,
                let left = product.inputs[0], sweep[left].constant == nil,
                isSmaller(sweep[left].shape, than: shape)
            else { continue }
            let (scale, scaled) = try sweep.makeNode(node.op, [left, node.inputs[1 - index]], name: node.name)
            return .nodes([
                scale,
                Node(name: product.name, op: .matMul, inputs: [scaled, product.inputs[1]], outputs: node.outputs),
            ])
        }
        return nil
    }

    /// Also where leading extents are unknown but the same.
    private func isSmaller(_ left: Shape, than product: Shape) -> Bool {
        if let before = left.elementCount, let after = product.elementCount { return before < after }
        let (width, columns) = (left.dims.last ?? -1, product.dims.last ?? -1)
        return left.dims.dropLast() == product.dims.dropLast() && width > 0 && width < columns
    }
}
