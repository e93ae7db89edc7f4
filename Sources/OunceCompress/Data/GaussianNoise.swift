import Glibc

/// Normally distributed numbers, the same for the same seed.
struct GaussianNoise {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 ^ 0xD1B5_4A32_D192_ED03 }

    /// In 0..<1: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    private mutating func uniform() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Double((z ^ (z >> 31)) >> 11) * 0x1p-53
    }

    /// Of mean 0 and variance 1 (Box and Muller).
    mutating func next() -> Double {
        let radius = (-2 * log(1 - uniform())).squareRoot()
        return radius * cos(2 * .pi * uniform())
    }

    /// Of variance 1, with as much of it in blocks of 2, 4, 8 and 16 places along each axis that is long enough: coarse
    /// structure is as strong as fine structure. The first axis, the batch, and short ones have no neighbours.
    mutating func smooth(_ dims: [Int]) -> [Double] {
        let count = dims.reduce(1, *)
        var sum = [Double](repeating: 0, count: count)
        for block in [2, 4, 8, 16] {
            let blocks = dims.enumerated().map { axis, extent in
                axis > 0 && extent >= 8 ? (extent + block - 1) / block : extent
            }
            let coarse = (0..<blocks.reduce(1, *)).map { _ in next() }
            for index in 0..<count {
                var (rest, place, stride) = (index, 0, 1)
                for axis in dims.indices.reversed() {
                    let coordinate = rest % dims[axis]
                    rest /= dims[axis]
                    place += (axis > 0 && dims[axis] >= 8 ? coordinate / block : coordinate) * stride
                    stride *= blocks[axis]
                }
                sum[index] += coarse[place] / 2
            }
        }
        return sum
    }
}
