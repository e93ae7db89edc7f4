import Glibc

/// Opens and reads regular files of bounded size.
enum FileInput {
    /// - Returns: an open descriptor, which the caller closes, and the size in bytes.
    static func open(path: String, maximumBytes: Int) throws(FormatError) -> (descriptor: Int32, size: Int) {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FormatError(.io, "\(path): cannot be opened: \(lastError())") }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let reason = lastError()
            close(descriptor)
            throw FormatError(.io, "\(path): cannot be examined: \(reason)")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw FormatError(.io, "\(path): is not a regular file")
        }
        let size = Int(status.st_size)
        guard size <= maximumBytes else {
            close(descriptor)
            throw FormatError(.limit, "\(path): has \(size) bytes, at most \(maximumBytes) are read")
        }
        return (descriptor, size)
    }

    /// The whole content of the file at `path`.
    static func read(path: String, maximumBytes: Int) throws(FormatError) -> [UInt8] {
        let (descriptor, size) = try open(path: path, maximumBytes: maximumBytes)
        defer { close(descriptor) }
        var failure: String?
        let content = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let got = Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, size - count)
                if got < 0, errno == EINTR { continue }
                guard got > 0 else {
                    failure = got == 0 ? "it became shorter" : lastError()
                    return
                }
                count += got
            }
        }
        if let failure { throw FormatError(.io, "\(path): cannot be read: \(failure)") }
        return content
    }

    static func lastError() -> String { String(cString: strerror(errno)) }
}
