import OunceGraph

/// Arrays as NumPy saves them (`.npy`, format versions 1 to 3; NEP 1).
package enum NumPyFile {
    static let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]

    /// The array in the file at `path`. Its numbers stay in the mapped file where that can be.
    ///
    /// - Throws: `FormatError` that names the file.
    package static func read(path: String, maximumBytes: Int = 1 << 34) throws(FormatError) -> Tensor {
        let file = try FormatError.mapping(path, maximumBytes: maximumBytes)
        do {
            return try parse(file.storage, readableTail: file.readableTail)
        } catch { throw error.inFile(path) }
    }

    /// The array that `bytes` hold.
    package static func parse(bytes: [UInt8]) throws(FormatError) -> Tensor {
        let file = TensorStorage(byteCount: bytes.count) { $0.copyBytes(from: bytes) }
        return try parse(file, readableTail: TensorStorage.slack)
    }

    /// The content of a `.npy` file that holds `tensor`.
    package static func serialize(_ tensor: Tensor) -> [UInt8] { serializeHeader(of: tensor) + tensor.bytes }

    static func serializeHeader(of tensor: Tensor) -> [UInt8] {
        NumPyHeader(dtype: tensor.dtype, shape: tensor.shape).serialized
    }

    /// - Parameter readableTail: how many bytes after those of `file` may be read.
    static func parse(_ file: TensorStorage, readableTail: Int) throws(FormatError) -> Tensor {
        let view = ByteView(file.bytes)
        guard file.bytes.starts(with: magic), let major: UInt8 = view.integer(at: 6) else {
            throw FormatError(.corrupt, "this is no .npy file")
        }
        let start: Int
        let length: Int?
        switch major {
        case 1: (start, length) = (10, view.integer(UInt16.self, at: 8).map { Int($0) })
        case 2, 3: (start, length) = (12, view.integer(UInt32.self, at: 8).map { Int($0) })
        default: throw FormatError(.unsupported, "version \(major) of .npy is not known; save it with numpy.save")
        }
        guard let length, length <= 1 << 16, let text = view.slice(at: start, count: length) else {
            throw FormatError(.corrupt, "the header of the array does not lie within the file")
        }
        let header = try NumPyHeader(parsing: text)
        let offset = start + length
        guard file.bytes.count - offset == header.byteCount,
            let content = view.slice(at: offset, count: header.byteCount)
        else {
            throw FormatError(
                .corrupt,
                "\(header.dtype) \(header.shape) needs \(header.byteCount) bytes, \(file.bytes.count - offset) follow")
        }
        if header.dtype == .bool, content.contains(where: { $0 > 1 }) {
            throw FormatError(.corrupt, "a bool is neither 0 nor 1")
        }
        return try tensor(header, content, owner: file, readableTail: readableTail)
    }

    private static func tensor(
        _ header: NumPyHeader, _ content: UnsafeRawBufferPointer, owner: TensorStorage, readableTail: Int
    ) throws(FormatError) -> Tensor {
        let size = header.dtype.byteSize
        let address = content.baseAddress.map { UInt(bitPattern: $0) } ?? 0
        let storage: TensorStorage
        if header.isBigEndian {
            storage = TensorStorage(byteCount: content.count) { target in
                for index in content.indices { target[index ^ (size - 1)] = content[index] }
            }
        } else if readableTail >= TensorStorage.slack, address % UInt(size) == 0, !content.isEmpty {
            storage = TensorStorage(referring: content, owner: owner)
        } else {
            storage = TensorStorage(byteCount: content.count) { $0.copyMemory(from: content) }
        }
        let shape = header.isFortranOrder ? Shape(header.shape.dims.reversed()) : header.shape
        guard let stored = Tensor(dtype: header.dtype, shape: shape, storage: storage),
            let tensor = header.isFortranOrder ? stored.transposed(Array((0..<shape.rank).reversed())) : stored
        else { throw FormatError(.corrupt, "the array does not have the extents \(header.shape)") }
        return tensor
    }
}
