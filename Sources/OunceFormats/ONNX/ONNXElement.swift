import OunceGraph

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

/// An element type of ONNX and how its numbers are stored. Source: onnx.proto, TensorProto.DataType.
struct ONNXElement {
    private enum Form { case plain, bfloat16, packedUInt4, packedInt4 }

    /// What the numbers become here: wider where there is no such type.
    let dtype: DType
    private let form: Form

    /// nil where the type is not supported.
    init?(code: Int) {
        switch code {
        case 16: (dtype, form) = (.float32, .bfloat16)
        case 21: (dtype, form) = (.uint8, .packedUInt4)
        case 22: (dtype, form) = (.int8, .packedInt4)
        default:
            guard let type = DType(onnx: code) else { return nil }
            (dtype, form) = (type, .plain)
        }
    }

    /// What users know the type as.
    static func name(_ code: Int) -> String {
        let names = [
            0: "undefined", 8: "string", 14: "complex64", 15: "complex128", 16: "bfloat16", 17: "float8e4m3fn",
            18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4e2m1",
            24: "float8e8m0", 25: "uint2", 26: "int2",
        ]
        return names[code] ?? "\(code) of ONNX"
    }

    func byteCount(of count: Int) -> Int {
        switch form {
        case .plain: count * dtype.byteSize
        case .bfloat16: 2 * count
        case .packedUInt4, .packedInt4: (count + 1) / 2
        }
    }

    /// Bytes of a number in typed fields; two of four bits make one there.
    var storedWidth: Int {
        switch form {
        case .plain: dtype.byteSize
        case .bfloat16: 2
        case .packedUInt4, .packedInt4: 1
        }
    }

    /// The field of TensorProto for numbers that are not raw.
    var typedField: Int {
        guard case .plain = form else { return 5 }
        switch dtype {
        case .float32: return 4
        case .int64: return 7
        case .float64: return 10
        case .uint32, .uint64: return 11
        default: return 5
        }
    }

    /// The numbers that `bytes`, as long as they must be, hold.
    func storage(_ bytes: FileBytes, count: Int) -> TensorStorage {
        switch form {
        case .plain: return bytes.storage
        case .bfloat16:
            let halves = bytes.storage
            return TensorStorage(byteCount: 4 * count, unit: 4) { range, target in
                halves.withBytes(range.lowerBound / 2..<range.upperBound / 2) { source in
                    for index in 0..<range.count / 4 {
                        let half = source.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
                        target.storeBytes(of: UInt32(half) << 16, toByteOffset: 4 * index, as: UInt32.self)
                    }
                }
            }
        case .packedUInt4, .packedInt4:
            let flip: UInt8 = if case .packedInt4 = form { 8 } else { 0 }
            let source = bytes.bytes
            return TensorStorage(byteCount: count) { target in
                for index in 0..<count {
                    let nibble = index % 2 == 0 ? source[index / 2] & 0xF : source[index / 2] >> 4
                    // Sign extension of four bits.
                    target[index] = (nibble ^ flip) &- flip
                }
            }
        }
    }
}
