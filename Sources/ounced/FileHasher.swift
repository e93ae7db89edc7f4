import Crypto
import Glibc
import OunceRuntime
import OunceSystem
import Synchronization

/// SHA-256 of files, remembered for as long as device, inode, size and times stay the same.
final class FileHasher: Sendable {
    private struct Stamp: Hashable {
        let device: UInt
        let inode: UInt
        let size: Int
        let modified: [Int]

        init(_ status: stat) {
            device = UInt(status.st_dev)
            inode = UInt(status.st_ino)
            size = Int(status.st_size)
            modified = [
                Int(status.st_mtim.tv_sec), Int(status.st_mtim.tv_nsec), Int(status.st_ctim.tv_sec),
                Int(status.st_ctim.tv_nsec),
            ]
        }
    }

    private let known = Mutex<[String: (stamp: Stamp, hash: String)]>([:])

    /// Lower-case hexadecimal.
    func hash(of path: String) throws(SystemError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw SystemError(.call, "cannot read '\(path)'", errno: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw SystemError(.call, "'\(path)' is no regular file")
        }
        let stamp = Stamp(status)
        if let entry = known.withLock({ $0[path] }), entry.stamp == stamp { return entry.hash }
        var hash = SHA256()
        try Self.read(descriptor, path) { (chunk) throws(SystemError) in hash.update(data: chunk) }
        let text = hexadecimal(hash.finalize())
        known.withLock { $0[path] = (stamp, text) }
        return text
    }

    /// Copies a file whole or not at all.
    ///
    /// - Throws: where its hash is not (any longer) the expected one.
    static func copy(_ path: String, to copy: String, expecting expected: String) throws(SystemError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw SystemError(.call, "cannot read '\(path)'", errno: errno) }
        defer { close(descriptor) }
        try AtomicFile.write(to: copy, mode: 0o600) { (put) throws(SystemError) in
            var hash = SHA256()
            try read(descriptor, path) { (chunk) throws(SystemError) in
                hash.update(data: chunk)
                try put(chunk)
            }
            guard hexadecimal(hash.finalize()) == expected else {
                throw SystemError(.call, "'\(path)' changed while it was read; reload once it is whole")
            }
        }
    }

    private static func read(
        _ descriptor: Int32, _ path: String, _ take: (ArraySlice<UInt8>) throws(SystemError) -> Void
    ) throws(SystemError) {
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw SystemError(.call, "cannot read '\(path)'", errno: errno) }
            if count == 0 { return }
            try take(chunk[..<count])
        }
    }

    /// Of texts, each kept apart from the next by its length.
    static func hash(of parts: [String]) -> String {
        var hash = SHA256()
        for part in parts { hash.update(data: Array("\(part.utf8.count):\(part)".utf8)) }
        return hexadecimal(hash.finalize())
    }
}
