import OunceGraph

/// int8 operators, bit for bit by the rules that `ounce_kernels.h` states.
///
/// What that page leaves to whoever prepares a step is done so here: scales are computed in Double and rounded to Float
/// once where a product of two scales is divided, in Float (`in / out`) where one scale is divided by another; bounds of
/// activations are quantised like any number; where only the encoding changes and in unary operators, a number is
/// dequantised, mapped and quantised in Float.
extension Step {
    private struct Grid {
        let scale: Float
        let zero: Int
        init(_ affine: AffineQuantization?) {
            scale = affine?.scale ?? 1
            zero = Int(affine?.zeroPoint ?? 0)
        }

        func quantize(_ x: Float) -> Double {
            if x.isNaN { return Double(zero) }
            return round(x / scale, -128, 127)
        }

        func dequantize(_ q: Double) -> Float { Float(q - Double(zero)) * scale }

        /// Clamps to `minimum...maximum` and rounds, ties to even.
        func round(_ v: Float, _ minimum: Int, _ maximum: Int) -> Double {
            let (low, high) = (Float(minimum - zero), Float(maximum - zero))
            let raised = v > low ? v : low
            let clamped = raised < high ? raised : high
            return Double(Int(clamped.rounded(.toNearestOrEven)) + zero)
        }

        func bounds(_ activation: Activation) -> (minimum: Int, maximum: Int) {
            let (low, high) = activation.bounds
            return (Int(quantize(low)), Int(quantize(high)))
        }

        /// The mean of stored numbers, halves away from zero; `sum` is that of the differences to the zero point.
        func average(_ sum: Double, _ count: Int, _ minimum: Int, _ maximum: Int) -> Double {
            let mean = (sum / Double(count) + Double(zero)).rounded(.toNearestOrAwayFromZero)
            return min(max(mean, Double(minimum)), Double(maximum))
        }

        /// The rule for accumulators.
        func requantize(_ accumulator: Double, _ scale: Float, _ activation: Activation = .none) -> Double {
            let (minimum, maximum) = bounds(activation)
            return round(Float(Int64(accumulator)) * scale, minimum, maximum)
        }
    }

    func quantizedCompute() throws -> NDArray {
        let out = Grid(affine)
        let x = try operand(0)
        let input = Grid(x.affine)
        switch node.op {
        case .conv(let conv):
            let w = try operand(1)
            let sums = Reference.conv(
                x.centered, w.centered, conv, shape: shape, bias: optional(2)?.array.values)
            return requantize(sums, input, w, out, conv.activation)
        case .fullyConnected(let activation):
            let w = try operand(1)
            let sums = Reference.fullyConnected(
                x.centered, w.centered, shape: shape, bias: optional(2)?.array.values)
            return requantize(sums, input, w, out, activation)
        case .matMul:
            let b = try operand(1)
            return requantize(Reference.matMul(x.centered, b.centered, shape: shape), input, b, out, .none)
        case .pool(let pool):
            let scale = input.scale / out.scale
            let (minimum, maximum) = out.bounds(pool.activation)
            let source = pool.kind == .max ? recoded(x) : x.centered
            return Reference.pool(source, pool, shape: shape) { window in
                switch pool.kind {
                case .max: min(max(window.values.max() ?? -128, Double(minimum)), Double(maximum))
                case .average:
                    pool.roundsHalvesAway && scale == 1 && input.zero == out.zero
                        ? out.average(window.values.reduce(0, +), window.divisor, minimum, maximum)
                        : out.requantize(
                            window.values.reduce(0, +), scale / Float(window.divisor), pool.activation)
                }
            }
        case .reduce(let reduction, let axes, _):
            let scale = input.scale / out.scale
            let moves = reduction == .max || reduction == .min
            return Reference.reduce(moves ? recoded(x) : x.centered, axes: axes, shape: shape, dtype: .int8) {
                numbers in
                switch reduction {
                case .mean: out.requantize(numbers.reduce(0, +), scale / Float(numbers.count))
                case .sum: out.requantize(numbers.reduce(0, +), scale)
                case .max: numbers.max() ?? -128
                case .min: numbers.min() ?? 127
                case .product: .nan
                }
            }
        case .binary(let binary, let activation): return try quantizedBinary(binary, activation, x, out)
        case .unary(let unary): return map(x) { out.quantize(unaryFloat(unary, $0)) }
        case .softmax(let axis): return quantizedSoftmax(x.array, axis: axis, input.scale, out)
        case .reshape, .transpose, .slice, .pad, .concat:
            return try move(operands.map { try recoded($0 ?? operand(0)) }, pad: { out.quantize(Float($0)) })
        case .quantize:
            if let affine, affine.axis != nil { return perChannel(x, affine) }
            return x.array.dtype.isInteger ? recoded(x) : map(x) { out.quantize($0) }
        default:
            throw Interpreter.Failure("\(node.name): no int8 rule for this operator")
        }
    }

    private func requantize(
        _ sums: NDArray, _ input: Grid, _ weights: Operand, _ out: Grid, _ activation: Activation
    ) -> NDArray {
        let scales = (weights.affine?.scales ?? [1]).map {
            Float(Double(input.scale) * Double($0) / Double(out.scale))
        }
        var result = sums
        let channels = shape.last ?? 1
        for place in sums.values.indices {
            let scale = scales[scales.count == 1 ? 0 : place % channels]
            result.values[place] = out.requantize(sums.values[place], scale, activation)
        }
        result.dtype = .int8
        return result
    }

    /// Float numbers of `x` through `body`.
    private func map(_ x: Operand, _ body: (Float) -> Double) -> NDArray {
        NDArray(.int8, x.array.shape, x.real.values.map { body(Float($0)) })
    }

    /// The numbers of `x` in the encoding of the output.
    private func recoded(_ x: Operand) -> NDArray {
        if x.affine == affine { return x.array }
        let out = Grid(affine)
        return map(x) { out.quantize($0) }
    }

    private func perChannel(_ x: Operand, _ affine: AffineQuantization) -> NDArray {
        let real = x.real
        return NDArray.make(.int8, real.shape) { index in
            let channel = affine.axis.map { index[$0] } ?? 0
            let grid = Grid(
                AffineQuantization(scale: affine.scales[channel], zeroPoint: affine.zeroPoints[channel]))
            return grid.quantize(Float(real[index]))
        }
    }

    private func quantizedBinary(
        _ binary: BinaryOperator, _ activation: Activation, _ a: Operand, _ out: Grid
    ) throws -> NDArray {
        let b = try operand(1)
        let (minimum, maximum) = out.bounds(activation)
        if binary == .add || binary == .subtract {
            // Both scales in units of the finest power of two that leaves the larger one 21 bits.
            let scales = [Grid(a.affine).scale / out.scale, Grid(b.affine).scale / out.scale].map { min($0, 524_288) }
            var bits = 20
            while bits < 30, (scales.max() ?? 0) < Float(1 << 20) / Float(1 << bits) { bits += 1 }
            while bits > 1, (scales.max() ?? 0) >= Float(1 << 21) / Float(1 << bits) { bits -= 1 }
            let unit = Double(1 << bits)
            let factors = scales.map { (Double($0) * unit).rounded(.toNearestOrEven) }
            return Reference.zip(a.centered, b.centered, shape: shape, dtype: .int8) { x, y in
                let sum = x * factors[0] + y * factors[1] * (binary == .add ? 1 : -1)
                let whole = ((sum + unit / 2) / unit).rounded(.down) + Double(out.zero)
                return min(max(whole, Double(minimum)), Double(maximum))
            }
        }
        return Reference.zip(a.real, b.real, shape: shape, dtype: .int8) { x, y in
            let (x, y) = (Float(x), Float(y))
            let result: Float =
                switch binary {
                case .multiply: x * y
                case .divide: x / y
                case .minimum: x < y ? x : y
                default: x > y ? x : y
                }
            return result.isNaN ? Double(out.zero) : out.round(result / out.scale, minimum, maximum)
        }
    }

    private func unaryFloat(_ unary: UnaryOperator, _ x: Float) -> Float {
        switch unary {
        case .sigmoid: return math.sigmoid(x)
        case .tanh: return math.tanh(x)
        case .exp: return math.exp(x)
        case .log: return math.log(x)
        case .hardSwish:
            let raised = x + 3 > 0 ? x + 3 : 0
            return x * (raised < 6 ? raised : 6) * (1 / 6)
        case .hardSigmoid(let alpha, let beta):
            let line = beta.addingProduct(alpha, x)
            let raised = line > 0 ? line : 0
            return raised < 1 ? raised : 1
        case .leakyRelu(let slope): return x >= 0 ? x : slope * x
        case .clip, .sqrt, .negate, .abs, .function: return Float(Reference.unary(unary, Double(x)))
        }
    }

    private func quantizedSoftmax(_ x: NDArray, axis: Int, _ scale: Float, _ out: Grid) -> NDArray {
        var result = x
        Reference.lines(of: x, axis: axis) { places in
            let top = places.map { x.values[$0] }.max() ?? 0
            let powers = places.map { math.exp(Float(x.values[$0] - top) * scale) }
            var partial = [Float](repeating: 0, count: 16)
            for (index, power) in powers.enumerated() { partial[index % 16] += power }
            for width in [8, 4, 2, 1] {
                for index in 0..<width { partial[index] += partial[index + width] }
            }
            for (place, power) in zip(places, powers) {
                result.values[place] = out.round(power / partial[0] / out.scale, -128, 127)
            }
        }
        return result
    }
}

extension Operand {
    /// The stored numbers less their zero points.
    var centered: NDArray {
        guard let affine else { return array }
        var result = array
        var place = 0
        NDArray.forEachIndex(of: array.shape) { index in
            result.values[place] -= Double(affine.zeroPoints[affine.axis.map { index[$0] } ?? 0])
            place += 1
        }
        return result
    }
}
