import OunceGraph

extension ONNXTensorShapeProto.Dimension {
    /// A stated number, also zero; unknown where it is none.
    var extent: Int {
        guard case .dimValue(let value)? = value, value >= 0 else { return Shape.unknown }
        return Int(value)
    }

    /// What the exporter calls the axis; "" where it gives a number, or a name that is no use on a screen.
    var name: String {
        guard case .dimParam(let name)? = value, name.utf8.count <= 64 else { return "" }
        return name.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } ? name : ""
    }
}

extension ONNXTensorProto {
    /// The numbers, as many as the extents say; where the file holds them as they are, they are not copied.
    func tensor() throws(ImportFailure) -> Tensor {
        guard let element = ONNXElement(code: Int(dataType)) else {
            throw .unsupported(
                "element type \(ONNXElement.name(Int(dataType))); convert it to float32 or an integer type")
        }
        let shape = Shape(dims.map { Int($0) })
        guard shape.isStatic, shape.isBounded, shape.rank <= 8, let count = shape.elementCount else {
            throw .corrupt("the tensor '\(name)' has the extents \(shape)")
        }
        let raw = dataLocation == 0 ? rawData : try externalBytes()
        let storage: TensorStorage?
        if raw.isEmpty, count > 0 {
            storage = try typed(element, count: count)
        } else {
            storage = raw.count == element.byteCount(of: count) ? element.storage(raw, count: count) : nil
        }
        guard let storage, let tensor = Tensor(dtype: element.dtype, shape: shape, storage: storage) else {
            throw .corrupt("the tensor '\(name)' does not hold the \(count) \(element.dtype) numbers of \(shape)")
        }
        if element.dtype == .bool, storage.bytes.contains(where: { $0 > 1 }) {
            throw .corrupt("the tensor '\(name)' holds a bool that is neither 0 nor 1")
        }
        return tensor
    }

    private func externalBytes() throws(ImportFailure) -> FileBytes {
        guard dataLocation == 1 else {
            throw .corrupt("the tensor '\(name)' lies at the unknown place \(dataLocation)")
        }
        guard let folder else {
            throw .unsupported("its numbers lie in another file; load the model from its file, not as bytes")
        }
        do throws(FormatError) {
            return try folder.content(externalData)
        } catch { throw .fatal(FormatError(error.code, "the tensor '\(name)': \(error.message)")) }
    }

    /// The numbers from the field of their type; nil where there are not `count`.
    private func typed(_ element: ONNXElement, count: Int) throws(ImportFailure) -> TensorStorage? {
        guard let numbers = typedData.first(where: { $0.field == element.typedField }) else { return nil }
        let width = element.storedWidth
        let stored = element.byteCount(of: count) / width
        if numbers.kind != .varint, !numbers.packed.isEmpty {
            return numbers.packed.count == stored * width ? element.storage(numbers.packed, count: count) : nil
        }
        // Each number takes at least a byte of the file.
        guard numbers.packed.count + numbers.single.count >= stored else { return nil }
        var (place, error): (Int, FormatError?) = (0, nil)
        let storage = TensorStorage(byteCount: stored * width) { target in
            do throws(FormatError) {
                try numbers.forEach { bits in
                    defer { place += 1 }
                    guard place < stored else { return }
                    switch width {
                    case 1: target.storeBytes(of: UInt8(truncatingIfNeeded: bits), toByteOffset: place, as: UInt8.self)
                    case 2:
                        target.storeBytes(
                            of: UInt16(truncatingIfNeeded: bits), toByteOffset: 2 * place, as: UInt16.self)
                    case 4:
                        target.storeBytes(
                            of: UInt32(truncatingIfNeeded: bits), toByteOffset: 4 * place, as: UInt32.self)
                    default: target.storeBytes(of: bits, toByteOffset: 8 * place, as: UInt64.self)
                    }
                }
            } catch let failure { error = failure }
        }
        if let error { throw .fatal(error) }
        return place == stored ? element.storage(FileBytes(storage), count: count) : nil
    }
}

extension ONNXSparseTensorProto {
    /// All numbers, also those that are 0.
    func tensor() throws(ImportFailure) -> Tensor {
        let shape = Shape(dims.map { Int($0) })
        guard shape.isStatic, shape.isBounded, (1...8).contains(shape.rank), let count = shape.elementCount else {
            throw .corrupt("the sparse tensor '\(values.name)' has the extents \(shape)")
        }
        guard count <= 1 << 26 else { throw .unsupported("a sparse tensor of \(shape); export it as a dense one") }
        let (numbers, indices) = (try values.tensor(), try indices.tensor())
        let width = numbers.dtype.byteSize
        guard let places = indices.elements(Int64.self), numbers.shape.rank == 1,
            indices.shape.dims == [numbers.count] || indices.shape.dims == [numbers.count, shape.rank]
        else { throw .corrupt("the indices of the sparse tensor '\(values.name)' do not fit its values") }
        let strides = indices.shape.rank == 2 ? shape.strides : [1]
        let bounds = indices.shape.rank == 2 ? shape.dims : [count]
        var isSound = true
        let storage = TensorStorage(byteCount: count * width) { target in
            for index in 0..<numbers.count {
                var place = 0
                for axis in strides.indices {
                    let step = places[index * strides.count + axis]
                    guard step >= 0, step < bounds[axis] else {
                        isSound = false
                        return
                    }
                    place += Int(step) * strides[axis]
                }
                for byte in 0..<width { target[place * width + byte] = numbers.bytes[index * width + byte] }
            }
        }
        guard isSound, let tensor = Tensor(dtype: numbers.dtype, shape: shape, storage: storage) else {
            throw .corrupt("an index of the sparse tensor '\(values.name)' lies outside \(shape)")
        }
        return tensor
    }
}
