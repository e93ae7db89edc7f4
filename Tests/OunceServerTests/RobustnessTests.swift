import Foundation
import Glibc
import Testing

@testable import OunceServer

/// Broken requests get an error or a closed connection; the server lives on.
@Suite struct RobustnessTests {
    private static let seed: UInt64 = 20_260_731

    private static func request(_ body: [UInt8], jsonLength: Int? = nil, path: String = "/v2/models/echo/infer")
        -> [UInt8]
    {
        let extra = jsonLength.map { "Inference-Header-Content-Length: \($0)\r\n" } ?? ""
        let head =
            "POST \(path) HTTP/1.1\r\nHost: x\r\n\(extra)Content-Length: \(body.count)\r\nConnection: close\r\n\r\n"
        return Array(head.utf8) + body
    }

    private static var json: [UInt8] {
        Array(
            (#"{"id":"\u00e9","inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,-2.5e3,0.125]}],"#
                + #""outputs":[{"name":"out_x","parameters":{"binary_data":true}}]}"#).utf8)
    }

    private static var binary: (json: [UInt8], tensor: [UInt8]) {
        let json = #"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"parameters":{"binary_data_size":12}}]}"#
        return (Array(json.utf8), [UInt8](repeating: 7, count: 12))
    }

    private func isAlive(_ server: TestServer) -> Bool {
        text(exchange(server.path, Self.request(Self.json))).hasPrefix("HTTP/1.1 200")
    }

    /// Every prefix of a body that says how long it is decodes to an error.
    @Test func truncatedBodies() throws {
        let server = try TestServer()
        for length in 0..<Self.json.count {
            let reply = text(exchange(server.path, Self.request(Array(Self.json[..<length]))))
            #expect(reply.hasPrefix("HTTP/1.1 400"), "\(length): \(reply)")
        }
        let (json, tensor) = Self.binary
        for length in 0..<(json.count + tensor.count) {
            let body = Array((json + tensor)[..<length])
            let reply = text(exchange(server.path, Self.request(body, jsonLength: json.count)))
            #expect(reply.hasPrefix("HTTP/1.1 400"), "\(length): \(reply)")
        }
        #expect(isAlive(server))
    }

    /// A request cut off anywhere, with the client gone.
    @Test func truncatedRequests() throws {
        let server = try TestServer()
        let whole = Self.request(Self.json)
        for length in 0..<whole.count {
            _ = exchange(server.path, Array(whole[..<length]), patience: .milliseconds(50), closeWrite: true)
        }
        #expect(isAlive(server))
    }

    @Test func flippedBits() throws {
        var random = SplitMix(Self.seed)
        print("seed \(Self.seed)")
        let server = try TestServer()
        let (json, tensor) = Self.binary
        for round in 0..<1500 {
            var bytes =
                round.isMultiple(of: 2) ? Self.request(Self.json) : Self.request(json + tensor, jsonLength: json.count)
            let whole = round.isMultiple(of: 3)
            let start = whole ? 0 : bytes.count - Self.json.count + 20
            for _ in 0...Int(random.next() % 3) {
                let index = start + Int(random.next() % UInt64(bytes.count - start))
                bytes[index] ^= 1 << UInt8(random.next() % 8)
            }
            let reply = text(exchange(server.path, bytes, patience: .milliseconds(20), closeWrite: true))
            #expect(reply.isEmpty || reply.hasPrefix("HTTP/1."), "round \(round)")
            if !whole { #expect(!reply.contains(" 500 "), "round \(round): \(reply)") }
        }
        #expect(isAlive(server))
    }

    @Test func brokenHTTP() throws {
        let server = try TestServer()
        for garbage in [
            "\0\0\0\0", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "hello\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET /v2 HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "POST /v2 HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST /v2/models/echo/infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
            "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            let reply = text(exchange(server.path, Array(garbage.utf8), patience: .milliseconds(200)))
            #expect(reply.hasPrefix("HTTP/1.1 4") || reply.isEmpty, "\(garbage): \(reply)")
        }
        let long = "GET /v2/\(String(repeating: "a", count: 20_000)) HTTP/1.1\r\nHost: x\r\n\r\n"
        #expect(text(exchange(server.path, Array(long.utf8))).hasPrefix("HTTP/1.1 400"))
        let wide = "GET /v2 HTTP/1.1\r\nX: \(String(repeating: "a", count: 40_000))\r\n\r\n"
        #expect(text(exchange(server.path, Array(wide.utf8))).hasPrefix("HTTP/1.1 400"))
        let many = "GET /v2 HTTP/1.1\r\n" + (0..<200).map { "X\($0): 1\r\n" }.joined() + "\r\n"
        #expect(text(exchange(server.path, Array(many.utf8))).hasPrefix("HTTP/1.1 400"))
        #expect(isAlive(server))
    }

    @Test func bodiesThatAreTooLarge() throws {
        var limits = ServerLimits()
        limits.maxBody = 1000
        let server = try TestServer(limits: limits)
        let huge = "POST /v2/models/echo/infer HTTP/1.1\r\nContent-Length: 4000000000\r\n\r\n{"
        #expect(text(exchange(server.path, Array(huge.utf8))).hasPrefix("HTTP/1.1 413"))
        let chunk = "400\r\n" + String(repeating: " ", count: 1024) + "\r\n"
        let chunked =
            "POST /v2/models/echo/infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\(chunk)\(chunk)0\r\n\r\n"
        #expect(text(exchange(server.path, Array(chunked.utf8))).hasPrefix("HTTP/1.1 413"))
        // curl waits for 100 Continue with a body like this, and gets the refusal in its place.
        let refused = try Curl(
            server.path, "/v2/models/echo/infer", ["-H", "Expect: 100-continue"], body: Data(count: 2_000_000))
        #expect(refused.status == 413)
        let sent = try Curl(server.path, "/v2/models/echo/infer", ["-H", "Expect:"], body: Data(count: 2_000_000))
        #expect(sent.status == 413)
        #expect(isAlive(server))
    }

    @Test func chunkedBodies() throws {
        let server = try TestServer()
        let chunks = Self.json.map { "1\r\n\(Character(UnicodeScalar($0)))\r\n" }.joined()
        let chunked =
            "POST /v2/models/echo/infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\(chunks)0\r\n\r\n"
        #expect(text(exchange(server.path, Array(chunked.utf8))).hasPrefix("HTTP/1.1 200"))
    }

    @Test func slowClients() throws {
        var limits = ServerLimits()
        limits.requestTimeout = .milliseconds(200)
        limits.idleTimeout = .milliseconds(200)
        let server = try TestServer(limits: limits)
        let start = ContinuousClock.now
        let late = "POST /v2/models/echo/infer HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"
        #expect(text(exchange(server.path, Array(late.utf8), patience: .seconds(3))).hasPrefix("HTTP/1.1 408"))
        #expect(exchange(server.path, Array("GET /v2 HT".utf8), patience: .seconds(3)).isEmpty)
        #expect(ContinuousClock.now - start < .seconds(2.5))
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() throws {
        let server = try TestServer()
        server.store.swap(TestServer.echo(delayMicroseconds: 20_000))
        var bytes: [UInt8] = []
        for index in 0..<20 {
            // A slow one, then a fast one.
            let body = #"{"id":"r\#(index)","inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}"#
            bytes += "POST /v2/models/echo/infer HTTP/1.1\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8
            bytes += "GET /v2/models/m\(index) HTTP/1.1\r\n\r\n".utf8
        }
        let reply = text(exchange(server.path, bytes, patience: .seconds(1)))
        var rest = reply[...]
        for index in 0..<20 {
            for mark in ["\"id\":\"r\(index)\"", "no model 'm\(index)'"] {
                let range = rest.range(of: mark)
                #expect(range != nil, "\(mark)")
                if let range { rest = rest[range.upperBound...] }
            }
        }
    }

    @Test func tooManyConnections() throws {
        var limits = ServerLimits()
        limits.maxConnections = 2
        let server = try TestServer(limits: limits)
        let open = (0..<2).map { _ in socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0) }
        for descriptor in open { _ = withUnixAddress(server.path) { connect(descriptor, $0, $1) } }
        usleep(100_000)
        #expect(try Curl(server.path, "/v2").status == 503)
        for descriptor in open { close(descriptor) }
        usleep(100_000)
        #expect(try Curl(server.path, "/v2").status == 200)
    }

    @Test func tooMuchToDo() async throws {
        var limits = ServerLimits()
        limits.maxPending = 2
        let server = try TestServer(limits: limits)
        server.store.swap(TestServer.echo(delayMicroseconds: 200_000))
        let path = server.path
        let replies = await withTaskGroup(of: String.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    await blocking { text(exchange(path, Self.request(Self.json), patience: .seconds(3))) }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(replies.count { $0.hasPrefix("HTTP/1.1 200") } == 2)
        #expect(replies.count { $0.hasPrefix("HTTP/1.1 503") } == 2)
    }
}

struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

/// Runs blocking work outside the cooperative pool.
func blocking<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
    await withCheckedContinuation { continuation in Thread { continuation.resume(returning: body()) }.start() }
}
