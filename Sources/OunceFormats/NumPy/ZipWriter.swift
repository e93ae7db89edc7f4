import OunceGraph

/// Lays out a ZIP archive of arrays that are not compressed.
enum ZipWriter {
    /// Bytes of the archive's own, and the array whose numbers follow them.
    struct Piece {
        var framing: [UInt8]
        var tensor: Tensor?
    }

    static func pieces(_ arrays: [(name: String, tensor: Tensor)]) throws(FormatError) -> [Piece] {
        guard arrays.count < Int(UInt16.max), Set(arrays.map(\.name)).count == arrays.count else {
            throw FormatError(.invalidArgument, "the names of the arrays must differ, and be less than 65535")
        }
        var pieces: [Piece] = []
        var directory: [UInt8] = []
        var offset = 0
        for (name, tensor) in arrays {
            let header = NumPyFile.serializeHeader(of: tensor)
            let size = header.count + tensor.byteCount
            let fileName = Array("\(name).npy".utf8)
            guard !name.isEmpty, fileName.count <= 1024, offset + size < Int(UInt32.max) - (1 << 24) else {
                throw FormatError(
                    .invalidArgument, "'\(name)': the name is empty or too long, or the file exceeds 4 GiB")
            }
            let crc = CRC32.checksum(tensor.bytes, after: header.withUnsafeBytes { CRC32.checksum($0) })
            // Version 2.0, UTF-8 names, stored, 1980-01-01: the same arrays give the same bytes.
            var common: [UInt8] = bytes(20 as UInt16) + bytes(0x0800 as UInt16) + bytes(0 as UInt16)
            common += bytes(0x0021_0000 as UInt32) + bytes(crc)
            common += bytes(UInt32(size)) + bytes(UInt32(size)) + bytes(UInt16(fileName.count)) + bytes(0 as UInt16)
            directory += bytes(0x0201_4B50 as UInt32) + bytes(20 as UInt16) + common + [UInt8](repeating: 0, count: 10)
            directory += bytes(UInt32(offset)) + fileName
            let framing = bytes(0x0403_4B50 as UInt32) + common + fileName + header
            pieces.append(Piece(framing: framing, tensor: tensor))
            offset += framing.count + tensor.byteCount
        }
        guard offset + directory.count < Int(UInt32.max) else {
            throw FormatError(.invalidArgument, "the file exceeds 4 GiB")
        }
        let count = bytes(UInt16(arrays.count))
        var end: [UInt8] = bytes(0x0605_4B50 as UInt32) + [0, 0, 0, 0] + count + count
        end += bytes(UInt32(directory.count)) + bytes(UInt32(offset)) + [0, 0]
        return pieces + [Piece(framing: directory + end, tensor: nil)]
    }

    private static func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}
