import Foundation
import Glibc
import Testing

extension EndToEndTests {
    /// One daemon from its start to its stop.
    @Suite(.serialized) struct ServingTests {
        @Test func startCompressServeStop() throws {
            let daemon = try TestDaemon(models: [Vibration.settings(recipe: "int8")])
            try daemon.waitUntilSettled()
            #expect(try daemon.model("vibration")["state"] as? String == "ready", "\(daemon.story)")
            #expect(eventually { daemon.logged("compressing model vibration").count == 1 })
            #expect(daemon.artifacts.count == 1)

            try metadata(daemon)
            try bits(daemon)
            try wrongRequests(daemon)
            try journal(daemon)
            try status(daemon)

            let ending = try daemon.stop()
            #expect(ending.status == 0, "\(daemon.story)")
            #expect(!FileManager.default.fileExists(atPath: daemon.socket))
            let told = daemon.notifications
            let ready = try #require(told.firstIndex { $0.contains("READY=1") })
            let stopping = try #require(told.firstIndex { $0.hasPrefix("STOPPING=1\nSTATUS=") })
            #expect(ready < stopping)
            #expect(told.contains { $0.contains("STATUS=Serving 1 of 1 models") }, "\(told)")
            #expect(told.contains { $0.contains("STATUS=") && $0.contains("vibration: compressing") }, "\(told)")
        }

        private func metadata(_ daemon: TestDaemon) throws {
            for path in ["live", "ready"] { #expect(try daemon.curl("/v2/health/\(path)").status == 200) }
            let server = try daemon.curl("/v2").json
            #expect(server["name"] as? String == "ounce")
            #expect((server["extensions"] as? [String])?.contains("binary_tensor_data") == true)
            let model = try daemon.curl("/v2/models/vibration").json
            let input = (model["inputs"] as? [[String: Any]])?.first
            #expect(input?["name"] as? String == Vibration.input)
            #expect(input?["datatype"] as? String == "FP32")
            #expect((input?["shape"] as? [Int])?.suffix(2) == [3, 256])
            let version = try #require((model["versions"] as? [String])?.first)
            #expect(daemon.artifacts.first?.hasPrefix(version) == true)
            #expect(try daemon.curl("/v2/models/vibration/versions/\(version)/ready").json["ready"] as? Bool == true)
        }

        /// JSON and binary answers are those of `ounce infer`, bit for bit.
        private func bits(_ daemon: TestDaemon) throws {
            let artifact = daemon.state + "/artifacts/" + (daemon.artifacts.first ?? "")
            let samples = Vibration.samples(3, seed: 1)
            let expected = try inferred(artifact, samples)
            #expect(expected.shape == [3, 4])
            #expect(expected.descr == "<f4")
            for index in 0..<3 {
                let values = Array(samples.floats[(index * 768)..<((index + 1) * 768)])
                let sample = NumPyArray(values, shape: Vibration.sampleShape)
                let wanted = Array(expected.floats[(index * 4)..<((index + 1) * 4)]).map(\.bitPattern)
                let json = try daemon.curl(
                    "/v2/models/vibration/infer", body: InferRequest.json(Vibration.input, sample))
                #expect(json.status == 200, "\(json.error)")
                #expect(json.floats.map(\.bitPattern) == wanted)
                let request = InferRequest.binary(Vibration.input, sample)
                let binary = try daemon.curl("/v2/models/vibration/infer", request.arguments, body: request.body)
                #expect(binary.status == 200, "\(binary.error)")
                #expect(binary.binaryFloats.map(\.bitPattern) == wanted)
            }
        }

        private func wrongRequests(_ daemon: TestDaemon) throws {
            let infer = "/v2/models/vibration/infer"
            let right = InferRequest.json(Vibration.input, Vibration.samples(1, seed: 2))
            let short = NumPyArray([1, 2, 3], shape: [1, 3, 1])
            var cases: [(target: String, arguments: [String], body: Data?, status: Int)] = [
                ("/v2/nothing", [], nil, 404),
                ("/v2/models/nothing", [], nil, 404),
                ("/v2/models/vibration/versions/nothing/infer", [], right, 404),
                (infer, ["-X", "DELETE"], nil, 405),
                (infer, [], Data("{".utf8), 400),
                (infer, [], Data("[]".utf8), 400),
                (infer, [], Data(#"{"inputs":[]}"#.utf8), 400),
                (infer, [], InferRequest.json("other", Vibration.samples(1, seed: 2)), 400),
                (infer, [], InferRequest.json(Vibration.input, short), 400),
                (infer, ["-H", "Inference-Header-Content-Length: 99999999"], right, 400),
                (infer, ["-H", "Inference-Header-Content-Length: -1"], right, 400),
                (infer, [], Data(repeating: UInt8(ascii: "["), count: 100_000), 400),
            ]
            var random = Random(seed: 3)
            for _ in 0..<10 {
                // Cut anywhere before its end, JSON is never whole.
                cases.append((infer, [], right.prefix(Int.random(in: 1..<right.count, using: &random)), 400))
            }
            for (target, arguments, body, status) in cases {
                let reply = try daemon.curl(target, arguments, body: body)
                let name: Comment = "\(target) \(arguments) \(body?.prefix(60).description ?? "")"
                #expect(reply.status == status, name)
                #expect(!reply.error.isEmpty, name)
            }
            #expect(try daemon.curl(infer, body: right).status == 200)
        }

        private func journal(_ daemon: TestDaemon) throws {
            let ready = try #require(daemon.logged("model vibration is ready").first)
            #expect(ready.has("OUNCE_MODEL", "vibration"))
            #expect(ready.has("OUNCE_RECIPE", "int8"))
            #expect(eventually { daemon.logged("serves on").first?.has("OUNCE_PROFILE", "test") == true })
            guard daemon.hasJournal else { return }
            #expect((ready.fields["OUNCE_LATENCY_US"].flatMap { Int($0) } ?? 0) > 0)
            // As docs/protocol.md lists them.
            #expect(ready.fields["MESSAGE_ID"] == "d654d26db38c4706b20dce476d8b60aa")
            #expect(ready.priority == 5)
            #expect(ready.fields["SYSLOG_IDENTIFIER"] == "ounced")
            #expect(daemon.log.allSatisfy { $0.fields["MESSAGE"] != nil && $0.fields["PRIORITY"] != nil })
        }

        private func status(_ daemon: TestDaemon) throws {
            let text = try ounce("status", "--socket", daemon.socket)
            #expect(text.status == 0)
            #expect(text.text.contains("vibration") && text.text.contains("ready") && text.text.contains("int8"))
            let json = try ounce("status", "--json", "--socket", daemon.socket)
            let model = (json.json["models"] as? [[String: Any]])?.first
            #expect(model?["recipe"] as? String == "int8")
            #expect((model?["requests"] as? Int ?? 0) >= 6)
            let nobody = try ounce("status", "--socket", daemon.folder.file("nobody.sock"))
            #expect(nobody.status == 1)
            #expect(nobody.error.contains("nobody.sock"))
        }

        /// A request of which half has come when SIGTERM does is answered; then the daemon ends with 0.
        @Test func stoppingDrains() throws {
            let artifact = try Vibration.artifact("int8")
            let daemon = try TestDaemon(models: ["  - {name: vibration, artifact: \(artifact)}"])
            try daemon.waitUntilSettled()
            let client = try Client(daemon.socket)
            let body = InferRequest.json(Vibration.input, Vibration.samples(1, seed: 4))
            let head =
                "POST /v2/models/vibration/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.count)\r\n\r\n"
            // Answered before, so that the connection is surely the server's.
            #expect(try client.post("/v2/models/vibration/infer", body).status == 200)
            try client.send(Data(head.utf8) + body.prefix(1000))
            // The server reads connections in order: once another is answered, the half is there too.
            #expect(try daemon.curl("/v2/health/live").status == 200)
            daemon.program.send(SIGTERM)
            #expect(eventually { daemon.notifications.contains { $0.contains("STOPPING=1") } })
            try client.send(body.dropFirst(1000))
            #expect(try client.receive().status == 200)
            let ending = try daemon.program.wait()
            #expect(ending.status == 0, "\(daemon.story)")
        }

        /// What is done to a ready artifact's file in place is not seen before the next reload, and then only if it is sound.
        @Test func artifactOverwrittenInPlace() throws {
            let folder = try Folder()
            let (first, second) = try (Vibration.artifact("none"), Vibration.artifact("int8"))
            let path = try folder.write(try Data(contentsOf: URL(fileURLWithPath: first)), to: "a.ounce")
            let daemon = try TestDaemon(models: ["  - {name: vibration, artifact: \(path)}"])
            try daemon.waitUntilSettled()
            func answer(_ batch: Int) throws -> [Float] {
                let samples = Vibration.samples(batch, seed: 15)
                return try daemon.curl(
                    "/v2/models/vibration/infer", body: InferRequest.json(Vibration.input, samples)
                ).floats
            }
            let (before, after) = try (
                inferred(first, Vibration.samples(4, seed: 15)).floats,
                inferred(second, Vibration.samples(4, seed: 15)).floats
            )
            #expect(try answer(4) == before)
            let bytes = try Data(contentsOf: URL(fileURLWithPath: second))
            for content in [Data(), bytes.dropLast(100)] {
                try Self.overwrite(path, content)
                // Another batch size, for which nothing is laid out yet.
                for batch in [4, content.isEmpty ? 2 : 3] {
                    #expect(try answer(batch) == Array(before.prefix(batch * 4)))
                }
                let refused = try daemon.reload()
                #expect(refused.status == 1)
                #expect((refused.text + refused.error).contains("a.ounce"), "\(refused.text)")
                #expect(try answer(4) == before)
            }
            try Self.overwrite(path, bytes)
            #expect(try daemon.reload().status == 0)
            #expect(try answer(4) == after)
            #expect(try daemon.stop().status == 0)
        }

        /// As cp(1) does: the file is cut to nothing, then filled.
        private static func overwrite(_ path: String, _ content: Data) throws {
            guard truncate(path, 0) == 0 else { throw TestFailure("cannot truncate \(path)") }
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            try handle.write(contentsOf: content)
            try handle.close()
        }

        @Test func wrongCommandLinesAndSettings() throws {
            #expect(try run(Programs.ounced, ["--nothing"]).status == 64)
            #expect(try run(Programs.ounced, ["--version"]).status == 0)
            let missing = try run(Programs.ounced, ["--config", "/nonexistent/ounce.yaml"])
            #expect(missing.status == 78)
            #expect(missing.error.contains("/nonexistent/ounce.yaml"))
            let folder = try Folder()
            try folder.write("profile: auto\nmodels:\n  - {name: a, sauce: b}\nserver: {socket: x}\n", to: "ounce.yaml")
            let daemon = try TestDaemon(folder: folder)
            #expect(try daemon.program.wait().status == 78)
            let isTold = eventually {
                daemon.notifications.contains { $0.hasPrefix("STATUS=") && $0.contains("ounce.yaml:3:") }
                    && !daemon.logged("ounce.yaml:3:").isEmpty
            }
            #expect(isTold)
            let entry = try #require(daemon.logged("ounce.yaml:3:").first)
            #expect(entry.has("OUNCE_LINE", "3") && entry.has("OUNCE_FILE", daemon.settings))
            #expect(entry.message.contains("source"), "the suggestion")
        }
    }
}
