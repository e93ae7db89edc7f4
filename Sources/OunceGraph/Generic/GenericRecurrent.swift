import Glibc

extension GenericLoop {
    func recurrent(_ layer: Recurrent) {
        guard let w = operand(1), let r = operand(2) else { return }
        let (time, batch, width) = (x.shape[0], x.shape[1], x.shape[2])
        let (gates, hidden) = (layer.kind.gates, layer.hidden)
        let rows = gates * hidden
        let zeros = [Double](repeating: 0, count: max(2 * rows, batch * hidden))
        var cell = RecurrentCell(
            layer: layer, input: w.numbers(), recurrent: r.numbers(), bias: operand(3)?.numbers() ?? zeros,
            peepholes: operand(7)?.numbers() ?? zeros, width: width)
        var (h, c): ([Double], [Double]) = (operand(5)?.numbers() ?? zeros, operand(6)?.numbers() ?? zeros)
        let numbers: [Double] = x.numbers()
        for index in 0..<count { store(N.zero, index) }
        func put(_ row: Int, _ b: Int, _ values: ArraySlice<Double>) {
            for (j, value) in values.enumerated() {
                store(N(exactlyOrNearest: value), (row * batch + b) * hidden + j)
            }
        }
        for b in 0..<batch {
            let given = operand(4).map { Int($0.dtype.load($0.bytes, b, as: Int64.self)) } ?? time
            let length = max(0, min(given, time))
            let state = b * hidden..<(b + 1) * hidden
            cell.h = Array(h[state])
            cell.c = Array(c[state])
            for step in 0..<length {
                let t = layer.isReversed ? length - 1 - step : step
                let start = (t * batch + b) * width
                cell.advance(numbers[start..<start + width])
                put(t, b, cell.h[...])
            }
            h.replaceSubrange(state, with: cell.h)
            c.replaceSubrange(state, with: cell.c)
            put(time, b, cell.h[...])
            if layer.kind == .lstm { put(time + 1, b, cell.c[...]) }
        }
    }
}

/// The state of one sequence and how a step changes it.
private struct RecurrentCell {
    let layer: Recurrent
    let input: [Double]
    let recurrent: [Double]
    let bias: [Double]
    let peepholes: [Double]
    let width: Int
    var h: [Double] = []
    var c: [Double] = []

    init(
        layer: Recurrent, input: [Double], recurrent: [Double], bias: [Double], peepholes: [Double], width: Int
    ) {
        self.layer = layer
        self.input = input
        self.recurrent = recurrent
        self.bias = bias
        self.peepholes = peepholes
        self.width = width
    }

    private func product(_ weights: [Double], _ row: Int, _ x: some Collection<Double>) -> Double {
        var sum = 0.0
        for (place, number) in zip((row * x.count)..., x) { sum += weights[place] * number }
        return sum
    }

    private func activate(_ index: Int, _ value: Double) -> Double {
        let limit = Double(layer.clip)
        return layer.activations[index].apply(min(max(value, -limit), limit))
    }

    mutating func advance(_ x: ArraySlice<Double>) {
        let hidden = layer.hidden
        let rows = layer.kind.gates * hidden
        func gate(_ g: Int, _ j: Int) -> Double {
            let row = g * hidden + j
            return product(input, row, x) + product(recurrent, row, h) + bias[row] + bias[rows + row]
        }
        switch layer.kind {
        case .rnn: h = (0..<hidden).map { activate(0, gate(0, $0)) }
        case .gru: h = gru(x, gate)
        case .lstm:
            let limit = Double(layer.cellClip)
            var (newH, newC) = (h, c)
            for j in 0..<hidden {
                let i = activate(0, gate(0, j) + peepholes[j] * c[j])
                let f = layer.couplesGates ? 1 - i : activate(0, gate(2, j) + peepholes[2 * hidden + j] * c[j])
                newC[j] = min(max(f * c[j] + i * activate(1, gate(3, j)), -limit), limit)
                let o = activate(0, gate(1, j) + peepholes[hidden + j] * newC[j])
                newH[j] = o * layer.activations[2].apply(newC[j])
            }
            (h, c) = (newH, newC)
        }
    }

    private func gru(_ x: ArraySlice<Double>, _ gate: (Int, Int) -> Double) -> [Double] {
        let hidden = layer.hidden
        let z = (0..<hidden).map { activate(0, gate(0, $0)) }
        let r = (0..<hidden).map { activate(0, gate(1, $0)) }
        let reset = zip(r, h).map { $0 * $1 }
        return (0..<hidden).map { j in
            let row = 2 * hidden + j
            let before = product(input, row, x) + bias[row]
            let candidate =
                layer.linearBeforeReset
                ? before + r[j] * (product(recurrent, row, h) + bias[3 * hidden + row])
                : before + product(recurrent, row, reset) + bias[3 * hidden + row]
            return (1 - z[j]) * activate(1, candidate) + z[j] * h[j]
        }
    }
}

extension Recurrent.GateActivation {
    func apply(_ x: Double) -> Double {
        let (a, b) = (Double(alpha), Double(beta))
        return switch function {
        case .sigmoid: 1 / (1 + exp(-x))
        case .tanh: Glibc.tanh(x)
        case .relu: max(x, 0)
        case .affine: a * x + b
        case .leakyRelu: x >= 0 ? x : a * x
        case .thresholdedRelu: x > a ? x : 0
        case .scaledTanh: a * Glibc.tanh(b * x)
        case .hardSigmoid: min(max(a * x + b, 0), 1)
        case .elu: x >= 0 ? x : a * expm1(x)
        case .softsign: x / (1 + x.magnitude)
        case .softplus: Double.function(.softplus, x)
        }
    }
}
