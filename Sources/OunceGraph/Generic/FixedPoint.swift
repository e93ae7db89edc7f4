/// Integer arithmetic of the fixed-point kind, the same on every machine.
///
/// Source: gemmlowp, `fixedpoint.h`: rounding doubling high product, division by powers of two, and the exponential,
/// logistic and hyperbolic tangent of 16-bit fixed-point numbers.
enum FixedPoint {
    /// `value / 2^exponent`, to the nearest, halves away from zero. `exponent` in 0...31.
    static func divide(_ value: Int32, byPowerOfTwo exponent: Int) -> Int32 {
        guard exponent > 0 else { return value }
        let mask = Int32(truncatingIfNeeded: (Int64(1) << exponent) - 1)
        let rest = value & mask
        let threshold = (mask >> 1) &+ (value < 0 ? 1 : 0)
        return (value >> exponent) &+ (rest > threshold ? 1 : 0)
    }

    /// The high half of twice the product, rounded.
    static func highProduct(_ a: Int32, _ b: Int32) -> Int32 {
        guard a != .min || b != .min else { return .max }
        let product = Int64(a) * Int64(b)
        let nudge: Int64 = product >= 0 ? 1 << 30 : 1 - 1 << 30
        return Int32(truncatingIfNeeded: (product + nudge) / (1 << 31))
    }

    /// `value * factor`, rounded twice as TensorFlow Lite's kernels do.
    static func multiply(_ value: Int32, _ factor: FixedPointFactor) -> Int32 {
        let left = max(factor.shift, 0)
        let shifted = Int32(truncatingIfNeeded: Int64(value) << left)
        return divide(highProduct(shifted, factor.multiplier), byPowerOfTwo: max(-factor.shift, 0))
    }

    // MARK: 16-bit numbers with some integer bits

    private static func product(_ a: Int16, _ b: Int16) -> Int16 {
        guard a != .min || b != .min else { return .max }
        let product = Int32(a) * Int32(b)
        return Int16(truncatingIfNeeded: (product + (product >= 0 ? 1 << 14 : 1 - 1 << 14)) / (1 << 15))
    }

    private static func divide(_ value: Int16, byPowerOfTwo exponent: Int) -> Int16 {
        Int16(truncatingIfNeeded: divide(Int32(value), byPowerOfTwo: exponent))
    }

    private static func saturatingShift(_ value: Int16, left exponent: Int) -> Int16 {
        Int16(clamping: Int32(value) << exponent)
    }

    /// A constant given with 31 fractional places (fewer by its integer bits).
    private static func constant(_ raw: Int32) -> Int16 { Int16(truncatingIfNeeded: divide(raw, byPowerOfTwo: 16)) }

    /// `exp(a)` for `a` in -1/4..<0, both without integer bits: a Taylor series around -1/8.
    private static func expNearZero(_ a: Int16) -> Int16 {
        let term = constant(1_895_147_668)
        let third = constant(715_827_883)
        let x = a &+ (1 << 12)
        let x2 = product(x, x)
        let x3 = product(x2, x)
        let x4 = product(x2, x2)
        let inner = product(divide(x4, byPowerOfTwo: 2) &+ x3, third) &+ x2
        let sum = x &+ divide(inner, byPowerOfTwo: 1)
        return Int16(clamping: Int32(term) + Int32(product(term, sum)))
    }

    /// `exp(a)` without integer bits for `a <= 0` with `bits` of them.
    private static func exp(_ a: Int16, bits: Int) -> Int16 {
        let fraction = 15 - bits
        guard a != 0 else { return .max }
        // A quarter in the input's format; with 13 integer bits and more there is none.
        let quarter = Int16(1) << (fraction - 2)
        let part = (a & (quarter &- 1)) &- quarter
        var result = expNearZero(saturatingShift(part, left: bits))
        let remainder = part &- a
        let powers: [(Int, Int32)] = [
            (-2, 1_672_461_947), (-1, 1_302_514_674), (0, 790_015_084), (1, 290_630_308), (2, 39_332_535),
            (3, 720_401), (4, 242),
        ]
        for (exponent, multiplier) in powers where bits > exponent {
            if remainder & (1 << (fraction + exponent)) != 0 { result = product(result, constant(multiplier)) }
        }
        if bits > 5, Int32(a) < -(32 << fraction) { return 0 }
        return result
    }

    /// `1 / (1 + a)` times two, with two integer bits, for `a` in 0...1 without any: three rounds of Newton's division.
    private static func reciprocal(_ a: Int16) -> Int16 {
        let sum = Int32(a) + Int32(Int16.max)
        let half = Int16(truncatingIfNeeded: (sum + (sum >= 0 ? 1 : -1)) / 2)
        var x = constant(1_515_870_810) &+ product(half, constant(-1_010_580_540))
        for _ in 0..<3 {
            let rest = (1 << 13) &- product(half, x)
            x = x &+ saturatingShift(product(x, rest), left: 2)
        }
        return x
    }

    /// The logistic function without integer bits, of a number with `bits` of them.
    static func sigmoid(_ a: Int16, bits: Int) -> Int16 {
        guard a != 0 else { return 1 << 14 }
        let magnitude: Int16 = a > 0 ? a : 0 &- a
        let positive = saturatingShift(reciprocal(exp(0 &- magnitude, bits: bits)), left: 1)
        return a > 0 ? positive : .max &- positive
    }

    /// The hyperbolic tangent without integer bits, of a number with `bits` of them.
    static func tanh(_ a: Int16, bits: Int) -> Int16 {
        guard a != 0 else { return 0 }
        let negative: Int16 = a < 0 ? a : 0 &- a
        let result = saturatingShift(reciprocal(exp(negative, bits: bits + 1)) &- (1 << 13), left: 2)
        return a < 0 ? 0 &- result : result
    }
}
