import FoundationEssentials
import OunceGraph

extension ONNXTensorShapeProto.Dimension {
    /// A stated number, also zero; unknown where it is none.
    var extent: Int {
        guard case .dimValue(let value)? = value, value >= 0 else { return Shape.unknown }
        return Int(value)
    }
}

extension DType {
    /// From the element type numbers of ONNX.
    init?(onnx code: Int) {
        switch code {
        case 1: self = .float32
        case 2: self = .uint8
        case 3: self = .int8
        case 4: self = .uint16
        case 5: self = .int16
        case 6: self = .int32
        case 7: self = .int64
        case 9: self = .bool
        case 10: self = .float16
        case 11: self = .float64
        case 12: self = .uint32
        case 13: self = .uint64
        default: return nil
        }
    }
}

extension ONNXTensorProto {
    /// The numbers, copied; as many as the extents say.
    func tensor() throws(ImportFailure) -> Tensor {
        guard dataLocation == 0 else {
            throw .unsupported("its numbers lie in another file; save the model with all data in one file")
        }
        guard let type = DType(onnx: Int(dataType)) else {
            throw .unsupported("element type \(dataType) of ONNX; convert it to float32 or an integer type")
        }
        let shape = Shape(dims.map { Int($0) })
        guard shape.isStatic, shape.isBounded, shape.rank <= 8, let count = shape.elementCount else {
            throw .corrupt("the tensor '\(name)' has the extents \(shape)")
        }
        let storage: TensorStorage? =
            rawData.isEmpty && count > 0
            ? typedData(type, count: count)
            : rawData.count == count * type.byteSize
                ? rawData.withUnsafeBytes { source in
                    TensorStorage(byteCount: source.count) { $0.copyMemory(from: source) }
                } : nil
        guard let storage, let tensor = Tensor(dtype: type, shape: shape, storage: storage) else {
            throw .corrupt("the tensor '\(name)' does not hold the \(count) \(type) numbers of \(shape)")
        }
        if type == .bool, storage.bytes.contains(where: { $0 > 1 }) {
            throw .corrupt("the tensor '\(name)' holds a bool that is neither 0 nor 1")
        }
        return tensor
    }

    /// The numbers from the field of their type; nil where there are not `count`.
    private func typedData(_ type: DType, count: Int) -> TensorStorage? {
        func pack<S, T: BitwiseCopyable>(_ source: [S], _ convert: (S) -> T) -> TensorStorage? {
            guard source.count == count else { return nil }
            return TensorStorage(byteCount: count * MemoryLayout<T>.size) { target in
                for (index, element) in source.enumerated() {
                    target.storeBytes(of: convert(element), toByteOffset: index * MemoryLayout<T>.size, as: T.self)
                }
            }
        }
        switch type {
        case .float32: return pack(floatData) { $0 }
        case .float64: return pack(doubleData) { $0 }
        case .int64: return pack(int64Data) { $0 }
        case .uint64: return pack(uint64Data) { $0 }
        case .uint32: return pack(uint64Data) { UInt32(truncatingIfNeeded: $0) }
        case .int32: return pack(int32Data) { $0 }
        case .float16, .int16, .uint16: return pack(int32Data) { UInt16(truncatingIfNeeded: $0) }
        case .int8, .uint8, .bool: return pack(int32Data) { UInt8(truncatingIfNeeded: $0) }
        }
    }
}
