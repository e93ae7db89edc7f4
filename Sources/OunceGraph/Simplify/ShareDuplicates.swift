/// Computes once what several nodes compute alike. It matters for layout changes, which importers repeat at every use.
struct ShareDuplicates: Rule {
    private struct Key: Hashable {
        let op: Op
        let inputs: [ValueID?]
        let type: TensorType
        let encoding: Encoding
    }

    private var seen: [Key: ValueID] = [:]

    mutating func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard let id = node.outputs.first else { return nil }
        let output = sweep[id]
        let key = Key(op: node.op, inputs: node.inputs, type: output.type, encoding: output.encoding)
        if let other = seen[key] { return .value(other) }
        seen[key] = id
        return nil
    }
}
