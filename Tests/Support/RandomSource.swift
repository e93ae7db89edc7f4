import OunceGraph

/// Reproducible random numbers (SplitMix64; Steele, Lea and Flood, 2014).
package struct RandomSource: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    package mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

    package mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
    }

    /// A float32 tensor with numbers in `range`; `shape` has no unknown extents.
    package mutating func tensor(_ shape: Shape, in range: ClosedRange<Float> = -1...1) -> Tensor {
        let count = shape.dims.reduce(1, *)
        return NDArray(.float32, shape.dims, floats(count, in: range).map { Double($0) }).tensor ?? Tensor([Float]())
    }

    /// An int8 tensor with numbers in `range`.
    package mutating func int8Tensor(_ shape: Shape, in range: ClosedRange<Int> = -128...127) -> Tensor {
        let count = shape.dims.reduce(1, *)
        return NDArray(.int8, shape.dims, (0..<count).map { _ in Double(int(range)) }).tensor ?? Tensor([Int8]())
    }
}
