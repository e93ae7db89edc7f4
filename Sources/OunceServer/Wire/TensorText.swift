import OunceGraph

/// The elements of a tensor as JSON, row-major: all in one list, or in lists nested as the shape is.
enum TensorText {
    /// - Parameter label: names the tensor in messages.
    static func decode(
        _ text: UnsafeRawBufferPointer, dtype: DType, shape: Shape, label: String
    ) throws(ServiceError) -> Tensor {
        let filler = Filler(text: text, shape: shape)
        switch dtype {
        case .bool: return try filler.tensor(.bool, label) { reader throws(JSONError) in try boolean(&reader) }
        case .int8: return try filler.integers(Int8.self, label)
        case .uint8: return try filler.integers(UInt8.self, label)
        case .int16: return try filler.integers(Int16.self, label)
        case .uint16: return try filler.integers(UInt16.self, label)
        case .int32: return try filler.integers(Int32.self, label)
        case .uint32: return try filler.integers(UInt32.self, label)
        case .int64: return try filler.integers(Int64.self, label)
        case .uint64: return try filler.integers(UInt64.self, label)
        case .float16:
            return try filler.tensor(.float16, label) { reader throws(JSONError) in
                let value = Float16(JSONNumber.double(try reader.number().text))
                guard value.isFinite else { throw reader.error("a number beyond what FP16 holds") }
                return value.bitPattern
            }
        case .float32:
            return try filler.tensor(.float32, label) { reader throws(JSONError) in
                let value = JSONNumber.float(try reader.number().text)
                guard value.isFinite else { throw reader.error("a number beyond what FP32 holds") }
                return value
            }
        case .float64:
            return try filler.tensor(.float64, label) { reader throws(JSONError) in
                let value = JSONNumber.double(try reader.number().text)
                guard value.isFinite else { throw reader.error("a number beyond what FP64 holds") }
                return value
            }
        }
    }

    static func write(_ tensor: Tensor, to writer: inout JSONWriter) {
        func each<T: BitwiseCopyable>(_: T.Type, _ body: (inout JSONWriter, T) -> Void) {
            for offset in stride(from: 0, to: tensor.byteCount, by: MemoryLayout<T>.size) {
                body(&writer, tensor.bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
            }
        }
        writer.beginArray()
        switch tensor.dtype {
        case .bool: each(UInt8.self) { $0.bool($1 != 0) }
        case .int8: each(Int8.self) { $0.integer($1) }
        case .uint8: each(UInt8.self) { $0.integer($1) }
        case .int16: each(Int16.self) { $0.integer($1) }
        case .uint16: each(UInt16.self) { $0.integer($1) }
        case .int32: each(Int32.self) { $0.integer($1) }
        case .uint32: each(UInt32.self) { $0.integer($1) }
        case .int64: each(Int64.self) { $0.integer($1) }
        case .uint64: each(UInt64.self) { $0.integer($1) }
        case .float16: each(UInt16.self) { $0.number(Float(halfBits: $1)) }
        case .float32: each(Float.self) { $0.number($1) }
        case .float64: each(Double.self) { $0.number($1) }
        }
        writer.endArray()
    }

    /// true and false, or 1 and 0.
    private static func boolean(_ reader: inout JSONReader) throws(JSONError) -> UInt8 {
        guard try reader.peek() == .number else { return try reader.bool() ? 1 : 0 }
        let number = try reader.number()
        guard let value = JSONNumber.integer(number.text, isInteger: number.isInteger, as: UInt8.self), value < 2 else {
            throw reader.error("a number that is no BOOL")
        }
        return value
    }
}

private struct Filler {
    let text: UnsafeRawBufferPointer
    let shape: Shape

    func integers<T: FixedWidthInteger & TensorElement>(_: T.Type, _ label: String) throws(ServiceError) -> Tensor {
        try tensor(T.dtype, label) { reader throws(JSONError) in
            let number = try reader.number()
            guard let value = JSONNumber.integer(number.text, isInteger: number.isInteger, as: T.self) else {
                throw reader.error("a number that is no \(Datatype(T.dtype).rawValue)")
            }
            return value
        }
    }

    func tensor<T: BitwiseCopyable>(
        _ dtype: DType, _ label: String, _ element: (inout JSONReader) throws(JSONError) -> T
    ) throws(ServiceError) -> Tensor {
        let count = shape.elementCount ?? 0
        var failure: JSONError?
        let storage = TensorStorage(byteCount: count * dtype.byteSize) { destination in
            do throws(JSONError) {
                try fill(destination, count, element)
            } catch {
                failure = error
            }
        }
        if let failure {
            throw ServiceError(.invalid, "\(label): 'data' is wrong at its byte \(failure.offset): \(failure.message)")
        }
        guard let tensor = Tensor(dtype: dtype, shape: shape, storage: storage) else {
            throw ServiceError(.internal, "\(label) cannot be stored")
        }
        return tensor
    }

    /// Whether the first element is a list.
    private func isNested() throws(JSONError) -> Bool {
        var reader = JSONReader(text)
        var first = true
        try reader.beginArray()
        guard shape.rank > 1, try reader.nextElement(&first) else { return false }
        return try reader.peek() == .array
    }

    private func fill<T: BitwiseCopyable>(
        _ destination: UnsafeMutableRawBufferPointer, _ count: Int,
        _ element: (inout JSONReader) throws(JSONError) -> T
    ) throws(JSONError) {
        var reader = JSONReader(text)
        let extents = try isNested() ? shape.dims : [count]
        var index = 0

        func level(_ axis: Int) throws(JSONError) {
            try reader.beginArray()
            var first = true
            var length = 0
            while try reader.nextElement(&first) {
                guard length < extents[axis] else {
                    throw reader.error("more than the \(extents[axis]) elements that shape \(shape) has here")
                }
                length += 1
                if axis + 1 < extents.count {
                    try level(axis + 1)
                } else {
                    let value = try element(&reader)
                    destination.storeBytes(of: value, toByteOffset: index * MemoryLayout<T>.size, as: T.self)
                    index += 1
                }
            }
            guard length == extents[axis] else {
                throw reader.error("\(length) elements where shape \(shape) has \(extents[axis])")
            }
        }
        try level(0)
    }
}
