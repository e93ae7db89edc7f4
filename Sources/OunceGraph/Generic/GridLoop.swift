/// Moves numbers between floats and affine grids of 8 or 16 bits, or between two such grids: `q = round(real / scale) + zero
/// point`, halves to even, clamped to the type.
package struct GridLoop: Sendable {
    private let from: (dtype: DType, affine: AffineQuantization?)
    private let to: (dtype: DType, affine: AffineQuantization?)
    private let count: Int

    /// nil where a side is neither float32 nor a grid for a whole tensor of at most 16 bits.
    package init?(
        from: (dtype: DType, affine: AffineQuantization?), to: (dtype: DType, affine: AffineQuantization?), count: Int
    ) {
        for side in [from, to] {
            guard
                side.affine.map({ $0.isPerTensor && side.dtype.isQuantizable }) ?? (side.dtype == .float32)
            else { return nil }
        }
        self.from = from
        self.to = to
        self.count = count
    }

    package func run(_ source: UnsafeRawPointer, _ out: UnsafeMutableRawPointer) {
        if flipsSign {
            for index in 0..<count {
                let byte = source.load(fromByteOffset: index, as: UInt8.self)
                out.storeBytes(of: byte ^ 0x80, toByteOffset: index, as: UInt8.self)
            }
            return
        }
        switch from.dtype {
        case .int8: read(source, out, as: Int8.self)
        case .uint8: read(source, out, as: UInt8.self)
        case .int16: read(source, out, as: Int16.self)
        case .uint16: read(source, out, as: UInt16.self)
        default: write(out) { source.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
    }

    /// The same grid in int8 and uint8.
    private var flipsSign: Bool {
        guard let a = from.affine, let b = to.affine, a.scale == b.scale else { return false }
        return switch (from.dtype, to.dtype) {
        case (.int8, .uint8): b.zeroPoint == a.zeroPoint &+ 128
        case (.uint8, .int8): a.zeroPoint == b.zeroPoint &+ 128
        default: false
        }
    }

    private func read<T: FixedWidthInteger & BitwiseCopyable>(
        _ source: UnsafeRawPointer, _ out: UnsafeMutableRawPointer, as _: T.Type
    ) {
        let (scale, zero) = (from.affine?.scale ?? 1, from.affine?.zeroPoint ?? 0)
        write(out) { index in
            let number = source.loadUnaligned(fromByteOffset: MemoryLayout<T>.size * index, as: T.self)
            return Float(Int32(truncatingIfNeeded: number) &- zero) * scale
        }
    }

    private func write(_ out: UnsafeMutableRawPointer, _ real: (Int) -> Float) {
        switch to.dtype {
        case .int8: store(out, as: Int8.self, real)
        case .uint8: store(out, as: UInt8.self, real)
        case .int16: store(out, as: Int16.self, real)
        case .uint16: store(out, as: UInt16.self, real)
        default: for index in 0..<count { out.storeBytes(of: real(index), toByteOffset: 4 * index, as: Float.self) }
        }
    }

    private func store<T: FixedWidthInteger & BitwiseCopyable>(
        _ out: UnsafeMutableRawPointer, as _: T.Type, _ real: (Int) -> Float
    ) {
        let (scale, zero) = (to.affine?.scale ?? 1, Float(to.affine?.zeroPoint ?? 0))
        let (low, high) = (Float(T.min) - zero, Float(T.max) - zero)
        for index in 0..<count {
            let place = (real(index) / scale).rounded(.toNearestOrEven)
            // NaN gives the zero point.
            let number = T(clamping: Int32((place.isNaN ? 0 : max(low, min(high, place))) + zero))
            out.storeBytes(of: number, toByteOffset: MemoryLayout<T>.size * index, as: T.self)
        }
    }
}

extension GenericLoop {
    func roundToDynamicGrid(_ grid: DynamicGrid) {
        let rows = x.shape.dims.prefix(grid.batchAxes).reduce(1, *)
        let width = rows == 0 ? 0 : x.count / rows
        for row in 0..<rows {
            func number(_ i: Int) -> Float {
                x.bytes.loadUnaligned(fromByteOffset: 4 * (row * width + i), as: Float.self)
            }
            var (low, high): (Float, Float) = (0, 0)
            for i in 0..<width {
                // Infinities and NaN have no place on any grid.
                let value = number(i)
                if value.isFinite { (low, high) = (min(low, value), max(high, value)) }
            }
            let places = DynamicPlaces(low: low, high: high, isSymmetric: grid.isSymmetric)
            for i in 0..<width {
                out.storeBytes(of: places.nearest(number(i)), toByteOffset: 4 * (row * width + i), as: Float.self)
            }
        }
    }
}

/// One grid of 8-bit places. Source: TensorFlow Lite, dynamic range quantisation (SymmetricQuantizeFloats,
/// AsymmetricQuantizeFloats).
private struct DynamicPlaces {
    var scale: Float = 1
    var inverse: Float = 0
    var zero: Float = 0
    var least: Float = -128

    init(low: Float, high: Float, isSymmetric: Bool) {
        guard low < high else { return }
        if isSymmetric {
            let range = max(-low, high)
            scale = range / 127
            inverse = 127 / range
            least = -127
        } else {
            let (low, high) = (Double(low), Double(high))
            let step = (high - low) / 255
            let fromLow = -128 - low / step
            let fromHigh = 127 - high / step
            let nearer = 128 + (low / step).magnitude < 127 + (high / step).magnitude ? fromLow : fromHigh
            zero = Float(max(-128, min(127, nearer.rounded(.toNearestOrAwayFromZero))))
            scale = Float(step)
            inverse = 1 / scale
        }
        if !inverse.isFinite || !scale.isFinite { (scale, inverse) = (1, 0) }
    }

    func nearest(_ value: Float) -> Float {
        guard value.isFinite else { return value }
        let place = (zero + value * inverse).rounded(.toNearestOrAwayFromZero)
        return (max(least, min(127, place)) - zero) * scale
    }
}
