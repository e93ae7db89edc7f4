import Glibc

/// A file in memory, for what reads files by path only.
final class MemoryFile {
    private let descriptor: Int32
    var path: String { "/proc/self/fd/\(descriptor)" }

    init(_ bytes: [UInt8]) {
        descriptor = memfd_create("fuzz", UInt32(MFD_CLOEXEC))
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(written)) }
            guard count > 0 else { break }
            written += count
        }
        check(written == bytes.count)
    }

    deinit { close(descriptor) }
}
