/// Removes changes of encoding that lead back to the same encoding.
struct CancelQuantization: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard case .quantize = node.op, let id = node.inputs[0], let output = sweep.output(node) else { return nil }
        let x = sweep[id]
        if x.dtype == .int8, x.encoding == output.encoding { return .value(id) }
        guard let before = sweep.producer(node, 0), case .dequantize = before.op,
            let source = sweep.input(before, 0), source.dtype == .int8, source.encoding.affine?.axis == nil
        else { return nil }
        return .node(.quantize, before.inputs, for: node)
    }
}
