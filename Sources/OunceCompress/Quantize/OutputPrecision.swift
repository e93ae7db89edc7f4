import OunceGraph

/// Finds the layers at the model's end that cost next to nothing: class scores lose more from int8 grids than int8
/// arithmetic saves in them.
enum OutputPrecision {
    /// Of the model's multiply-accumulates, for all these layers together.
    private static let largestShare = 0.05

    /// Indices in the graph's nodes.
    static func layersWithFloatOutput(_ graph: Graph) -> Set<Int> {
        let producers = graph.producers()
        var left = largestShare * Double(graph.macs)
        var found: Set<Int> = []
        for output in graph.clientOutputs {
            var value: ValueID? = output
            // Back along what leads to nothing but the scores.
            while let index = value.flatMap({ producers[$0] }), !found.contains(index) {
                let node = graph.nodes[index]
                switch node.op {
                case .conv, .fullyConnected:
                    let cost = Double(graph.macs(of: node))
                    guard cost <= left else { break }
                    left -= cost
                    found.insert(index)
                    value = node.inputs.first ?? nil
                    continue
                case .softmax, .reshape, .transpose, .unary:
                    value = node.inputs.first ?? nil
                    continue
                default: break
                }
                break
            }
        }
        return found
    }
}
