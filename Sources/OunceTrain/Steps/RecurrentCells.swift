/// What one time of each kind of recurrent layer does, forward and backward.
extension RecurrentStep {
    private func slope(_ index: Int, _ y: Float) -> Float { layer.activations[index].slope(y) ?? 0 }

    /// Adds `state · Rᵀ` to gates `first..<first + count`.
    private func addRecurrent(_ t: Int, first: Int, count: Int) {
        product(
            before.floats + t * state, rows: batch, k: hidden, aRow: hidden, transposedR.floats + first, bRow: rows,
            n: count, into: gates.floats + t * batch * rows + first, cRow: rows, adds: true)
    }

    // MARK: Plain

    func forwardPlain(_ t: Int) {
        addRecurrent(t, first: 0, count: rows)
        let gate = gates.floats + t * batch * rows
        for i in 0..<state {
            gate[i] = layer.activations[0].value(gate[i])
            output.x[t * state + i] = gate[i]
        }
    }

    func backwardPlain(_ t: Int) {
        let (gate, d) = (gates.floats + t * batch * rows, dGates.floats + t * batch * rows)
        for i in 0..<state { d[i] = dh.floats[i] * slope(0, gate[i]) }
        product(
            d, rows: batch, k: rows, aRow: rows, recurrent.x, bRow: hidden, n: hidden, into: dBefore.floats,
            cRow: hidden, adds: false)
    }

    // MARK: LSTM

    func forwardLSTM(_ t: Int, previousTime: Int?) {
        addRecurrent(t, first: 0, count: rows)
        let (f, g, h) = (layer.activations[0], layer.activations[1], layer.activations[2])
        for b in 0..<batch {
            let gate = gates.floats + (t * batch + b) * rows
            for j in 0..<hidden {
                let place = b * hidden + j
                let old = previousTime.map { cells.floats[$0 * state + place] } ?? initialC?.x[place] ?? 0
                let input = f.value(gate[j])
                let out = f.value(gate[hidden + j])
                let forget = layer.couplesGates ? 1 - input : f.value(gate[2 * hidden + j])
                let candidate = g.value(gate[3 * hidden + j])
                let cell = forget * old + input * candidate
                (gate[j], gate[hidden + j], gate[2 * hidden + j], gate[3 * hidden + j]) = (
                    input, out, forget, candidate
                )
                cells.floats[t * state + place] = cell
                output.x[t * state + place] = out * h.value(cell)
            }
        }
    }

    func backwardLSTM(_ t: Int, previousTime: Int?) {
        for b in 0..<batch {
            let gate = gates.floats + (t * batch + b) * rows
            let d = dGates.floats + (t * batch + b) * rows
            for j in 0..<hidden {
                let place = b * hidden + j
                let old = previousTime.map { cells.floats[$0 * state + place] } ?? initialC?.x[place] ?? 0
                let (input, out, forget, candidate) = (
                    gate[j], gate[hidden + j], gate[2 * hidden + j], gate[3 * hidden + j]
                )
                let shown = layer.activations[2].value(cells.floats[t * state + place])
                let dCell = dc.floats[place] + dh.floats[place] * out * slope(2, shown)
                d[hidden + j] = dh.floats[place] * shown * slope(0, out)
                d[3 * hidden + j] = dCell * input * slope(1, candidate)
                if layer.couplesGates {
                    d[j] = dCell * (candidate - old) * slope(0, input)
                    d[2 * hidden + j] = 0
                } else {
                    d[j] = dCell * candidate * slope(0, input)
                    d[2 * hidden + j] = dCell * old * slope(0, forget)
                }
                dc.floats[place] = dCell * forget
            }
        }
        product(
            dGates.floats + t * batch * rows, rows: batch, k: rows, aRow: rows, recurrent.x, bRow: hidden, n: hidden,
            into: dBefore.floats, cRow: hidden, adds: false)
    }

    // MARK: GRU

    func forwardGRU(_ t: Int) {
        addRecurrent(t, first: 0, count: 2 * hidden)
        let (f, g) = (layer.activations[0], layer.activations[1])
        let term = terms.floats + t * state
        let previous = before.floats + t * state
        if layer.linearBeforeReset {
            product(
                previous, rows: batch, k: hidden, aRow: hidden, transposedR.floats + 2 * hidden, bRow: rows, n: hidden,
                into: term, cRow: hidden, adds: false)
        }
        for b in 0..<batch {
            let gate = gates.floats + (t * batch + b) * rows
            for j in 0..<hidden {
                let place = b * hidden + j
                gate[j] = f.value(gate[j])
                gate[hidden + j] = f.value(gate[hidden + j])
                if layer.linearBeforeReset {
                    if let bias { term[place] += bias.x[rows + 2 * hidden + j] }
                    gate[2 * hidden + j] += gate[hidden + j] * term[place]
                } else {
                    term[place] = gate[hidden + j] * previous[place]
                }
            }
        }
        if !layer.linearBeforeReset {
            product(
                term, rows: batch, k: hidden, aRow: hidden, transposedR.floats + 2 * hidden, bRow: rows, n: hidden,
                into: gates.floats + t * batch * rows + 2 * hidden, cRow: rows, adds: true)
        }
        for b in 0..<batch {
            let gate = gates.floats + (t * batch + b) * rows
            for j in 0..<hidden {
                let place = b * hidden + j
                let candidate = g.value(gate[2 * hidden + j])
                gate[2 * hidden + j] = candidate
                output.x[t * state + place] = (1 - gate[j]) * candidate + gate[j] * previous[place]
            }
        }
    }

    func backwardGRU(_ t: Int) {
        let (previous, term, dTerm) = (
            before.floats + t * state, terms.floats + t * state, dTerms.floats + t * state
        )
        for b in 0..<batch {
            let gate = gates.floats + (t * batch + b) * rows
            let d = dGates.floats + (t * batch + b) * rows
            for j in 0..<hidden {
                let place = b * hidden + j
                let (update, candidate) = (gate[j], gate[2 * hidden + j])
                d[j] = dh.floats[place] * (previous[place] - candidate) * slope(0, update)
                d[2 * hidden + j] = dh.floats[place] * (1 - update) * slope(1, candidate)
                dBefore.floats[place] = dh.floats[place] * update
                if layer.linearBeforeReset {
                    let reset = gate[hidden + j]
                    d[hidden + j] = d[2 * hidden + j] * term[place] * slope(0, reset)
                    dTerm[place] = d[2 * hidden + j] * reset
                }
            }
        }
        let candidateWeights = recurrent.x + 2 * hidden * hidden
        if layer.linearBeforeReset {
            product(
                dTerm, rows: batch, k: hidden, aRow: hidden, candidateWeights, bRow: hidden, n: hidden,
                into: dBefore.floats, cRow: hidden, adds: true)
        } else {
            product(
                dGates.floats + t * batch * rows + 2 * hidden, rows: batch, k: hidden, aRow: rows, candidateWeights,
                bRow: hidden, n: hidden, into: dTerm, cRow: hidden, adds: false)
            for b in 0..<batch {
                let gate = gates.floats + (t * batch + b) * rows
                let d = dGates.floats + (t * batch + b) * rows
                for j in 0..<hidden {
                    let place = b * hidden + j
                    let reset = gate[hidden + j]
                    d[hidden + j] = dTerm[place] * previous[place] * slope(0, reset)
                    dBefore.floats[place] += dTerm[place] * reset
                }
            }
        }
        product(
            dGates.floats + t * batch * rows, rows: batch, k: 2 * hidden, aRow: rows, recurrent.x, bRow: hidden,
            n: hidden, into: dBefore.floats, cRow: hidden, adds: true)
    }
}
