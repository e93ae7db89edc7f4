import OunceConfig
import OunceGraph

extension Graph {
    /// What recipes call this node; nil where it is no layer with weights.
    func layerKind(_ node: Node) -> LayerKind? {
        switch node.op {
        case .conv(let conv):
            guard let x = node.inputs.first ?? nil, node.inputs.count > 1, let w = node.inputs[1] else { return nil }
            if conv.groups > 1, conv.groups == self[x].shape.dims.last { return .depthwise }
            return self[w].shape.dims.dropFirst().dropLast().allSatisfy { $0 == 1 } ? .conv1x1 : .conv
        case .fullyConnected: return .fullyConnected
        case .matMul: return .matmul
        case .recurrent, .integerLSTM: return .recurrent
        default: return nil
        }
    }

    /// The number of elements of all constants that the node reads.
    func parameterCount(of node: Node) -> Int {
        Set(node.inputs.compactMap { $0 }).reduce(0) { $0 + (self[$1].constant?.count ?? 0) }
    }
}

extension LayerSelection {
    /// Whether the node, whatever it is, fits all that the recipe says.
    func covers(_ node: Node, in graph: Graph) -> Bool {
        covers(name: node.name, kind: graph.layerKind(node), parameters: graph.parameterCount(of: node))
    }

    /// Why nothing is left to do; for the error of a step none of whose layers fit.
    static func nothingFits(_ step: String, _ what: String) -> CompressError {
        CompressError(
            .recipe,
            "\(step): the model has no \(what) that the step's layers, kinds and min_parameters choose; "
                + "'ounce inspect' shows the names")
    }
}
