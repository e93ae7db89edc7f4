import Glibc
import NIOCore
import OunceGraph
import OunceRuntime
import OunceServer

enum ServerFuzzing {
    /// Gives back its inputs as outputs.
    private final class Echo: ServedModel {
        let inputs: [TensorInfo]
        let memoryBytes = 0
        var outputs: [TensorInfo] { inputs }

        init(_ inputs: [TensorInfo]) { self.inputs = inputs }

        let states: [TensorInfo] = []

        func run(_ tensors: [Tensor], stream: StreamState?) throws(RuntimeError) -> [Tensor] { tensors }

        func makeStream() throws(RuntimeError) -> StreamState { throw RuntimeError(.unsupported, "it has no states") }
    }

    /// A model that takes a tensor of any type under the name of the type, one at a time: the one that the request has.
    private static func version(_ name: String, _ inputs: [TensorInfo]) -> ModelVersion {
        ModelVersion(
            name: name, version: "1", model: Echo(inputs),
            details: .init(
                key: "key", profile: "auto", recipe: "none", report: nil, artifactBytes: 1, latencyMicroseconds: 1))
    }

    private static let everyType = DType.allCases.map { dtype in
        version("m", [TensorInfo(name: "x", dtype: dtype, shape: [-1, -1])])
    }
    private static let service: InferenceService = {
        let store = ModelStore()
        for (version, dtype) in zip(everyType, DType.allCases) where dtype == .float32 { store.swap(version) }
        store.announce("l", "compressing")
        store.fail("f", reason: "no such file")
        return InferenceService(store: store, serverVersion: "0")
    }()

    // MARK: Bodies

    static func infer(_ bytes: [UInt8]) {
        guard bytes.count >= 2 else { return }
        let length = Int(bytes[0]) | Int(bytes[1]) << 8
        let body = ByteBuffer(bytes: bytes.dropFirst(2))
        for jsonLength in [length, nil] {
            guard let (request, format) = try? InferRequestDecoder.decode(body, jsonLength: jsonLength) else {
                continue
            }
            for version in everyType {
                guard let reply = try? service.run(request, on: version) else { continue }
                _ = InferReplyEncoder(reply, of: version, id: request.id, format: format, allocator: .init())
            }
        }
    }

    // MARK: Connections

    private static let path = "/tmp/ounce-fuzz-\(getpid())"
    private static let server: HTTPServer? = {
        var limits = ServerLimits()
        limits.maxBody = 1 << 14
        guard let socket = try? UnixSocket(path: path, mode: 0o600) else { return nil }
        let server = try? HTTPServer(socket: socket.descriptor, service: service, limits: limits)
        atexit { unlink(ServerFuzzing.path) }
        return server
    }()

    /// Sends the bytes and reads what is answered. Every other client waits a moment for answers before it ends its side.
    static func connect(_ bytes: [UInt8]) {
        let client = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(client) }
        check(server != nil && withUnixAddress(path) { Glibc.connect(client, $0, $1) } == 0)
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(client, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { break }
            sent += count
        }
        if bytes.count % 2 == 0 { drain(client, milliseconds: 2) }
        shutdown(client, Int32(SHUT_WR))
        check(drain(client, milliseconds: 5000))
    }

    /// Reads until the server closes. False: it was silent for so long.
    @discardableResult
    private static func drain(_ client: Int32, milliseconds: Int32) -> Bool {
        var waiting = pollfd(fd: client, events: Int16(POLLIN), revents: 0)
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while poll(&waiting, 1, milliseconds) > 0 {
            guard read(client, &chunk, chunk.count) > 0 else { return true }
        }
        return false
    }
}
