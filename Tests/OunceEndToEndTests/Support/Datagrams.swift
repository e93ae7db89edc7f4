import Foundation
import Glibc
import Synchronization

/// Collects what comes to a Unix datagram socket: the place of the service manager, or of journald.
///
/// A thread reads at once: Linux queues a few datagrams only, and then the sender waits.
final class Datagrams: Sendable {
    let path: String
    private let collected: Collected

    private final class Collected: Sendable {
        let datagrams = Mutex<[Data]>([])
        let isOver = Atomic(false)
    }

    init(path: String) throws {
        self.path = path
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0, withUnixAddress(path, { bind(descriptor, $0, $1) }) == 0 else {
            throw TestFailure("cannot bind \(path)")
        }
        var pause = timeval(tv_sec: 0, tv_usec: 50_000)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &pause, socklen_t(MemoryLayout<timeval>.size))
        let collected = Collected()
        self.collected = collected
        Thread {
            var buffer = [UInt8](repeating: 0, count: 1 << 17)
            while !collected.isOver.load(ordering: .relaxed) {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                if count > 0 { collected.datagrams.withLock { $0.append(Data(buffer[..<count])) } }
            }
            close(descriptor)
        }.start()
    }

    deinit { collected.isOver.store(true, ordering: .relaxed) }

    /// All so far, in order.
    var all: [Data] { collected.datagrams.withLock { $0 } }

    var texts: [String] { all.map { String(decoding: $0, as: UTF8.self) } }
}

func withUnixAddress<R>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8.prefix($0.count - 1))) }
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
}

/// A message of the log: from the journal with its fields, or a line of stderr behind its `<priority>`.
struct LogEntry {
    let fields: [String: String]

    var message: String { fields["MESSAGE"] ?? "" }
    var priority: Int { Int(fields["PRIORITY"] ?? "") ?? -1 }

    /// On stderr the fields stand behind the message.
    func has(_ name: String, _ value: String) -> Bool {
        fields[name].map { $0 == value } ?? message.contains(" \(name)=\(value)")
    }

    /// Journal export format: `NAME=value`, or the name, a length of eight bytes and the value (systemd.io).
    init(datagram: Data) {
        var fields: [String: String] = [:]
        var rest = datagram[...]
        while let end = rest.firstIndex(of: 10) {
            let line = rest[..<end]
            if let equals = line.firstIndex(of: UInt8(ascii: "=")) {
                fields[Self.text(line[..<equals])] = Self.text(line[(equals + 1)...])
                rest = rest[(end + 1)...]
            } else {
                let head = rest[(end + 1)...].prefix(8)
                let length = head.reversed().reduce(0) { $0 << 8 | Int($1) }
                guard head.count == 8, length < rest.count else { break }
                fields[Self.text(line)] = Self.text(rest[(end + 9)...].prefix(length))
                rest = rest[(end + 9)...].dropFirst(length + 1)
            }
        }
        self.fields = fields
    }

    init?(line: Substring) {
        guard line.first == "<", let close = line.firstIndex(of: ">") else { return nil }
        fields = [
            "PRIORITY": String(line[line.index(after: line.startIndex)..<close]),
            "MESSAGE": String(line[line.index(after: close)...]),
        ]
    }

    private static func text(_ bytes: Data) -> String { String(decoding: bytes, as: UTF8.self) }
}
