import OunceGraph

/// An attribute of an ONNX node that is written.
enum ONNXAttribute {
    case integer(Int)
    case integers([Int])
    case float(Float)
    case floats([Float])
    case string(String)
    case strings([String])

    func proto(name: String) -> ONNXAttributeProto {
        var attribute = ONNXAttributeProto()
        attribute.name = name
        switch self {
        case .float(let number): (attribute.f, attribute.type) = (number, 1)
        case .integer(let number): (attribute.i, attribute.type) = (Int64(number), 2)
        case .string(let text): (attribute.s, attribute.type) = (FileBytes(Array(text.utf8)), 3)
        case .floats(let numbers): (attribute.floats, attribute.type) = (numbers, 6)
        case .integers(let numbers): (attribute.ints, attribute.type) = (numbers.map { Int64($0) }, 7)
        case .strings(let texts): (attribute.strings, attribute.type) = (texts.map { FileBytes(Array($0.utf8)) }, 8)
        }
        return attribute
    }
}

extension DType {
    /// The element type's number in ONNX.
    var onnxCode: Int32 {
        switch self {
        case .float32: 1
        case .uint8: 2
        case .int8: 3
        case .uint16: 4
        case .int16: 5
        case .int32: 6
        case .int64: 7
        case .bool: 9
        case .float16: 10
        case .float64: 11
        case .uint32: 12
        case .uint64: 13
        }
    }
}
