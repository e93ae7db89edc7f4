extension GenericLoop {
    func integerLSTM(_ layer: IntegerLSTM) {
        guard let w = operand(1), let r = operand(2), let biases = operand(3), let coefficients = operand(4) else {
            return
        }
        let (batchAxis, timeAxis) = layer.isTimeMajor ? (1, 0) : (0, 1)
        let (batch, time, width) = (x.shape[batchAxis], x.shape[timeAxis], x.shape[2])
        let cell = IntegerCell(
            layer: layer, width: width, weights: w.bytes.assumingMemoryBound(to: Int8.self),
            recurrent: r.bytes.assumingMemoryBound(to: Int8.self),
            projection: operand(5)?.bytes.assumingMemoryBound(to: Int8.self),
            biases: biases.numbers(Int64.self).map { Int32(truncatingIfNeeded: $0) },
            coefficients: coefficients.numbers(Int64.self).map { Int16(truncatingIfNeeded: $0) })
        let source = x.bytes.assumingMemoryBound(to: Int8.self)
        for b in 0..<batch {
            var state = IntegerCell.State(
                output: [Int8](repeating: Int8(clamping: layer.outputZero), count: layer.outputs),
                cell: [Int16](repeating: 0, count: layer.hidden))
            for t in 0..<time {
                let row = layer.isTimeMajor ? t * batch + b : b * time + t
                cell.advance(&state, source + row * width)
                state.output.withUnsafeBytes { bytes in
                    guard let base = bytes.baseAddress else { return }
                    (out + row * layer.outputs).copyMemory(from: base, byteCount: layer.outputs)
                }
            }
        }
    }
}

/// One step of an integer LSTM for one sequence.
private struct IntegerCell {
    struct State {
        var output: [Int8]
        var cell: [Int16]
    }
    let layer: IntegerLSTM
    let width: Int
    let weights: UnsafePointer<Int8>
    let recurrent: UnsafePointer<Int8>
    let projection: UnsafePointer<Int8>?
    let biases: [Int32]
    let coefficients: [Int16]

    private static func dot(_ a: UnsafePointer<Int8>, _ b: UnsafePointer<Int8>, _ count: Int, _ start: Int32) -> Int32 {
        var sum = start
        for i in 0..<count { sum &+= Int32(a[i]) &* Int32(b[i]) }
        return sum
    }

    private func rounded(_ a: Int16, times b: Int16, shift: Int) -> Int16 {
        Int16(truncatingIfNeeded: FixedPoint.divide(Int32(a) &* Int32(b), byPowerOfTwo: shift))
    }

    /// A gate before its activation.
    private func sum(_ index: Int, _ state: State, _ x: UnsafePointer<Int8>) -> [Int16] {
        let (gate, hidden, outputs) = (layer.gates[index], layer.hidden, layer.outputs)
        // Peepholes lie i f o; the candidate has none.
        let peephole = layer.hasPeepholes ? [0, 1, -1, 2][index] : -1
        var sums = [Int16](repeating: 0, count: hidden)
        state.output.withUnsafeBufferPointer { h in
            guard let h = h.baseAddress else { return }
            for j in 0..<hidden {
                let row = index * hidden + j
                let input = Self.dot(weights + row * width, x, width, biases[row])
                let back = Self.dot(recurrent + row * outputs, h, outputs, biases[4 * hidden + row])
                var sum = Int16(clamping: FixedPoint.multiply(input, gate.input))
                sum = Int16(clamping: Int64(FixedPoint.multiply(back, gate.recurrent)) + Int64(sum))
                if peephole >= 0 {
                    let product = Int32(coefficients[peephole * hidden + j]) &* Int32(state.cell[j])
                    sum = Int16(clamping: Int64(FixedPoint.multiply(product, gate.peephole)) + Int64(sum))
                }
                sums[j] = sum
            }
        }
        return layer.isNormalized ? normalized(sums, index) : sums
    }

    /// Layer normalisation in integers: mean and deviation with 10 fractional bits.
    private func normalized(_ sums: [Int16], _ index: Int) -> [Int16] {
        let (gate, count) = (layer.gates[index], Int64(sums.count))
        let start = (layer.hasPeepholes ? 3 : 0) * layer.hidden + index * layer.hidden
        let bias = 8 * layer.hidden + index * layer.hidden
        var (total, squares): (Int64, Int64) = (0, 0)
        for value in sums {
            total += Int64(value)
            squares += Int64(value) * Int64(value)
        }
        let mean = total * 1024 / count
        let variance = Int32(truncatingIfNeeded: (squares &* ((1 << 20) / count) &- mean * mean) / (1 << 20))
        let factor = FixedPoint.inverseSquareRoot(variance < 1 ? gate.varianceGuard : variance)
        var scaled = gate.normalization
        scaled.shift = min(scaled.shift + 12, FixedPointFactor.shifts.upperBound)
        return sums.indices.map { j in
            let shifted = Int32(truncatingIfNeeded: 1024 * Int64(sums[j]) - mean)
            let rescaled = Int64(FixedPoint.multiply(shifted, factor))
            let number = rescaled * Int64(coefficients[start + j]) + Int64(biases[bias + j])
            let value = Int32(truncatingIfNeeded: (number > 0 ? number + 512 : number - 512) / 1024)
            return Int16(clamping: FixedPoint.multiply(value, scaled))
        }
    }

    func advance(_ state: inout State, _ x: UnsafePointer<Int8>) {
        let hidden = layer.hidden
        func sigmoid(_ sums: [Int16]) -> [Int16] { sums.map { FixedPoint.sigmoid($0, bits: 3) } }
        let forget = sigmoid(sum(1, state, x))
        let candidate = sum(2, state, x).map { FixedPoint.tanh($0, bits: 3) }
        let input = layer.couplesGates ? forget.map { .max &- $0 } : sigmoid(sum(0, state, x))
        let clip = Int16(clamping: layer.cellClip)
        for j in 0..<hidden {
            let kept = rounded(forget[j], times: state.cell[j], shift: 15)
            let added = rounded(input[j], times: candidate[j], shift: 30 + layer.cellExponent)
            let value = Int16(clamping: Int32(kept) + Int32(added))
            state.cell[j] = clip > 0 ? max(0 &- clip, min(clip, value)) : value
        }
        let output = sigmoid(sum(3, state, x))
        let results = (0..<hidden).map { j in
            let squashed = FixedPoint.tanh(state.cell[j], bits: 15 + layer.cellExponent)
            let number = FixedPoint.multiply(Int32(output[j]) &* Int32(squashed), layer.hiddenFactor)
            return Int8(clamping: Int64(number) + Int64(layer.hiddenZero))
        }
        state.output = projected(results)
    }

    private func projected(_ results: [Int8]) -> [Int8] {
        guard layer.hasProjection, let projection else { return results }
        let clip = Int8(clamping: layer.projectionClip)
        return results.withUnsafeBufferPointer { h in
            guard let h = h.baseAddress else { return [] }
            return (0..<layer.outputs).map { o in
                let sum = Self.dot(projection + o * layer.hidden, h, layer.hidden, biases[12 * layer.hidden + o])
                let number = FixedPoint.multiply(sum, layer.projectionFactor)
                let value = Int8(clamping: Int64(number) + Int64(layer.outputZero))
                return clip > 0 ? max(0 &- clip, min(clip, value)) : value
            }
        }
    }
}

extension FixedPoint {
    /// `2^20 / sqrt(value)`-like factor of the layer normalisation: `1 / sqrt(value)` as a fixed-point factor.
    ///
    /// Source: TensorFlow Lite, GetInvSqrtQuantizedMultiplierExp.
    static func inverseSquareRoot(_ value: Int32) -> FixedPointFactor {
        guard value > 1 else { return FixedPointFactor(multiplier: .max, shift: 0) }
        // The real factor lies within 2^-31 of the reference's Newton iterations.
        return FixedPointFactor(1 / Double(value).squareRoot()) ?? .zero
    }
}
