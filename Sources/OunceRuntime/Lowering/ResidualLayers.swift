import COunceKernels
import OunceGraph

/// A layer and an addition to its results that run as one step.
struct ResidualLayer: Sendable {
    let layer: Node
    let addition: Node
    /// What is added.
    let residual: ValueID
    /// Where the layer's result stands among the addition's operands.
    let place: Int
}

extension Lowering {
    /// The layers whose results nothing but an addition reads, by the index of that addition; with the indices of the layers.
    /// Where both operands are such layers, it is the later one.
    ///
    /// - Parameter taken: nodes that other steps stand for, by index.
    func findResidualLayers(besides taken: Set<Int>) -> (found: [Int: ResidualLayer], absorbed: Set<Int>) {
        var found: [Int: ResidualLayer] = [:]
        var absorbed: Set<Int> = []
        for (index, addition) in graph.nodes.enumerated() where !taken.contains(index) {
            let operands = addition.inputs.compactMap { $0 }
            guard case .binary(let op, _) = addition.op, operands.count == 2, hasKernel(addition),
                graph[operands[0]].shape == graph[operands[1]].shape,
                op == .add || (op == .subtract && isQuantized(operands[0])),
                isQuantized(operands[0]) == isQuantized(operands[1])
            else { continue }
            let layers = operands.indices.compactMap { place -> (producer: Int, place: Int)? in
                flow.maker(operands[place]).flatMap { takesResidual(graph.nodes[$0]) ? ($0, place) : nil }
            }
            guard let last = layers.max(by: { $0.producer < $1.producer }) else { continue }
            absorbed.insert(last.producer)
            found[index] = ResidualLayer(
                layer: graph.nodes[last.producer], addition: addition, residual: operands[1 - last.place],
                place: last.place)
        }
        return (found, absorbed)
    }

    private func takesResidual(_ node: Node) -> Bool {
        guard hasKernel(node), node.outputs.count == 1, integerLayers[node.outputs[0]] == nil,
            let x = node.inputs.first, let input = x
        else { return false }
        switch node.op {
        case .conv: return !isDepthwise(node) && isQuantized(input) == isQuantized(node.outputs[0])
        case .fullyConnected: return isQuantized(input) == isQuantized(node.outputs[0])
        default: return false
        }
    }

    /// Whether each channel of the node is convolved with weights of its own.
    func isDepthwise(_ node: Node) -> Bool {
        guard case .conv(let conv) = node.op, let x = node.inputs.first, let input = x else { return false }
        let channels = graph[input].shape.dims.last
        return conv.groups > 1 && conv.groups == channels && channels == graph[node.outputs[0]].shape.dims.last
    }

    mutating func lowerResidualLayer(_ residual: ResidualLayer) throws(RuntimeError) {
        let node = residual.layer
        for id in node.inputs.compactMap({ $0 }) + node.outputs + [residual.residual] { try checkExtents(id) }
        switch node.op {
        case .conv(let conv): try lowerConvolution(node, conv, residual)
        case .fullyConnected(let activation): try lowerFullyConnected(node, activation, residual)
        default: throw RuntimeError(.unsupported, "no residual is added to the results of this operator")
        }
    }

    /// Where the step finds its residual, which lies as its output does; sets what the addition asks for.
    mutating func addResidual(
        _ residual: ResidualLayer, to parameters: inout ounce_conv_params, outputOffset: Int
    ) throws(RuntimeError) -> Operand {
        parameters.has_residual = 1
        guard case .binary(let op, let activation) = residual.addition.op else {
            throw RuntimeError(.unsupported, "\(residual.addition.name) is no addition")
        }
        if isQuantized(residual.residual) {
            var addition = try additionParameters(residual.addition, subtract: op == .subtract, activation)
            let both = addition.multiplier
            if residual.place == 1 { addition.multiplier = (both.1, both.0) }
            parameters.residual = addition
        } else {
            (parameters.residual_min, parameters.residual_max) = activation.bounds
        }
        return try operand(residual.residual).offset(by: outputOffset)
    }
}
