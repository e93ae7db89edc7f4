import Glibc

/// Why a call to the daemon failed, and how to mend it.
package struct ClientError: Error, Sendable, CustomStringConvertible {
    package let message: String
    init(_ message: String) { self.message = message }
    package var description: String { message }
}

/// Sends single requests to a daemon over its Unix socket. Blocks.
package struct UnixHTTPClient: Sendable {
    static let maxReply = 64 << 20
    static let maxHead = 64 << 10

    package let path: String
    /// For each wait for the daemon; nil: none.
    package let timeout: Duration?

    package init(path: String, timeout: Duration? = .seconds(30)) {
        self.path = path
        self.timeout = timeout
    }

    package struct Reply: Sendable {
        package let status: Int
        package let body: [UInt8]
    }

    package func get(_ target: String) throws(ClientError) -> Reply { try send("GET", target, []) }

    package func post(_ target: String, _ body: [UInt8] = []) throws(ClientError) -> Reply {
        try send("POST", target, body)
    }

    private func send(_ method: String, _ target: String, _ body: [UInt8]) throws(ClientError) -> Reply {
        guard path.utf8.count < 108 else { throw ClientError("the socket's path has more than 107 bytes: '\(path)'") }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure("cannot make a socket") }
        defer { close(descriptor) }
        guard withUnixAddress(path, { connect(descriptor, $0, $1) }) == 0 else {
            throw failure("cannot reach ounced at '\(path)'; is it running, and may you use its socket?")
        }
        if let timeout {
            var interval = timeval()
            interval.tv_sec = Int(timeout.components.seconds)
            interval.tv_usec = Int(timeout.components.attoseconds / 1_000_000_000_000)
            for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
                setsockopt(descriptor, SOL_SOCKET, option, &interval, socklen_t(MemoryLayout<timeval>.size))
            }
        }
        let head =
            "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + "Content-Length: \(body.count)\r\n\r\n"
        try write(Array(head.utf8) + body, to: descriptor)
        return try parse(try readAll(descriptor))
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32) throws(ClientError) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("cannot send to ounced") }
            sent += count
        }
    }

    /// Until the daemon closes, as `Connection: close` asks it to.
    private func readAll(_ descriptor: Int32) throws(ClientError) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("no answer from ounced") }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= Self.maxReply else {
                throw ClientError("the answer has more than \(Self.maxReply) bytes")
            }
        }
    }

    private func parse(_ bytes: [UInt8]) throws(ClientError) -> Reply {
        let separator: [UInt8] = [13, 10, 13, 10]
        let limit = min(bytes.count, Self.maxHead)
        guard limit >= 4, let end = (0...(limit - 4)).first(where: { bytes[$0..<$0 + 4].elementsEqual(separator) })
        else {
            throw ClientError("the answer is no HTTP; is '\(path)' the socket of ounced?")
        }
        let head = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
        let words = head.first?.split(separator: " ") ?? []
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            throw ClientError("the answer is no HTTP; is '\(path)' the socket of ounced?")
        }
        let body = Array(bytes[(end + 4)...])
        for line in head.dropFirst() where line.lowercased().hasPrefix("content-length:") {
            guard Int(line.dropFirst(15).drop { $0 == " " }) == body.count else {
                throw ClientError("the answer was cut off; ounced may have stopped")
            }
        }
        return Reply(status: status, body: body)
    }

    private func failure(_ message: String) -> ClientError {
        let number = errno
        if number == EAGAIN { return ClientError("no answer from ounced at '\(path)' within \(timeout ?? .zero)") }
        return ClientError("\(message) (\(String(cString: strerror(number))))")
    }
}
