import Foundation
import Glibc
import OunceGraph
import OunceRuntime
import Testing

@testable import OunceServer

/// Requests that share a model's states, as curl and tritonclient send them.
@Suite struct SequenceTests {
    /// `y = total`, where total is the sum of all x of the stream.
    private static func sums(version: String = "v1", memoryLimit: Int? = nil) throws -> ModelVersion {
        var graph = Graph(name: "sums")
        let type = TensorType(.float32, [1, 2])
        let x = graph.add(Value(name: "x", type: type))
        let total = graph.add(Value(name: "total", type: type))
        graph.inputs = [x, total]
        let next = try graph.append(.binary(.add, .none), [total, x], name: "next")
        let y = try graph.append(.unary(.negate), [next], name: "y")
        graph.outputs = [y, next]
        graph.initialStates = [try #require(Tensor([100, 200] as [Float], shape: [1, 2]))]
        let model = try Model(graph: graph, options: RuntimeOptions(memoryLimit: memoryLimit))
        return ModelVersion(
            name: "sums", version: version, model: model,
            details: .init(
                key: "abc", profile: "auto", recipe: "int8", report: nil, artifactBytes: 10, latencyMicroseconds: 7))
    }

    private func server(_ limits: SequenceLimits = SequenceLimits()) throws -> TestServer {
        let server = try TestServer(sequences: limits)
        server.store.swap(try Self.sums())
        return server
    }

    /// `y` of one request, or the error.
    private func ask(_ server: TestServer, _ x: [Float], _ parameters: String? = nil) throws -> (y: [Double], Curl) {
        try ask(server.path, x, parameters)
    }

    private func ask(_ path: String, _ x: [Float], _ parameters: String?) throws -> (y: [Double], Curl) {
        let more = parameters.map { ",\"parameters\":{\($0)}" } ?? ""
        let body = "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":\(x)}]\(more)}"
        let reply = try Curl(path, "/v2/models/sums/infer", body: Data(body.utf8))
        let output = (reply.object["outputs"] as? [[String: Any]])?.first
        return (output?["data"] as? [Double] ?? [], reply)
    }

    @Test func sequencesKeepTheirStatesApart() throws {
        let server = try server()
        let start = "\"sequence_start\":true"
        #expect(try ask(server, [1, 2], "\"sequence_id\":7,\(start)").y == [-101, -202])
        #expect(try ask(server, [5, 5], "\"sequence_id\":\"7\",\(start)").y == [-105, -205])
        #expect(try ask(server, [1, 2], "\"sequence_id\":7").y == [-102, -204])
        // What stands alone leaves nothing behind.
        #expect(try ask(server, [9, 9]).y == [-109, -209])
        #expect(try ask(server, [9, 9], "\"sequence_id\":0").y == [-109, -209])
        #expect(try ask(server, [9, 9], "\"sequence_id\":\"\"").y == [-109, -209])
        #expect(try ask(server, [5, 5], "\"sequence_id\":\"7\"").y == [-110, -210])
        #expect(try ask(server, [1, 2], "\"sequence_id\":7,\"sequence_end\":true").y == [-103, -206])
        #expect(try ask(server, [1, 2], "\"sequence_id\":7").1.status == 400)
        // A start in the middle starts anew.
        #expect(try ask(server, [1, 1], "\"sequence_id\":\"7\",\(start)").y == [-101, -201])
        let alone = "\"sequence_id\":18446744073709551615,\(start),\"sequence_end\":true"
        #expect(try ask(server, [1, 1], alone).y == [-101, -201])
        #expect(try ask(server, [1, 1], "\"sequence_id\":18446744073709551615").1.status == 400)
    }

    @Test func whatIsWrongIsSaid() throws {
        let server = try server()
        let unknown = try ask(server, [1, 2], "\"sequence_id\":3").1
        #expect(unknown.status == 400)
        #expect(unknown.error.contains("sequence 3") && unknown.error.contains("sequence_start"))
        for wrong in [
            "\"sequence_id\":-1", "\"sequence_id\":1.5", "\"sequence_id\":true", "\"sequence_id\":18446744073709551616",
            "\"sequence_id\":\"\(String(repeating: "a", count: 129))\"", "\"sequence_id\":1,\"sequence_start\":1",
            "\"sequence_start\":true", "\"sequence_end\":true", "\"sequence_id\":[1]",
        ] {
            let reply = try ask(server, [1, 2], wrong).1
            #expect(reply.status == 400 && !reply.error.isEmpty, "\(wrong)")
        }
        // A start that fails starts nothing.
        let failed = try ask(server, [1, 2, 3], "\"sequence_id\":5,\"sequence_start\":true").1
        #expect(failed.status == 400)
        #expect(try ask(server, [1, 2], "\"sequence_id\":5").1.status == 400)
        // A request that fails leaves the sequence as it was.
        #expect(try ask(server, [1, 1], "\"sequence_id\":6,\"sequence_start\":true").y == [-101, -201])
        #expect(try ask(server, [1], "\"sequence_id\":6").1.status == 400)
        #expect(try ask(server, [1, 1], "\"sequence_id\":6").y == [-102, -202])
    }

    @Test func theLeastRecentlyUsedGivesWay() throws {
        var limits = SequenceLimits()
        limits.maximum = 2
        let server = try server(limits)
        for id in [1, 2] { _ = try ask(server, [0, 0], "\"sequence_id\":\(id),\"sequence_start\":true") }
        #expect(try ask(server, [0, 0], "\"sequence_id\":1").1.status == 200)
        #expect(try ask(server, [0, 0], "\"sequence_id\":3,\"sequence_start\":true").1.status == 200)
        #expect(try ask(server, [0, 0], "\"sequence_id\":2").1.status == 400)
        #expect(try ask(server, [0, 0], "\"sequence_id\":1").1.status == 200)
        #expect(try ask(server, [0, 0], "\"sequence_id\":3").1.status == 200)
    }

    @Test func idleSequencesAreOver() throws {
        var limits = SequenceLimits()
        limits.idle = .milliseconds(150)
        let server = try server(limits)
        #expect(try ask(server, [0, 0], "\"sequence_id\":1,\"sequence_start\":true").1.status == 200)
        usleep(300_000)
        #expect(try ask(server, [0, 0], "\"sequence_id\":1").1.status == 400)
    }

    @Test func aNewVersionKnowsNoSequences() throws {
        let server = try server()
        #expect(try ask(server, [0, 0], "\"sequence_id\":1,\"sequence_start\":true").1.status == 200)
        server.store.swap(try Self.sums(version: "v2"))
        let reply = try ask(server, [0, 0], "\"sequence_id\":1").1
        #expect(reply.status == 400 && reply.error.contains("reload"))
    }

    @Test func memoryBoundsSequences() throws {
        let room = try Self.sums().model.memoryBytes
        let server = try server()
        server.store.swap(try Self.sums(memoryLimit: room + 20))
        // Each takes 8 bytes.
        for id in [1, 2, 3] {
            #expect(try ask(server, [0, 0], "\"sequence_id\":\(id),\"sequence_start\":true").1.status == 200)
        }
        #expect(try ask(server, [0, 0], "\"sequence_id\":1").1.status == 400)
        #expect(try ask(server, [0, 0], "\"sequence_id\":3").1.status == 200)
        server.store.swap(try Self.sums(memoryLimit: room + 7))
        #expect(try ask(server, [0, 0], "\"sequence_id\":1,\"sequence_start\":true").1.status == 503)
    }

    @Test func metadataTellsOfStates() throws {
        let server = try server()
        let parameters = try Curl(server.path, "/v2/models/sums").object["parameters"] as? [String: Any]
        #expect(parameters?["stateful"] as? Bool == true)
        #expect(try Curl(server.path, "/v2/models/echo").object["parameters"] == nil)
        #expect((try Curl(server.path, "/v2").object["extensions"] as? [String])?.contains("sequence") == true)
        // A model without states gives the same in any sequence.
        let body = """
            {"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}],"parameters":{"sequence_id":9}}
            """
        #expect(try Curl(server.path, "/v2/models/echo/infer", body: Data(body.utf8)).status == 200)
    }

    @Test func requestsOfOneSequenceWaitForEachOther() throws {
        var limits = ServerLimits()
        limits.workers = 4
        let server = try TestServer(limits: limits)
        server.store.swap(try Self.sums())
        _ = try ask(server, [0, 0], "\"sequence_id\":1,\"sequence_start\":true")
        let path = server.path
        DispatchQueue.concurrentPerform(iterations: 40) { _ in
            _ = try? ask(path, [1, 2], "\"sequence_id\":1")
        }
        #expect(try ask(server, [0, 0], "\"sequence_id\":1").y == [-140, -280])
    }

    @Test func tritonclientKeepsSequences() throws {
        guard let python = ProcessInfo.processInfo.environment["OUNCE_TRITON_PYTHON"] else {
            return print("skipped: OUNCE_TRITON_PYTHON does not name a Python with tritonclient")
        }
        let server = try server()
        let docs = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs").path
        let script = """
            import sys; sys.path.insert(0, sys.argv[1])
            import numpy, tritonclient_unix, tritonclient.http as triton
            client = tritonclient_unix.connect(sys.argv[2])
            def ask(**sequence):
                x = triton.InferInput("x", [1, 2], "FP32")
                x.set_data_from_numpy(numpy.ones((1, 2), "f4"))
                return client.infer("sums", [x], **sequence).as_numpy("y").tolist()
            print(ask(sequence_id=5, sequence_start=True), ask(sequence_id="five", sequence_start=True))
            print(ask(sequence_id=5), ask(), ask(sequence_id=5, sequence_end=True))
            try: ask(sequence_id=5)
            except triton.InferenceServerException as error: print(error.status(), error.message())
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = ["-c", script, docs, server.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(output.contains("[[-101.0, -201.0]] [[-101.0, -201.0]]\n"), "\(output)")
        #expect(output.contains("[[-102.0, -202.0]] [[-101.0, -201.0]] [[-103.0, -203.0]]\n"), "\(output)")
        #expect(output.contains("sequence_start"), "\(output)")
    }
}
