import Glibc
import OunceGraph
import OunceRuntime
import Synchronization

@testable import OunceServer

/// Gives back its inputs as outputs, named `out_…`, after `factor` has multiplied what is FP32.
final class FakeModel: ServedModel {
    static let live = Atomic<Int>(0)

    let inputs: [TensorInfo]
    let factor: Float
    let delayMicroseconds: UInt32
    let memoryBytes = 4096

    var outputs: [TensorInfo] {
        inputs.map { TensorInfo(name: "out_\($0.name)", dtype: $0.dtype, shape: $0.shape) }
    }

    init(inputs: [TensorInfo], factor: Float = 1, delayMicroseconds: UInt32 = 0) {
        self.inputs = inputs
        self.factor = factor
        self.delayMicroseconds = delayMicroseconds
        FakeModel.live.wrappingAdd(1, ordering: .relaxed)
    }

    deinit { FakeModel.live.wrappingSubtract(1, ordering: .relaxed) }

    var states: [TensorInfo] { [] }

    func makeStream() throws(RuntimeError) -> StreamState { throw RuntimeError(.unsupported, "it has no states") }

    func run(_ tensors: [Tensor], stream: StreamState?) throws(RuntimeError) -> [Tensor] {
        if delayMicroseconds > 0 { usleep(delayMicroseconds) }
        var results: [Tensor] = []
        for tensor in tensors {
            if let floats = tensor.elements(Float.self) {
                guard let result = Tensor(floats.map { $0 * factor }, shape: tensor.shape) else {
                    throw RuntimeError(.invalidInput, "no such shape")
                }
                results.append(result)
            } else {
                results.append(tensor)
            }
        }
        return results
    }
}

/// A server on a socket in a folder of its own, with models that echo.
final class TestServer {
    let folder: String
    let path: String
    let store = ModelStore()
    let server: HTTPServer
    let socket: UnixSocket

    init(
        limits: ServerLimits = ServerLimits(), control: (any ServerControl)? = nil, mode: mode_t = 0o660,
        sequences: SequenceLimits = SequenceLimits()
    ) throws {
        var template = Array("/tmp/ounce-server-XXXXXX".utf8CString)
        _ = mkdtemp(&template)
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        path = folder + "/s"
        socket = try UnixSocket(path: path, mode: mode)
        server = try HTTPServer(
            socket: socket.descriptor,
            service: InferenceService(store: store, serverVersion: "1.2.3", sequenceLimits: sequences),
            control: control, limits: limits)
        store.swap(Self.echo())
        store.swap(Self.everyType())
    }

    deinit {
        server.shutdown(deadline: .seconds(2))
        socket.unlinkIfOurs()
        rmdir(folder)
    }

    static func echo(version: String = "v1", factor: Float = 1, delayMicroseconds: UInt32 = 0) -> ModelVersion {
        let input = TensorInfo(name: "x", dtype: .float32, shape: [-1, 3])
        return loaded(
            "echo", version, FakeModel(inputs: [input], factor: factor, delayMicroseconds: delayMicroseconds))
    }

    static func everyType() -> ModelVersion {
        loaded(
            "types", "v1",
            FakeModel(inputs: DType.allCases.map { TensorInfo(name: $0.name, dtype: $0, shape: [-1]) }))
    }

    static func loaded(_ name: String, _ version: String, _ model: FakeModel) -> ModelVersion {
        ModelVersion(
            name: name, version: version, model: model,
            details: .init(
                key: "abc", profile: "auto", recipe: "int8", report: nil, artifactBytes: 10, latencyMicroseconds: 7))
    }
}

/// Sends raw bytes and returns what comes back until the server closes or is silent for `patience`.
func exchange(_ path: String, _ bytes: [UInt8], patience: Duration = .milliseconds(300), closeWrite: Bool = false)
    -> [UInt8]
{
    let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    guard withUnixAddress(path, { connect(socket, $0, $1) }) == 0 else { return [] }
    var sent = 0
    while sent < bytes.count {
        let count = bytes.withUnsafeBytes {
            send(socket, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
        }
        if count <= 0 { break }
        sent += count
    }
    if closeWrite { shutdown(socket, Int32(SHUT_WR)) }
    var reply: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    var waiting = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    while poll(&waiting, 1, Int32(patience.nanoseconds / 1_000_000)) > 0 {
        let count = chunk.withUnsafeMutableBytes { read(socket, $0.baseAddress, $0.count) }
        if count <= 0 { break }
        reply += chunk[..<count]
    }
    return reply
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
