import OunceGraph

/// Bytes together with what keeps them in memory: a mapped file, or heap memory.
package struct FileBytes: RandomAccessCollection, @unchecked Sendable {
    package let bytes: UnsafeRawBufferPointer
    private let owner: AnyObject?

    init() {
        bytes = UnsafeRawBufferPointer(start: nil, count: 0)
        owner = nil
    }

    private init(bytes: UnsafeRawBufferPointer, owner: AnyObject?) {
        self.bytes = bytes
        self.owner = owner
    }

    package init(_ storage: TensorStorage) { self.init(bytes: storage.bytes, owner: storage) }

    package init(_ file: MappedFile) { self.init(bytes: file.bytes, owner: file) }

    /// Copies `content`.
    package init(_ content: [UInt8]) {
        self.init(TensorStorage(byteCount: content.count) { $0.copyBytes(from: content) })
    }

    package var startIndex: Int { 0 }
    package var endIndex: Int { bytes.count }
    package subscript(position: Int) -> UInt8 { bytes[position] }

    /// The `length` bytes from `offset`; nil where they do not lie within the bytes.
    func part(at offset: Int, count length: Int) -> FileBytes? {
        guard offset >= 0, length >= 0, offset <= count, count - offset >= length else { return nil }
        return FileBytes(bytes: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length]), owner: owner)
    }

    /// The same bytes as a tensor's storage; not copied.
    var storage: TensorStorage { storage(of: bytes) }

    /// `part` of these bytes as a tensor's storage; not copied.
    func storage(of part: UnsafeRawBufferPointer) -> TensorStorage {
        owner.map { TensorStorage(referring: part, owner: $0) } ?? TensorStorage(byteCount: 0) { _ in }
    }

    var text: String { String(decoding: bytes, as: UTF8.self) }
}
