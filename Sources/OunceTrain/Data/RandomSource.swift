import Glibc

/// Numbers that look random, the same for the same seed everywhere: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
package struct SplitMix: Sendable, Hashable {
    package var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    /// Even in `0..<count`; the bias of the product is below 2^-32.
    package mutating func below(_ count: Int) -> Int {
        Int(((next() >> 32) &* UInt64(max(count, 1))) >> 32)
    }

    /// Even in 0..<1.
    package mutating func unit() -> Float { Float(next() >> 40) * 0x1p-24 }

    /// In 0...1 with the density of a beta distribution whose parameters are both `parameter`, at most 4: Jöhnk's method,
    /// by rejection.
    package mutating func beta(_ parameter: Float) -> Float {
        let power = 1 / min(max(parameter, 0.01), 4)
        while true {
            let (x, y) = (powf(unit(), power), powf(unit(), power))
            // Both may underflow where the parameter is small: then all lies at one of the ends.
            if x + y == 0 { return Float(below(2)) }
            if x + y <= 1 { return x / (x + y) }
        }
    }

    /// About normal, mean 0 and deviation 1: the sum of twelve even numbers.
    package mutating func normal() -> Float {
        var sum: Float = -6
        for _ in 0..<12 { sum += unit() }
        return sum
    }
}
