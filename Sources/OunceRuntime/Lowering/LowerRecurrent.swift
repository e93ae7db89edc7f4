import COunceKernels
import OunceGraph

/// LSTM and GRU as most models have them; others run as plain loops.
extension Lowering {
    /// Whether the kernel computes the layer: constant weights, sequences of full length, the usual activations.
    func hasRecurrentKernel(_ node: Node, _ layer: Recurrent) -> Bool {
        func value(_ index: Int) -> Value? {
            index < node.inputs.count ? node.inputs[index].map { graph[$0] } : nil
        }
        guard layer.kind != .rnn, layer.hidden > 0, layer.clip == .infinity, layer.cellClip == .infinity,
            !layer.couplesGates, value(4) == nil, value(7) == nil,
            layer.activations.map(\.function) == (layer.kind == .lstm ? [.sigmoid, .tanh, .tanh] : [.sigmoid, .tanh]),
            value(1)?.constant != nil, value(2)?.constant != nil, value(3).map({ $0.constant != nil }) ?? true
        else { return false }
        return [0, 1, 2, 3, 5, 6].allSatisfy { index in
            value(index).map { $0.dtype == .float32 && $0.encoding == .plain } ?? true
        }
    }

    mutating func lowerRecurrent(_ node: Node, _ layer: Recurrent) throws(RuntimeError) {
        let x = try input(node, 0)
        let shape = graph[x].shape
        let (w, r) = (graph[try input(node, 1)].constant, graph[try input(node, 2)].constant)
        let rows = layer.kind.gates * layer.hidden
        guard shape.rank == 3, let w = w?.elements(Float.self), let r = r?.elements(Float.self),
            w.count == rows * shape[2], r.count == rows * layer.hidden
        else { throw RuntimeError(.unsupported, "recurrent weights that do not fit an input of \(shape)") }
        var parameters = ounce_recurrent_params()
        parameters.is_lstm = layer.kind == .lstm ? 1 : 0
        parameters.reversed = layer.isReversed ? 1 : 0
        parameters.linear_before_reset = layer.linearBeforeReset ? 1 : 0
        parameters.time = Int64(shape[0])
        parameters.batch = Int64(shape[1])
        parameters.width = Int64(shape[2])
        parameters.hidden = Int64(layer.hidden)
        var joined: [Float] = []
        joined.reserveCapacity(w.count + r.count)
        for row in 0..<rows {
            joined += w[row * shape[2]..<(row + 1) * shape[2]]
            joined += r[row * layer.hidden..<(row + 1) * layer.hidden]
        }
        guard let weights = Tensor(joined, shape: [rows, shape[2] + layer.hidden]) else {
            throw RuntimeError(.unsupported, "recurrent weights of \(joined.count) numbers")
        }
        let bias = node.inputs.count > 3 ? node.inputs[3].flatMap { graph[$0].constant } : nil
        guard bias == nil || bias?.count == 2 * rows else {
            throw RuntimeError(.unsupported, "a recurrent bias of \(bias?.count ?? 0) numbers for \(rows) gates")
        }
        var operands: [Operand?] = [try operand(x)]
        for index in 5...6 {
            let state = index < node.inputs.count ? node.inputs[index] : nil
            operands.append(try state.map { (id) throws(RuntimeError) in try operand(id) })
        }
        let (macs, overflow) = (shape[0] * shape[1]).multipliedReportingOverflow(by: joined.count)
        guard !overflow else { throw RuntimeError(.unsupported, "\(node.name): a sequence of \(shape) is too long") }
        let output = outputOf(node)
        emit(
            LoweredStep(
                node: node.name, work: .kernel(OUNCE_RECURRENT_F32), parameters: StepParameters(parameters),
                weights: StepWeights(weights: weights, bias: bias, scale: nil), inputs: operands, output: output,
                cost: macs, macs: macs, packingKey: "\(node.outputs[0].index)"))
    }
}
