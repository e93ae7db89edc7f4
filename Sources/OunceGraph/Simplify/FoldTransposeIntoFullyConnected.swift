/// Where transposed features are flattened for a fully connected layer, permutes the columns of its weights instead.
struct FoldTransposeIntoFullyConnected: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard case .fullyConnected = node.op, let flat = sweep.input(node, 0), flat.shape.rank == 2,
            let reshape = sweep.producer(node, 0), case .reshape(let dimensions) = reshape.op,
            let transpose = sweep.producer(reshape, 0), let permutation = transpose.permutation,
            permutation.count > 1, permutation[0] == 0, let x = sweep.input(transpose, 0), let id = node.inputs[1]
        else { return nil }
        let turned = permutation.dropFirst().map { x.shape[$0] }
        guard let features = Shape(turned).elementCount, features > 0, flat.shape[1] == features,
            x.encoding == flat.encoding, sweep.input(reshape, 0)?.encoding == flat.encoding,
            x.shape[0] < 0 ? dimensions[0] == .copy(0) || dimensions[0] == .infer : flat.shape[0] == x.shape[0],
            (sweep[id].encoding.affine?.axis ?? 0) == 0,
            let weights = sweep[id].constant, weights.byteCount <= sweep.budget,
            let permuted = weights.reshaped(Shape([weights.shape[0]] + turned))?
                .transposed([0] + permutation.inverted.dropFirst())?.reshaped(weights.shape)
        else { return nil }
        let first: ReshapeDimension = x.shape[0] < 0 ? .copy(0) : .literal(x.shape[0])
        let (flatten, straight) = try sweep.makeNode(
            .reshape([first, .literal(features)]), transpose.inputs, name: reshape.name, encoding: flat.encoding)
        let new = sweep.addConstant(permuted, name: sweep[id].name, encoding: sweep[id].encoding)
        var inputs = node.inputs
        inputs[0] = straight
        inputs[1] = new
        return .nodes([flatten, Node(name: node.name, op: node.op, inputs: inputs, outputs: node.outputs)])
    }
}
