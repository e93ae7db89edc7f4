import OunceGraph

/// Finds the layers that make the model's output and cost next to nothing: class scores lose more from an int8 grid than int8
/// arithmetic saves in them.
enum OutputPrecision {
    /// A layer with a larger share of the model's multiply-accumulates becomes int8 all the same.
    private static let largestShare = 0.05

    /// Indices in the graph's nodes.
    static func layersWithFloatOutput(_ graph: Graph) -> Set<Int> {
        let producers = graph.producers()
        let total = graph.macs
        var found: Set<Int> = []
        for output in graph.outputs {
            var value = output
            // Back through what only presents the scores.
            while let index = producers[value] {
                let node = graph.nodes[index]
                if QuantizePlan.isLayer(node) {
                    if Double(graph.macs(of: node)) <= largestShare * Double(total) { found.insert(index) }
                    break
                }
                switch node.op {
                case .softmax, .reshape, .transpose, .unary:
                    guard let input = node.inputs.first ?? nil else { break }
                    value = input
                    continue
                default: break
                }
                break
            }
        }
        return found
    }
}
