import OunceGraph

extension Graph {
    /// One line for each node, for messages.
    var listing: String {
        nodes.map { node in
            let inputs = node.inputs.map { $0.map { "\(self[$0].name)\(self[$0].shape)" } ?? "-" }
            let output = node.outputs.map { "\(self[$0].name) \(self[$0].dtype) \(self[$0].shape)" }
            return "\(output.joined()) = \(node.op) \(inputs.joined(separator: ", "))"
        }.joined(separator: "\n")
    }
}
