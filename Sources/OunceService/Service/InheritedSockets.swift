import CSystemd
import Glibc
import OunceSystem

/// Sockets that the service manager opened for this process (sd_listen_fds(3)).
package enum InheritedSockets {
    /// The descriptor passed under `name` (`FileDescriptorName=` of the socket unit).
    ///
    /// It belongs to the service manager as well: close it, but never shut it down or unlink its path.
    ///
    /// - Returns: nil where none of that name was passed.
    /// - Throws: `.inheritedSocket` where it is no listening Unix stream socket, or more than one bears the name.
    package static func unixListener(named name: String) throws(SystemError) -> Int32? {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(0, &names)
        guard count >= 0 else {
            throw SystemError(
                .inheritedSocket, "the descriptors that the service manager passed cannot be read", errno: -count)
        }
        defer {
            for index in 0..<Int(count) { free(names?[index]) }
            free(names)
        }
        // SD_LISTEN_FDS_START is 3.
        let found = (0..<Int(count)).filter { names?[$0].map { String(cString: $0) } == name }.map { Int32($0 + 3) }
        guard let descriptor = found.first else { return nil }
        guard found.count == 1 else {
            throw SystemError(
                .inheritedSocket, "\(found.count) sockets named '\(name)' were passed; keep one in the socket unit")
        }
        guard sd_is_socket_unix(descriptor, Int32(SOCK_STREAM.rawValue), 1, nil, 0) > 0 else {
            throw SystemError(
                .inheritedSocket,
                "the socket named '\(name)' does not listen on a Unix stream; use ListenStream=/path in the socket unit"
            )
        }
        return descriptor
    }
}
