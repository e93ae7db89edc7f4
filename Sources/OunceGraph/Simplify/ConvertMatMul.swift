/// A product with a constant matrix is a fully connected layer.
struct ConvertMatMul: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard case .matMul = node.op, let b = sweep.input(node, 1), b.shape.rank == 2, b.dtype == .float32 else {
            return nil
        }
        if let matrix = b.constant {
            guard matrix.byteCount <= sweep.budget, let weights = matrix.transposed([1, 0]) else { return nil }
            let id = sweep.addConstant(weights, name: b.name)
            return .node(.fullyConnected(.none), [node.inputs[0], id], for: node)
        }
        guard let before = sweep.producer(node, 1), case .dequantize = before.op, let q = sweep.input(before, 0),
            let affine = q.encoding.affine, let matrix = q.constant, matrix.byteCount <= sweep.budget,
            let weights = matrix.transposed([1, 0])
        else { return nil }
        let turned = AffineQuantization(
            scales: affine.scales, zeroPoints: affine.zeroPoints, axis: affine.axis.map { 1 - $0 })
        let id = sweep.addConstant(weights, name: q.name, encoding: .affine(turned))
        let (dequantize, real) = try sweep.makeNode(.dequantize, [id], name: before.name)
        let layer = Node(
            name: node.name, op: .fullyConnected(.none), inputs: [node.inputs[0], real], outputs: node.outputs)
        return .nodes([dequantize, layer])
    }
}
