import COunceKernels
import OunceGraph

extension Lowering {
    mutating func lowerLayerNormalization(_ node: Node, axes: Int, epsilon: Float) throws(RuntimeError) {
        let x = try input(node, 0)
        let columns = graph[x].shape.dims.suffix(axes).reduce(1, *)
        let count = elementCount(x)
        var inputs: [Operand?] = []
        for id in node.inputs {
            guard let id else {
                inputs.append(nil)
                continue
            }
            inputs.append(try dequantized(id, node: node.name))
        }
        let isQuantized = graph[node.outputs[0]].dtype == .int8
        let output = isQuantized ? newBuffer(byteCount: count * 4) : outputOf(node)
        let parameters = ounce_layernorm_params(
            rows: Int64(count / max(columns, 1)), columns: Int64(columns), epsilon: epsilon)
        emit(
            LoweredStep(
                node: node.name, work: .kernel(OUNCE_LAYERNORM_F32), parameters: StepParameters(parameters),
                weights: nil, inputs: inputs, output: output, cost: count * 2, macs: 0, packingKey: ""))
        if isQuantized { try emitQuantize(.buffer(output), node) }
    }
}
