import Foundation
import Glibc
import Synchronization
import Testing

@testable import OunceServer

@Suite(.serialized) struct SwapTests {
    /// Four clients without pause while the model is swapped 200 times: each reply is whole and of one version.
    @Test func swappingLosesNothing() async throws {
        var limits = ServerLimits()
        limits.workers = 2
        let server = try TestServer(limits: limits)
        server.store.swap(TestServer.echo(version: "v0", factor: 0))
        let path = server.path
        let isDone = Flag()
        let body = #"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}"#
        let results = await withTaskGroup(of: (good: Int, bad: [String]).self) { group in
            for _ in 0..<4 {
                group.addTask {
                    await blocking {
                        var good = 0
                        var bad: [String] = []
                        let client = UnixHTTPClient(path: path)
                        while !isDone.isSet {
                            let reply = try? client.post("/v2/models/echo/infer", Array(body.utf8))
                            let answer = reply.map { text($0.body) } ?? "nothing"
                            // "v7" multiplies by 7.
                            let factor = answer.firstMatch(of: /"model_version":"v(\d+)"/).flatMap { Float($0.1) } ?? -1
                            if answer.contains("[\(factor),\(2 * factor),\(3 * factor)]") {
                                good += 1
                            } else {
                                bad.append(answer)
                            }
                        }
                        return (good, bad)
                    }
                }
            }
            for version in 1...200 {
                server.store.swap(TestServer.echo(version: "v\(version)", factor: Float(version)))
                try? await Task.sleep(for: .milliseconds(3))
            }
            isDone.set()
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.flatMap(\.bad).isEmpty, "\(results.flatMap(\.bad).prefix(3))")
        #expect(results.allSatisfy { $0.good > 20 })
        print("replies: \(results.map(\.good))")
    }

    /// The old version is freed with its last lease, not before.
    @Test func leases() throws {
        let store = ModelStore()
        let old = FakeModel(inputs: [])
        let watched = Weak(old)
        func put(_ model: FakeModel, _ version: String) { store.swap(TestServer.loaded("m", version, model)) }
        put(old, "1")
        var lease: ModelVersion? = try store.lease("m").model
        put(FakeModel(inputs: []), "2")
        #expect(lease?.version == "1")
        #expect(try store.lease("m").model.version == "2")
        _ = consume old
        #expect(watched.model != nil)
        lease = nil
        #expect(watched.model == nil)
    }

    @Test func shutdownFinishesWhatIsUnderWay() async throws {
        let server = try TestServer()
        server.store.swap(TestServer.echo(delayMicroseconds: 300_000))
        let path = server.path
        let body = Array(#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}"#.utf8)
        async let reply = blocking { try? UnixHTTPClient(path: path).post("/v2/models/echo/infer", body) }
        try await Task.sleep(for: .milliseconds(100))
        server.server.shutdown(deadline: .seconds(5))
        #expect(await reply?.status == 200)
        #expect(throws: ClientError.self) { try UnixHTTPClient(path: path).get("/v2") }
    }
}

private struct Weak {
    private(set) weak var model: FakeModel?
    init(_ model: FakeModel) { self.model = model }
}

private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}
