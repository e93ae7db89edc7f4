import OunceGraph
import OunceRuntime

/// Made-up inputs, the same for the same seed: for self-checks and benchmarks.
package enum SyntheticInput {
    /// Floats in -1..<1, integers over their whole range; unknown extents are 1.
    ///
    /// - Parameter sparsity: of so many elements one, on average, is not zero.
    package static func sample(for inputs: [TensorInfo], seed: UInt64, sparsity: UInt64 = 1) -> [Tensor] {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        func next() -> UInt64 {
            // xorshift64* (Vigna, arXiv 1402.6246).
            state ^= state >> 12
            state ^= state << 25
            state ^= state >> 27
            return state &* 0x2545_F491_4F6C_DD1D
        }
        return inputs.compactMap { info in
            let shape = info.shape.smallest
            guard let count = shape.elementCount else { return nil }
            let storage = TensorStorage(byteCount: count * info.dtype.byteSize) { bytes in
                for index in 0..<count {
                    let offset = index * info.dtype.byteSize
                    if sparsity > 1, (next() >> 32) % sparsity != 0 { continue }
                    switch info.dtype {
                    case .float32:
                        let value = Float(Int32(truncatingIfNeeded: next() >> 40) - (1 << 23)) * 0x1p-23
                        bytes.storeBytes(of: value, toByteOffset: offset, as: Float.self)
                    case .float64:
                        let value = Double(Int32(truncatingIfNeeded: next() >> 40) - (1 << 23)) * 0x1p-23
                        bytes.storeBytes(of: value, toByteOffset: offset, as: Double.self)
                    default:
                        let limit: UInt64 = info.dtype == .bool ? 2 : 256
                        bytes[offset] = UInt8(truncatingIfNeeded: (next() >> 32) % limit)
                    }
                }
            }
            return Tensor(dtype: info.dtype, shape: shape, storage: storage)
        }
    }
}
