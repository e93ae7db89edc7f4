import Glibc

/// A file in memory, for what reads files by path only.
final class MemoryFile {
    private let descriptor: Int32
    var path: String { "/proc/self/fd/\(descriptor)" }

    init(_ bytes: [UInt8]) {
        var path = Array("/dev/shm/ounce-fuzz-XXXXXX".utf8CString)
        descriptor = mkstemp(&path)
        unlink(path)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress?.advanced(by: written), $0.count - written, off_t(written))
            }
            guard count > 0 else { break }
            written += count
        }
        check(written == bytes.count)
    }

    deinit { close(descriptor) }
}
