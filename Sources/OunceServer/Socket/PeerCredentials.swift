import Glibc
import NIOCore

/// Who is at the other end of a Unix socket, as of its connect (SO_PEERCRED, unix(7)).
enum PeerCredentials {
    /// The kernel's `struct ucred`.
    private struct Credentials {
        var process: Int32 = 0
        var user: UInt32 = .max
        var group: UInt32 = .max
    }

    /// Whether the peer may command the daemon: root or the daemon's own user. The answer comes on the event loop.
    static func check(_ channel: any Channel, _ answer: @escaping @Sendable (Bool) -> Void) {
        guard let provider = channel as? any SocketOptionProvider else { return answer(false) }
        let credentials: EventLoopFuture<Credentials> = provider.unsafeGetSocketOption(
            level: .socket, name: .init(rawValue: SO_PEERCRED))
        credentials.whenComplete { result in
            let user = (try? result.get())?.user
            answer(user == 0 || user == geteuid())
        }
    }
}
