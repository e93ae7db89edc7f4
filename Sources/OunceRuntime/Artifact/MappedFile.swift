import Glibc

/// A file mapped for reading, private: what another process does to a renamed-over file does not show here.
package final class MappedFile: @unchecked Sendable {
    package let bytes: UnsafeRawBufferPointer

    /// - Parameter maximumBytes: a longer file is refused.
    /// - Throws: `.io` with the path and the system's reason.
    package init(path: String, maximumBytes: Int = 1 << 32) throws(RuntimeError) {
        func failure(_ what: String) -> RuntimeError {
            RuntimeError(.io, "\(path): \(what): \(String(cString: strerror(errno)))")
        }
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("cannot be opened") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("cannot be examined") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw RuntimeError(.io, "\(path): is no regular file") }
        let size = Int(status.st_size)
        guard size <= maximumBytes else {
            throw RuntimeError(.io, "\(path): has \(size) bytes, at most \(maximumBytes) are read")
        }
        guard size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
            throw failure("cannot be mapped")
        }
        bytes = UnsafeRawBufferPointer(start: base, count: size)
    }

    deinit {
        if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
    }
}
