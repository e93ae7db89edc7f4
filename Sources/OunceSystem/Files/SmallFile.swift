import Glibc

/// Whole small text files, such as those of /proc and /sys.
package enum SmallFile {
    /// - Returns: at most `limit` bytes as text; nil where the file cannot be read.
    package static func read(_ path: String, limit: Int = 1 << 20) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        // The size of files in /proc reads as 0, so read until the end.
        while bytes.count < limit {
            var chunk = [UInt8](repeating: 0, count: min(16_384, limit - bytes.count))
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
