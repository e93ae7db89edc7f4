import COunceKernels
import OunceGraph

/// One direction of an LSTM, GRU or plain recurrent layer, and its gradient through time.
///
/// Gates lie as in `Recurrent`: i o f c; z r h. Everything that the gradient needs of each time is stored going forward.
final class RecurrentStep: TrainingStep {
    let kernels: TrainingKernels
    let layer: Recurrent
    let (x, weights, recurrent): (Slot, Slot, Slot)
    let (bias, initialH, initialC): (Slot?, Slot?, Slot?)
    let (dx, dw, dr, db, dh0, dc0):
        (GradientTarget?, GradientTarget?, GradientTarget?, GradientTarget?, GradientTarget?, GradientTarget?)
    let (time, batch, width, hidden, rows): (Int, Int, Int, Int, Int)
    /// `[T, B, rows]`: gates, after their functions; and the gradients before them.
    let (gates, dGates): (TrainBuffer, TrainBuffer)
    /// `[T, B, H]`: the state that each time starts from, the cell (LSTM) and the recurrent term of the candidate (GRU).
    let (before, cells, terms): (TrainBuffer, TrainBuffer, TrainBuffer)
    /// GRU: gradients of `terms`.
    let dTerms: TrainBuffer
    let (transposedW, transposedR): (TrainBuffer, TrainBuffer)
    /// `[B, H]`
    let (dh, dc, dBefore): (TrainBuffer, TrainBuffer, TrainBuffer)

    /// - Parameter operands: as `Recurrent` says.
    /// - Throws: `.unsupported` for lengths, peepholes, clipping and functions without a gradient here.
    init(
        name: String, layer: Recurrent, operands: [Slot?], output: Slot, kernels: TrainingKernels
    ) throws(TrainError) {
        func operand(_ index: Int) -> Slot? { index < operands.count ? operands[index] : nil }
        guard let x = operand(0), let w = operand(1), let r = operand(2) else {
            throw TrainError(.unsupported, "\(name): a recurrent layer lacks its weights")
        }
        guard operand(4) == nil, operand(7) == nil, layer.clip == .infinity,
            layer.activations.allSatisfy({ $0.slope(0) != nil })
        else {
            throw TrainError(
                .unsupported,
                "\(name): recurrent layers are trained without sequence lengths, peepholes, clipping and unusual gate "
                    + "functions")
        }
        self.kernels = kernels
        self.layer = layer
        (self.x, weights, recurrent) = (x, w, r)
        (bias, initialH, initialC) = (operand(3), operand(5), operand(6))
        (dx, dw, dr, db, dh0, dc0) = (
            GradientTarget(x), GradientTarget(w), GradientTarget(r), GradientTarget(bias), GradientTarget(initialH),
            GradientTarget(initialC)
        )
        (time, batch, width) = (x.shape[0], x.shape[1], x.shape[2])
        hidden = layer.hidden
        rows = layer.kind.gates * layer.hidden
        func floats(_ count: Int) -> TrainBuffer { TrainBuffer(persistent: count * 4) }
        let states = time * batch * hidden
        (gates, dGates) = (floats(time * batch * rows), floats(time * batch * rows))
        (before, cells, terms) = (
            floats(states), floats(layer.kind == .lstm ? states : 0), floats(layer.kind == .gru ? states : 0)
        )
        dTerms = floats(layer.kind == .gru ? states : 0)
        (transposedW, transposedR) = (floats(w.count), floats(r.count))
        (dh, dc, dBefore) = (floats(batch * hidden), floats(batch * hidden), floats(batch * hidden))
        super.init(name: name, inputs: operands.compactMap { $0 }, output: output)
    }

    override var targets: [GradientTarget?] { [dx, dw, dr, db, dh0, dc0] }

    var state: Int { batch * hidden }
    /// Times in the order in which the layer reads them.
    func order(_ step: Int) -> Int { layer.isReversed ? time - 1 - step : step }

    /// `c (+)= a · b` with contiguous rows of `a`.
    func product(
        _ a: UnsafePointer<Float>, rows count: Int, k: Int, aRow: Int, _ b: UnsafePointer<Float>, bRow: Int, n: Int,
        into c: UnsafeMutablePointer<Float>, cRow: Int, adds: Bool
    ) {
        var g = ounce_gemm()
        (g.n, g.k, g.a, g.a_row, g.a_step) = (Int64(n), Int64(k), a, Int64(aRow), 1)
        (g.b, g.b_row, g.c, g.c_row, g.accumulate) = (b, Int64(bRow), c, Int64(cRow), adds ? 1 : 0)
        kernels.gemm(g, rows: 0..<count)
    }

    /// `c += aᵀ · b` over all times: the gradient of weights.
    func weightProduct(
        _ a: UnsafePointer<Float>, columns: Int, aRow: Int, _ b: UnsafePointer<Float>, n: Int,
        into c: UnsafeMutablePointer<Float>
    ) {
        var g = ounce_gemm()
        (g.n, g.k, g.a, g.a_row, g.a_step) = (Int64(n), Int64(time * batch), a, 1, Int64(aRow))
        (g.b, g.b_row, g.c, g.c_row, g.accumulate) = (b, Int64(n), c, Int64(n), 1)
        kernels.gemm(g, rows: 0..<columns)
    }

    override func forward(part: Int, of parts: Int) {
        let c = kernels.c
        c.pointee.transpose(
            weights.x, Int64(rows), Int64(width), Int64(width), transposedW.floats, Int64(rows))
        c.pointee.transpose(
            recurrent.x, Int64(rows), Int64(hidden), Int64(hidden), transposedR.floats, Int64(rows))
        product(
            x.x, rows: time * batch, k: width, aRow: width, transposedW.floats, bRow: rows, n: rows, into: gates.floats,
            cRow: rows, adds: false)
        if let bias {
            c.pointee.bias_clamp(gates.floats, bias.x, -.infinity, .infinity, Int64(time * batch), Int64(rows))
            // The recurrent bias of a candidate that is multiplied before the reset gate belongs to its term.
            let kept = layer.kind == .gru && layer.linearBeforeReset ? 2 * hidden : rows
            for row in 0..<time * batch {
                for j in 0..<kept { gates.floats[row * rows + j] += bias.x[rows + j] }
            }
        }
        for step in 0..<time {
            let t = order(step)
            let previous = before.floats + t * state
            if step > 0 {
                previous.update(from: output.x + order(step - 1) * state, count: state)
            } else {
                for i in 0..<state { previous[i] = initialH?.x[i] ?? 0 }
            }
            switch layer.kind {
            case .rnn: forwardPlain(t)
            case .gru: forwardGRU(t)
            case .lstm: forwardLSTM(t, previousTime: step > 0 ? order(step - 1) : nil)
            }
        }
        let last = order(time - 1)
        (output.x + time * state).update(from: output.x + last * state, count: state)
        if layer.kind == .lstm {
            (output.x + (time + 1) * state).update(from: cells.floats + last * state, count: state)
        }
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        dh.floats.update(from: output.dx + time * state, count: state)
        if layer.kind == .lstm {
            dc.floats.update(from: output.dx + (time + 1) * state, count: state)
        } else {
            dc.zero()
        }
        for step in (0..<time).reversed() {
            let t = order(step)
            kernels.c.pointee.add(dh.floats, output.dx + t * state, Int64(state))
            switch layer.kind {
            case .rnn: backwardPlain(t)
            case .gru: backwardGRU(t)
            case .lstm: backwardLSTM(t, previousTime: step > 0 ? order(step - 1) : nil)
            }
            dh.floats.update(from: dBefore.floats, count: state)
        }
        for target in targets { target?.zeroUnlessAccumulating() }
        if let dh0 { kernels.c.pointee.add(dh0.dx, dh.floats, Int64(state)) }
        if let dc0 { kernels.c.pointee.add(dc0.dx, dc.floats, Int64(state)) }
        let d = UnsafePointer(dGates.floats)
        if let dw { weightProduct(d, columns: rows, aRow: rows, x.x, n: width, into: dw.dx) }
        if let dr { addRecurrentGradient(d, to: dr.dx) }
        if let db {
            let c = kernels.c
            c.pointee.column_sums(d, Int64(time * batch), Int64(rows), Int64(rows), db.dx)
            let kept = layer.kind == .gru && layer.linearBeforeReset ? 2 * hidden : rows
            c.pointee.column_sums(d, Int64(time * batch), Int64(rows), Int64(kept), db.dx + rows)
            if kept < rows {
                c.pointee.column_sums(
                    dTerms.floats, Int64(time * batch), Int64(hidden), Int64(hidden), db.dx + rows + kept)
            }
        }
        if let dx {
            product(
                d, rows: time * batch, k: rows, aRow: rows, weights.x, bRow: width, n: width, into: dx.dx, cRow: width,
                adds: true)
        }
    }

    private func addRecurrentGradient(_ d: UnsafePointer<Float>, to dr: UnsafeMutablePointer<Float>) {
        guard layer.kind == .gru else {
            return weightProduct(d, columns: rows, aRow: rows, before.floats, n: hidden, into: dr)
        }
        weightProduct(d, columns: 2 * hidden, aRow: rows, before.floats, n: hidden, into: dr)
        let candidate = dr + 2 * hidden * hidden
        if layer.linearBeforeReset {
            weightProduct(dTerms.floats, columns: hidden, aRow: hidden, before.floats, n: hidden, into: candidate)
        } else {
            weightProduct(d + 2 * hidden, columns: hidden, aRow: rows, terms.floats, n: hidden, into: candidate)
        }
    }
}

extension Recurrent.GateActivation {
    @inline(__always)
    func value(_ x: Float) -> Float {
        switch function {
        case .sigmoid: ounce_sigmoid(x)
        case .tanh: ounce_tanh(x)
        case .relu: max(x, 0)
        case .affine: alpha * x + beta
        case .leakyRelu: x < 0 ? alpha * x : x
        case .hardSigmoid: min(max(alpha * x + beta, 0), 1)
        default: .nan
        }
    }

    /// The slope where the function's value is `y`; nil: not trained here.
    @inline(__always)
    func slope(_ y: Float) -> Float? {
        switch function {
        case .sigmoid: y * (1 - y)
        case .tanh: 1 - y * y
        case .relu: y > 0 ? 1 : 0
        case .affine: alpha
        case .leakyRelu: y < 0 ? alpha : 1
        case .hardSigmoid: y > 0 && y < 1 ? alpha : 0
        default: nil
        }
    }
}
