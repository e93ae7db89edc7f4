/// A real factor as `multiplier * 2^(shift - 31)`, for products of integers.
///
/// Source: gemmlowp, "Fixed point"; TensorFlow Lite, QuantizeMultiplier.
package struct FixedPointFactor: Sendable, Hashable {
    package var multiplier: Int32
    /// To the left where positive.
    package var shift: Int

    package static let shifts = -31...30
    package static let zero = FixedPointFactor(multiplier: 0, shift: 0)

    package init(multiplier: Int32, shift: Int) {
        self.multiplier = multiplier
        self.shift = shift
    }

    /// The nearest factor to a real number; nil where it is not finite or too large.
    package init?(_ real: Double) {
        guard real.isFinite, real.magnitude < 0x1p30 else { return nil }
        guard real != 0 else {
            self = .zero
            return
        }
        var shift = Int(real.exponent) + 1
        let fraction = real.significand / 2 * (real < 0 ? -1 : 1)
        var fixed = Int64((fraction * 0x1p31).rounded(.toNearestOrAwayFromZero))
        if fixed == 1 << 31 {
            fixed /= 2
            shift += 1
        }
        guard shift >= -31 else {
            self = .zero
            return
        }
        guard let multiplier = Int32(exactly: fixed), shift <= 30 else { return nil }
        self.init(multiplier: multiplier, shift: shift)
    }
}

/// How numbers are put on an 8-bit grid that follows them.
package struct DynamicGrid: Sendable, Hashable {
    /// 255 places around zero; otherwise 256 from the least to the largest number, zero among them.
    package var isSymmetric: Bool
    /// Each index of this many first axes has a grid of its own.
    package var batchAxes: Int

    package init(isSymmetric: Bool, batchAxes: Int) {
        self.isSymmetric = isSymmetric
        self.batchAxes = batchAxes
    }
}

/// A long short-term memory in integers alone: int8 activations, int16 cells with a power of two as scale.
///
/// Inputs: x `[B, T, I]` (`[T, B, I]` where `isTimeMajor`) int8; input weights `[4*H, I]` and recurrent weights `[4*H, O]`
/// int8; int32 biases, one after the other: of the input products `[4*H]` and of the recurrent ones `[4*H]` (both with the
/// zero points worked in), of the layer normalisation `[4*H]`, of the projection `[O]`; int16 coefficients: peepholes `[3*H]`
/// (i f o), layer normalisation `[4*H]`; projection weights `[O, H]` int8 (optional: O is H without). Gates in the order
/// i f c o. Output: `[B, T, O]` int8, or time-major as x.
///
/// Source: TensorFlow Lite, "Quantized LSTM" (full integer, 8-bit activations and 16-bit cell).
package struct IntegerLSTM: Sendable, Hashable {
    /// Factors of one gate's four terms, to the scale of its sum.
    package struct Gate: Sendable, Hashable {
        package var input = FixedPointFactor.zero
        package var recurrent = FixedPointFactor.zero
        package var peephole = FixedPointFactor.zero
        package var normalization = FixedPointFactor.zero
        /// What stands for a variance of zero.
        package var varianceGuard: Int32 = 1

        package init() {}
    }
    package var hidden: Int
    package var outputs: Int
    /// i f c o.
    package var gates = [Gate](repeating: Gate(), count: 4)
    package var hiddenFactor = FixedPointFactor.zero
    package var hiddenZero: Int32 = 0
    package var projectionFactor = FixedPointFactor.zero
    package var outputZero: Int32 = 0
    /// The cell's scale is two to this power.
    package var cellExponent: Int
    /// 0: none.
    package var cellClip: Int32 = 0
    package var projectionClip: Int32 = 0
    package var isTimeMajor = false
    /// The input gate is one minus the forget gate.
    package var couplesGates = false
    package var hasPeepholes = false
    package var isNormalized = false
    package var hasProjection = false

    package init(hidden: Int, outputs: Int, cellExponent: Int) {
        self.hidden = hidden
        self.outputs = outputs
        self.cellExponent = cellExponent
    }
}

extension IntegerLSTM {
    /// Everything as a list of integers; the artifact format holds it so.
    package var numbers: [Int] {
        func pair(_ factor: FixedPointFactor) -> [Int] { [Int(factor.multiplier), factor.shift] }
        let flags = [isTimeMajor, couplesGates, hasPeepholes, isNormalized, hasProjection].map { $0 ? 1 : 0 }
        let sizes = [hidden, outputs, cellExponent]
        let limits = [hiddenZero, outputZero, cellClip, projectionClip].map { Int($0) }
        return flags + sizes + limits + pair(hiddenFactor) + pair(projectionFactor)
            + gates.flatMap { gate in
                pair(gate.input) + pair(gate.recurrent) + pair(gate.peephole) + pair(gate.normalization)
                    + [Int(gate.varianceGuard)]
            }
    }

    /// nil where they are none of these.
    package init?(numbers: [Int]) {
        guard numbers.count == 16 + 4 * 9, numbers.prefix(5).allSatisfy({ $0 == 0 || $0 == 1 }) else { return nil }
        let narrow = numbers.compactMap { Int32(exactly: $0) }
        guard narrow.count == numbers.count else { return nil }
        func factor(_ place: Int) -> FixedPointFactor {
            FixedPointFactor(multiplier: narrow[place], shift: numbers[place + 1])
        }
        self.init(hidden: numbers[5], outputs: numbers[6], cellExponent: numbers[7])
        (isTimeMajor, couplesGates, hasPeepholes) = (numbers[0] == 1, numbers[1] == 1, numbers[2] == 1)
        (isNormalized, hasProjection) = (numbers[3] == 1, numbers[4] == 1)
        (hiddenZero, outputZero, cellClip, projectionClip) = (narrow[8], narrow[9], narrow[10], narrow[11])
        (hiddenFactor, projectionFactor) = (factor(12), factor(14))
        for index in gates.indices {
            let start = 16 + 9 * index
            gates[index].input = factor(start)
            gates[index].recurrent = factor(start + 2)
            gates[index].peephole = factor(start + 4)
            gates[index].normalization = factor(start + 6)
            gates[index].varianceGuard = narrow[start + 8]
        }
    }
}

extension ShapeInference {
    func isOnGrid(_ x: Value) -> Bool { x.encoding.affine?.isPerTensor == true && x.dtype.isQuantizable }

    func integerLSTM(_ x: Value, _ layer: IntegerLSTM) throws(GraphError) -> TensorType {
        let (h, o) = (layer.hidden, layer.outputs)
        guard x.shape.rank == 3, x.dtype == .int8, (1...1 << 16).contains(h), (1...1 << 16).contains(o),
            layer.hasProjection || h == o, layer.gates.count == 4, (-15...(-9)).contains(layer.cellExponent)
        else { throw shape("an integer LSTM of \(h) cells and \(o) outputs over \(x.dtype) \(x.shape)") }
        let factors = layer.gates.flatMap { [$0.input, $0.recurrent, $0.peephole, $0.normalization] }
        guard
            (factors + [layer.hiddenFactor, layer.projectionFactor]).allSatisfy({
                FixedPointFactor.shifts.contains($0.shift)
            })
        else { throw shape("a factor of an integer LSTM shifts too far") }
        let width = x.shape[2]
        guard width <= 1 << 16 else { throw GraphError(.limit, at: node, "an integer LSTM over \(width) inputs") }
        let coefficients = (layer.hasPeepholes ? 3 * h : 0) + (layer.isNormalized ? 4 * h : 0)
        var expected: [(DType, [Int])] = [
            (.int8, [4 * h, width]), (.int8, [4 * h, o]), (.int32, [12 * h + o]), (.int16, [coefficients]),
        ]
        if layer.hasProjection { expected.append((.int8, [o, h])) }
        for (place, (dtype, dims)) in expected.enumerated() {
            let value = try input(place + 1)
            guard value.dtype == dtype, value.shape.rank == dims.count, zip(value.shape.dims, dims).allSatisfy(agree)
            else { throw shape("input \(place + 1) of an integer LSTM is \(value.dtype) \(value.shape)") }
        }
        return TensorType(.int8, Shape([x.shape[0], x.shape[1], o]))
    }
}
