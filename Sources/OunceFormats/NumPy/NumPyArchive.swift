import OunceGraph

/// Several arrays in one file, as `numpy.savez` and `numpy.savez_compressed` save them (`.npz`).
package enum NumPyArchive {
    /// The arrays of the file at `path` in the order in which it lists them. Those that are not compressed stay in the
    /// mapped file where that can be.
    ///
    /// - Parameter maximumBytes: of the file, and of all its arrays together.
    /// - Throws: `FormatError` that names the file and the array.
    package static func read(
        path: String, maximumBytes: Int = 1 << 34
    ) throws(FormatError) -> [(name: String, tensor: Tensor)] {
        let file = try FormatError.mapping(path, maximumBytes: maximumBytes)
        do {
            return try parse(file.storage, maximumBytes: maximumBytes)
        } catch { throw error.inFile(path) }
    }

    /// The arrays that `bytes` hold.
    package static func parse(
        bytes: [UInt8], maximumBytes: Int = 1 << 34
    ) throws(FormatError) -> [(name: String, tensor: Tensor)] {
        try parse(TensorStorage(byteCount: bytes.count) { $0.copyBytes(from: bytes) }, maximumBytes: maximumBytes)
    }

    private static func parse(
        _ file: TensorStorage, maximumBytes: Int
    ) throws(FormatError) -> [(name: String, tensor: Tensor)] {
        let directory = try ZipDirectory(file.bytes)
        var total = 0
        var arrays: [(name: String, tensor: Tensor)] = []
        for entry in directory.entries {
            guard entry.name.hasSuffix(".npy") else {
                throw FormatError(.unsupported, "'\(entry.name)' in the archive is no .npy array")
            }
            guard entry.size <= maximumBytes - total else {
                throw FormatError(.limit, "the arrays have over \(maximumBytes) bytes")
            }
            total += entry.size
            do {
                arrays.append((String(entry.name.dropLast(4)), try tensor(entry, of: file)))
            } catch { throw FormatError(error.code, "'\(entry.name)': \(error.message)") }
        }
        return arrays
    }

    private static func tensor(_ entry: ZipDirectory.Entry, of file: TensorStorage) throws(FormatError) -> Tensor {
        let content: TensorStorage
        let tail: Int
        switch entry.method {
        case .stored:
            guard entry.content.count == entry.size else { throw FormatError(.corrupt, "the sizes do not agree") }
            content = TensorStorage(referring: entry.content, owner: file)
            tail = file.bytes.count - entry.offset - entry.size
        case .deflated:
            guard entry.size / Inflate.maximumRatio <= entry.content.count else {
                throw FormatError(.corrupt, "\(entry.content.count) bytes cannot hold the \(entry.size) announced")
            }
            var failure: FormatError?
            content = TensorStorage(byteCount: entry.size) { target in
                do throws(FormatError) {
                    try Inflate.decompress(entry.content, into: target)
                } catch { failure = error }
            }
            if let failure { throw failure }
            tail = TensorStorage.slack
        }
        guard CRC32.checksum(content.bytes) == entry.crc else {
            throw FormatError(.corrupt, "the checksum does not fit; copy the file again")
        }
        return try NumPyFile.parse(content, readableTail: tail)
    }

    /// The content of a `.npz` file that holds `arrays`, not compressed.
    ///
    /// - Throws: `FormatError` where a name is used twice or empty, or the file would exceed 4 GiB.
    package static func serialize(_ arrays: [(name: String, tensor: Tensor)]) throws(FormatError) -> [UInt8] {
        var bytes: [UInt8] = []
        for piece in try ZipWriter.pieces(arrays) {
            bytes += piece.framing
            if let tensor = piece.tensor { bytes += tensor.bytes }
        }
        return bytes
    }
}
