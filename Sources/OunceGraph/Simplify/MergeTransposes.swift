/// Makes one transpose of two, and a reshape of one that only moves axes of extent 1.
struct MergeTransposes: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard let permutation = node.permutation, let x = sweep.input(node, 0), x.encoding.affine?.axis == nil else {
            return nil
        }
        if permutation.movesOnlyUnits(of: x.shape) {
            return .node(.reshape(permutation.map { .copy($0) }), node.inputs, for: node)
        }
        guard let before = sweep.producer(node, 0), let first = before.permutation,
            sweep.input(before, 0)?.encoding == x.encoding
        else { return nil }
        let merged = permutation.map { first[$0] }
        if merged == Array(merged.indices), let source = before.inputs[0] { return .value(source) }
        return .node(.transpose(merged), before.inputs, for: node)
    }
}
