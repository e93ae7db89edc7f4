import Glibc

/// A file that cannot be read: which, and why.
package struct FileError: Error, Sendable, CustomStringConvertible {
    package let path: String
    package let reason: String

    package var description: String { "\(path): \(reason)" }
}

/// A regular file mapped for reading. What is renamed over the file does not show here; whoever truncates it while it is
/// mapped breaks the process that reads it.
package final class MappedFile: @unchecked Sendable {
    package let bytes: UnsafeRawBufferPointer

    /// - Parameter maximumBytes: a longer file is refused.
    package init(path: String, maximumBytes: Int = 1 << 32) throws(FileError) {
        func failure(_ what: String) -> FileError {
            FileError(path: path, reason: "\(what): \(String(cString: strerror(errno)))")
        }
        // O_NONBLOCK: opening a FIFO must not hang.
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure("cannot be opened") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("cannot be examined") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw FileError(path: path, reason: "is not a regular file")
        }
        let size = Int(status.st_size)
        guard size <= maximumBytes else {
            throw FileError(path: path, reason: "has \(size) bytes, at most \(maximumBytes) are read")
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

    /// The whole file as storage that keeps it mapped.
    package var storage: TensorStorage { TensorStorage(referring: bytes, owner: self) }

    /// Gives the memory of whole pages within `part` back: they are read again when they are needed.
    package func discard(_ part: UnsafeRawBufferPointer) {
        guard part.count >= 1 << 16, let start = part.baseAddress else { return }
        let page = max(UInt(sysconf(Int32(_SC_PAGESIZE))), 1)
        let first = (UInt(bitPattern: start) + page - 1) / page * page
        let end = (UInt(bitPattern: start) + UInt(part.count)) / page * page
        guard first < end else { return }
        madvise(UnsafeMutableRawPointer(bitPattern: first), Int(end - first), MADV_DONTNEED)
    }

    /// How many bytes after the end are readable: the rest of the last page.
    package var readableTail: Int {
        let page = max(Int(sysconf(Int32(_SC_PAGESIZE))), 1)
        return (page - bytes.count % page) % page
    }
}
