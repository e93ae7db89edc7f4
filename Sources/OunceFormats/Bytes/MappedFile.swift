import Glibc
import OunceGraph

/// A regular file mapped for reading. Whoever truncates the file while it is mapped breaks the process that reads it, so
/// only data sets are mapped; models are copied.
final class MappedFile {
    private let mapping: UnsafeRawBufferPointer

    private init(_ mapping: UnsafeRawBufferPointer) { self.mapping = mapping }

    deinit {
        guard let start = mapping.baseAddress else { return }
        munmap(UnsafeMutableRawPointer(mutating: start), mapping.count)
    }

    /// The content of the file at `path`, kept mapped as long as the storage is used.
    static func map(path: String, maximumBytes: Int) throws(FormatError) -> TensorStorage {
        let (descriptor, size) = try FileInput.open(path: path, maximumBytes: maximumBytes)
        defer { close(descriptor) }
        guard size > 0 else { return TensorStorage(byteCount: 0) { _ in } }
        guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            throw FormatError(.io, "\(path): cannot be mapped: \(FileInput.lastError())")
        }
        let bytes = UnsafeRawBufferPointer(start: start, count: size)
        return TensorStorage(referring: bytes, owner: MappedFile(bytes))
    }

    /// How many bytes after the end of a mapping of `size` bytes are readable: the rest of its last page.
    static func readableTail(size: Int) -> Int {
        let page = max(Int(sysconf(Int32(_SC_PAGESIZE))), 1)
        return (page - size % page) % page
    }
}
