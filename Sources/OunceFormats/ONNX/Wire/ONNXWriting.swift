extension ONNXModelProto {
    /// - Throws: `.limit` where the model exceeds 2 GiB, more than protocol buffers hold.
    func serializedBytes() throws(FormatError) -> [UInt8] {
        var writer = WireWriter()
        writer.integer(1, irVersion)
        writer.string(2, producerName)
        writer.string(3, producerVersion)
        writer.message(7, graph.write)
        for set in opsetImport {
            writer.message(8) { writer in
                writer.string(1, set.domain)
                writer.integer(2, set.version)
            }
        }
        guard writer.count < 1 << 31 else {
            throw FormatError(.limit, "the model has \(writer.count) bytes; one ONNX file holds under 2 GiB")
        }
        return writer.finish()
    }

    init(serializedBytes bytes: [UInt8]) throws(FormatError) {
        var reader = ONNXReader()
        self = try reader.model(FileBytes(bytes))
    }
}

extension ONNXGraphProto {
    fileprivate func write(_ writer: inout WireWriter) {
        for node in node { writer.message(1, node.write) }
        writer.string(2, name)
        for tensor in initializer { writer.message(5, tensor.write) }
        for info in input { writer.message(11, info.write) }
        for info in output { writer.message(12, info.write) }
    }
}

extension ONNXNodeProto {
    fileprivate func write(_ writer: inout WireWriter) {
        for name in input { writer.element(1, name) }
        for name in output { writer.element(2, name) }
        writer.string(3, name)
        writer.string(4, opType)
        for attribute in attribute { writer.message(5, attribute.write) }
        writer.string(7, domain)
    }
}

extension ONNXAttributeProto {
    /// Only the content that `type` names.
    fileprivate func write(_ writer: inout WireWriter) {
        writer.string(1, name)
        switch type {
        case 1: writer.float(2, f)
        case 2: writer.integer(3, i)
        case 3: writer.bytes(4, s)
        case 4: for tensor in tensors { writer.message(5, tensor.write) }
        case 6: for float in floats { writer.float(7, float) }
        case 7: for int in ints { writer.element(8, int) }
        case 8: for string in strings { writer.element(9, string.text) }
        default: break
        }
        writer.integer(20, Int64(type))
    }
}

extension ONNXTensorProto {
    fileprivate func write(_ writer: inout WireWriter) {
        writer.packed(1, dims)
        writer.integer(2, Int64(dataType))
        writer.string(8, name)
        writer.bytes(9, rawData)
    }
}

extension ONNXValueInfoProto {
    fileprivate func write(_ writer: inout WireWriter) {
        writer.string(1, name)
        guard hasType else { return }
        writer.message(2) { writer in
            guard type.hasTensorType else { return }
            writer.message(1) { writer in
                writer.integer(1, Int64(type.tensorType.elemType))
                guard type.tensorType.hasShape else { return }
                writer.message(2) { writer in
                    for dim in type.tensorType.shape.dim {
                        writer.message(1) { writer in
                            switch dim.value {
                            case .dimValue(let value): writer.element(1, value)
                            case .dimParam(let name): writer.element(2, name)
                            case nil: break
                            }
                        }
                    }
                }
            }
        }
    }
}
