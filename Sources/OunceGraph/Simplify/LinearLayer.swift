/// A convolution or fully connected layer with constant float weights, before its activation: what an affine map of
/// its output channels can be folded into.
struct LinearLayer {
    let node: Node
    let weights: Tensor
    let bias: [Double]

    /// The layer that alone makes input 0 of `node` — or whichever input `index` says.
    init?(before node: Node, input index: Int = 0, in sweep: Sweep) {
        guard let layer = sweep.soleProducer(node, index) else { return nil }
        switch layer.op {
        case .conv(let conv): guard conv.activation == .none else { return nil }
        case .fullyConnected(let activation): guard activation == .none else { return nil }
        default: return nil
        }
        guard let weights = sweep.constant(layer, 1), weights.dtype == .float32,
            weights.byteCount <= sweep.budget
        else { return nil }
        self.node = layer
        self.weights = weights
        if layer.inputs.count > 2, layer.inputs[2] != nil {
            guard let numbers = sweep.floats(layer, 2) else { return nil }
            bias = numbers.map { Double($0) }
        } else {
            bias = Array(repeating: 0, count: weights.shape[0])
        }
    }

    var outputs: Int { bias.count }

    /// The layer that gives `scale · y + shift` for each channel's y and then does `activation`, in place of `old`.
    ///
    /// nil where a number would not be finite.
    func mapped(
        scale: [Double], shift: [Double], activation: Activation, for old: Node, in sweep: inout Sweep
    ) -> Rewrite? {
        guard scale.count == outputs, shift.count == outputs, outputs > 0 else { return nil }
        let shifted = (0..<outputs).map { Float(bias[$0] * scale[$0] + shift[$0]) }
        guard shifted.allSatisfy(\.isFinite) else { return nil }
        var weightsID = node.inputs[1]
        if scale.contains(where: { $0 != 1 }) {
            // Beyond this a product might leave the range of Float though both factors are sound.
            guard scale.allSatisfy({ Swift.abs($0) < 0x1p64 }), weights.shape[0] == outputs else { return nil }
            let row = weights.count / outputs
            let scaled = weights.mappedRows(as: .float32) { rows, source, target in
                for (place, channel) in rows.enumerated() {
                    for element in place * row..<(place + 1) * row {
                        let weight = source.loadUnaligned(fromByteOffset: 4 * element, as: Float.self)
                        target.storeBytes(
                            of: Float(Double(weight) * scale[channel]), toByteOffset: 4 * element, as: Float.self)
                    }
                }
            }
            guard let tensor = scaled else { return nil }
            weightsID = sweep.addConstant(tensor, name: weightsID.map { sweep[$0].name } ?? old.name)
        }
        let given = node.inputs.count > 2 ? node.inputs[2] : nil
        let biasID = sweep.addConstant(Tensor(shifted), name: given.map { sweep[$0].name } ?? "\(node.name)/bias")
        let op: Op
        switch node.op {
        case .conv(var conv):
            conv.activation = activation
            op = .conv(conv)
        default: op = .fullyConnected(activation)
        }
        return .node(op, [node.inputs[0], weightsID, biasID], for: old)
    }
}
