import Glibc

/// Why a socket cannot be had, and how to mend it.
package struct SocketError: Error, Sendable, CustomStringConvertible {
    package let message: String

    init(_ message: String) { self.message = message }

    init(_ message: String, errno number: Int32) { self.message = "\(message): \(String(cString: strerror(number)))" }

    package var description: String { message }
}

/// A Unix stream socket at a path that this process bound.
package final class UnixSocket: Sendable {
    package let path: String
    /// Bound, not listening yet.
    package let descriptor: Int32
    private let identity: Identity

    /// Tells this socket from one that another process bound at the same path later. File systems use inode numbers
    /// again at once, hence the time.
    private struct Identity: Equatable {
        let device: dev_t
        let inode: ino_t
        let changed: Int
        let changedNanoseconds: Int

        init(_ status: stat) {
            device = status.st_dev
            inode = status.st_ino
            changed = status.st_ctim.tv_sec
            changedNanoseconds = status.st_ctim.tv_nsec
        }
    }

    /// Binds `path`. A socket that nobody listens on any more is replaced; a live one, and anything that is no socket,
    /// is left alone.
    ///
    /// - Parameters:
    ///   - mode: permission bits; in force before the first client can connect.
    ///   - group: name or number; nil: the process' own.
    package init(path: String, mode: mode_t, group: String? = nil) throws(SocketError) {
        let groupID = try group.map { (name) throws(SocketError) in try Self.groupID(name) }
        try Self.removeStale(path)
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw SocketError("cannot make a socket", errno: errno) }

        // Nobody may connect before mode and group are set; nobody can before the socket listens either.
        let mask = umask(0o177)
        let bound = withUnixAddress(path) { bind(socket, $0, $1) }
        let failure = errno
        umask(mask)
        guard bound == 0 else {
            close(socket)
            throw SocketError("cannot bind '\(path)'; its folder must exist and be writable", errno: failure)
        }
        var status = stat()
        guard groupID.map({ lchown(path, uid_t.max, $0) }) ?? 0 == 0, chmod(path, mode) == 0, lstat(path, &status) == 0
        else {
            let failure = errno
            close(socket)
            unlink(path)
            throw SocketError(
                "cannot set mode and group of '\(path)'; the daemon's user must be a member of the group",
                errno: failure)
        }
        self.path = path
        descriptor = socket
        identity = Identity(status)
    }

    /// Removes the path where it is still the socket that was bound here.
    package func unlinkIfOurs() {
        var status = stat()
        if lstat(path, &status) == 0, Identity(status) == identity { unlink(path) }
    }

    private static func removeStale(_ path: String) throws(SocketError) {
        guard path.utf8.count < 108, !path.isEmpty, !path.utf8.contains(0) else {
            throw SocketError("the socket's path must have 1 to 107 bytes: '\(path)'")
        }
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw SocketError("cannot look at '\(path)'", errno: errno)
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw SocketError("'\(path)' exists and is no socket; remove it, or choose another path")
        }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard probe >= 0 else { throw SocketError("cannot make a socket", errno: errno) }
        defer { close(probe) }
        if withUnixAddress(path, { connect(probe, $0, $1) }) == 0 || errno == EAGAIN {
            throw SocketError("somebody listens on '\(path)' already; stop it, or choose another path")
        }
        guard errno == ECONNREFUSED else { throw SocketError("cannot tell who owns '\(path)'", errno: errno) }
        guard unlink(path) == 0 || errno == ENOENT else {
            throw SocketError("cannot remove the stale socket '\(path)'", errno: errno)
        }
    }

    private static func groupID(_ name: String) throws(SocketError) -> gid_t {
        if let number = gid_t(name) { return number }
        var buffer = [CChar](repeating: 0, count: 65_536)
        var entry = group()
        var found: UnsafeMutablePointer<group>?
        guard getgrnam_r(name, &entry, &buffer, buffer.count, &found) == 0, let found else {
            throw SocketError("there is no group '\(name)'; create it, or name another in 'server'")
        }
        return found.pointee.gr_gid
    }
}

/// Calls `body` with the address of a path of at most 107 bytes.
package func withUnixAddress<R>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8.prefix($0.count - 1))) }
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}
