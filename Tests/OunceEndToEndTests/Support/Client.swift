import Foundation
import Glibc

/// A keep-alive HTTP connection: just enough to ask the same thing again and again.
final class Client {
    private let descriptor: Int32
    private var buffer = Data()

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0, withUnixAddress(path, { [descriptor] in connect(descriptor, $0, $1) }) == 0 else {
            throw TestFailure("cannot connect to \(path): \(errno)")
        }
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    func post(_ target: String, _ body: Data) throws -> (status: Int, body: Data) {
        try send(
            Data("POST \(target) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body)
        return try receive()
    }

    func send(_ bytes: Data) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw TestFailure("cannot send: \(errno)") }
            rest = rest.dropFirst(count)
        }
    }

    func receive() throws -> (status: Int, body: Data) {
        while true {
            if let end = buffer.firstRange(of: Data("\r\n\r\n".utf8)) {
                let head = String(decoding: buffer[..<end.lowerBound], as: UTF8.self).lowercased()
                let length = head.firstMatch(of: /content-length: *(\d+)/).flatMap { Int($0.1) } ?? 0
                let status = head.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
                if buffer.endIndex - end.upperBound >= length {
                    let body = Data(buffer[end.upperBound..<(end.upperBound + length)])
                    buffer = Data(buffer[(end.upperBound + length)...])
                    return (status, body)
                }
            }
            var chunk = [UInt8](repeating: 0, count: 65_536)
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { throw TestFailure("the connection ended before the answer: \(count) \(errno)") }
            buffer += chunk[..<count]
        }
    }
}
