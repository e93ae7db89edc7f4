/// An immutable array of numbers, row-major and contiguous.
package struct Tensor: @unchecked Sendable {
    package let dtype: DType
    package let shape: Shape
    package let storage: TensorStorage

    /// Fails where the shape is not static or the storage is not exactly as long as the shape says.
    package init?(dtype: DType, shape: Shape, storage: TensorStorage) {
        guard let count = shape.elementCount, storage.byteCount == count * dtype.byteSize else { return nil }
        self.dtype = dtype
        self.shape = shape
        self.storage = storage
    }

    /// Copies `elements`. Fails where their number is not that of the shape.
    package init?<T: TensorElement>(_ elements: [T], shape: Shape) {
        let storage = elements.withUnsafeBytes { source in
            TensorStorage(byteCount: source.count) { $0.copyMemory(from: source) }
        }
        self.init(dtype: T.dtype, shape: shape, storage: storage)
    }

    /// A one-dimensional tensor.
    package init<T: TensorElement>(_ elements: [T]) {
        dtype = T.dtype
        shape = [elements.count]
        storage = elements.withUnsafeBytes { source in
            TensorStorage(byteCount: source.count) { $0.copyMemory(from: source) }
        }
    }

    /// The same numbers under another shape; nil where the element counts differ.
    package func reshaped(_ shape: Shape) -> Tensor? {
        Tensor(dtype: dtype, shape: shape, storage: storage)
    }

    package var count: Int { storage.byteCount / dtype.byteSize }
    package var byteCount: Int { storage.byteCount }
    package var bytes: UnsafeRawBufferPointer { storage.bytes }

    /// The elements as `T`; nil where the tensor holds another type.
    package func elements<T: TensorElement>(_ type: T.Type = T.self) -> [T]? {
        guard T.dtype == dtype else { return nil }
        return storage.withBytes { bytes in
            (0..<count).map { bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.size, as: T.self) }
        }
    }

    /// Every element converted to Double, whatever the type.
    package func doubles() -> [Double] {
        func convert<T: TensorElement>(_: T.Type, _ toDouble: (T) -> Double) -> [Double] {
            (elements(T.self) ?? []).map(toDouble)
        }
        switch dtype {
        case .float32: return convert(Float.self) { Double($0) }
        case .float64: return convert(Double.self) { $0 }
        case .int8: return convert(Int8.self) { Double($0) }
        case .uint8: return convert(UInt8.self) { Double($0) }
        case .int16: return convert(Int16.self) { Double($0) }
        case .uint16: return convert(UInt16.self) { Double($0) }
        case .int32: return convert(Int32.self) { Double($0) }
        case .uint32: return convert(UInt32.self) { Double($0) }
        case .int64: return convert(Int64.self) { Double($0) }
        case .uint64: return convert(UInt64.self) { Double($0) }
        case .bool: return convert(Bool.self) { $0 ? 1 : 0 }
        case .float16:
            return storage.withBytes { bytes in
                (0..<count).map {
                    Double(Float(halfBits: bytes.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self)))
                }
            }
        }
    }

    /// Every element converted to Float, whatever the type.
    package func floats() -> [Float] {
        if let floats = elements(Float.self) { return floats }
        return doubles().map { Float($0) }
    }

    /// Every element as Int; nil for floats and for values that do not fit.
    package func integers() -> [Int]? {
        switch dtype {
        case .int64: return elements(Int64.self).map { $0.map { Int($0) } }
        case .uint64:
            guard let values = elements(UInt64.self), values.allSatisfy({ $0 <= UInt64(Int.max) }) else { return nil }
            return values.map { Int($0) }
        case .float16, .float32, .float64: return nil
        default: return doubles().map { Int($0) }
        }
    }
}

/// A Swift type that a tensor can hold.
package protocol TensorElement: BitwiseCopyable, Sendable {
    static var dtype: DType { get }
}

extension Float: TensorElement { package static var dtype: DType { .float32 } }
extension Double: TensorElement { package static var dtype: DType { .float64 } }
extension Int8: TensorElement { package static var dtype: DType { .int8 } }
extension UInt8: TensorElement { package static var dtype: DType { .uint8 } }
extension Int16: TensorElement { package static var dtype: DType { .int16 } }
extension UInt16: TensorElement { package static var dtype: DType { .uint16 } }
extension Int32: TensorElement { package static var dtype: DType { .int32 } }
extension UInt32: TensorElement { package static var dtype: DType { .uint32 } }
extension Int64: TensorElement { package static var dtype: DType { .int64 } }
extension UInt64: TensorElement { package static var dtype: DType { .uint64 } }
extension Bool: TensorElement { package static var dtype: DType { .bool } }

extension Float {
    /// IEEE 754 binary16 bits to Float; exact.
    package init(halfBits bits: UInt16) {
        let sign = UInt32(bits & 0x8000) << 16
        let exponent = UInt32(bits >> 10) & 0x1F
        let fraction = UInt32(bits & 0x3FF)
        switch exponent {
        case 0:
            let magnitude = Float(fraction) * 0x1p-24
            self = sign == 0 ? magnitude : -magnitude
        case 0x1F: self = Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
        default: self = Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
        }
    }
}
