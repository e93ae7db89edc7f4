import OunceGraph

extension SymmetricGrids {
    /// Grids that end at zero cut negative numbers off; a symmetric grid does not, so a relu has to. Quantisers leave it
    /// out where the grid does it.
    static func withImpliedRelu(_ graph: Graph) -> Graph {
        var result = graph
        result.nodes = []
        for var node in graph.nodes {
            guard let output = node.outputs.first, cutsNegatives(graph[output]) else {
                result.nodes.append(node)
                continue
            }
            let clamp = Op.unary(.clip(0, .infinity))
            switch node.op {
            case .conv(var conv):
                conv.activation = relu(conv.activation)
                node.op = .conv(conv)
            case .fullyConnected(let activation): node.op = .fullyConnected(relu(activation))
            case .binary(let op, let activation): node.op = .binary(op, relu(activation))
            case .pool, .reshape, .transpose, .slice, .concat, .pad, .softmax: break
            case .unary(.sigmoid), .unary(.hardSigmoid), .unary(.exp), .unary(.sqrt), .unary(.abs): break
            case .quantize where node.inputs[0].map { graph[$0].encoding.affine != nil } ?? false: node.op = clamp
            case .quantize:
                if let x = node.inputs[0] {
                    let value = Value(name: "\(graph[x].name)_relu", type: graph[x].type)
                    let clamped = result.add(value)
                    result.nodes.append(Node(name: value.name, op: clamp, inputs: [x], outputs: [clamped]))
                    node.inputs[0] = clamped
                }
            default:
                var value = graph[output]
                value.name += "_linear"
                let linear = result.add(value)
                node.outputs = [linear]
                result.nodes.append(node)
                node = Node(name: "\(node.name)_relu", op: clamp, inputs: [linear], outputs: [output])
            }
            result.nodes.append(node)
        }
        return result
    }

    private static func cutsNegatives(_ value: Value) -> Bool {
        guard let affine = value.encoding.affine, affine.isPerTensor else { return false }
        return affine.zeroPoint == (value.dtype == .int8 ? -128 : 0) && (value.dtype == .int8 || value.dtype == .uint8)
    }

    private static func relu(_ activation: Activation) -> Activation {
        let (low, high) = activation.bounds
        return low >= 0 ? activation : high == .infinity ? .relu : .clip(0, high)
    }
}
