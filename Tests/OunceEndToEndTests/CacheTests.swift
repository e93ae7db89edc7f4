import Foundation
import Glibc
import Testing

extension EndToEndTests {
    @Suite(.serialized) struct CacheTests {
        @Test func compressedOnceAndRemadeWhenDamaged() throws {
            let daemon = try TestDaemon(models: [Vibration.settings(recipe: "int8-weights")])
            try daemon.waitUntilSettled()
            #expect(eventually { daemon.logged("compressed model vibration").count == 1 }, "\(daemon.story)")
            let name = try #require(daemon.artifacts.first)
            let path = daemon.state + "/artifacts/" + name
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            let key = try #require(daemon.logged("compressing model").first)
            #expect(key.has("OUNCE_KEY", String(name.dropLast(6))))
            #expect(try daemon.stop().status == 0)

            // Nothing has changed: nothing is compressed.
            try daemon.startAgain()
            #expect(try eventually { try daemon.isServing("vibration") })
            #expect(eventually { daemon.logged("compressing model").count == 1 })
            #expect(try daemon.stop().status == 0)

            let samples = Vibration.samples(1, seed: 5)
            let expected = try inferred(path, samples)
            var random = Random(seed: 6)
            for (round, damage) in [Data(), bytes.dropLast(), bytes.flipped(1, &random), Data("no artifact".utf8)]
                .enumerated()
            {
                try damage.write(to: URL(fileURLWithPath: path))
                try daemon.startAgain()
                #expect(try eventually { try daemon.isServing("vibration") }, "\(round): \(daemon.story)")
                #expect(eventually { daemon.logged("compressing model").count == round + 2 }, "\(round)")
                let reply = try daemon.curl(
                    "/v2/models/vibration/infer", body: InferRequest.json(Vibration.input, samples))
                #expect(reply.floats == expected.floats, "\(round)")
                #expect(daemon.artifacts == [name])
                #expect(try daemon.stop().status == 0)
            }
        }

        /// What is left of a killed daemon (its socket, a half file) does not hinder the next.
        @Test func killedAndStartedAgain() throws {
            let daemon = try TestDaemon(models: [Vibration.settings(recipe: "none")])
            try daemon.waitUntilSettled()
            let stray = daemon.state + "/artifacts/.half.ounce.1.tmp"
            for _ in 0..<3 {
                try daemon.kill()
                #expect(FileManager.default.fileExists(atPath: daemon.socket))
                try Data("half".utf8).write(to: URL(fileURLWithPath: stray))
                try daemon.startAgain()
                #expect(try eventually { try daemon.isServing("vibration") }, "\(daemon.story)")
                #expect(eventually { !FileManager.default.fileExists(atPath: stray) })
            }
            #expect(eventually { daemon.logged("compressing model").count == 1 })
            // A second daemon leaves the first one's socket alone.
            let second = try TestDaemon(folder: daemon.folder)
            #expect(try second.program.wait().status == 71)
            #expect(eventually { second.logged("listens on").count == 1 }, "\(second.story)")
            #expect(try daemon.curl("/v2/health/ready").status == 200)
            #expect(try daemon.stop().status == 0)
        }

        /// Killed while its child compresses; the next one compresses and serves.
        @Test func killedWhileCompressing() throws {
            let daemon = try TestDaemon(models: [Vibration.settings(recipe: "int8")])
            for _ in 0..<3 {
                #expect(eventually { daemon.logged("compressing model").count > 0 })
                try daemon.kill()
                try daemon.startAgain()
            }
            #expect(try eventually { try daemon.isServing("vibration") }, "\(daemon.story)")
            #expect(daemon.artifacts.filter { $0.hasSuffix(".ounce") && !$0.hasPrefix(".") }.count == 1)
            #expect(try daemon.stop().status == 0)
        }

        /// A newer reload ends the child that makes what nobody wants any more; SIGTERM ends the child and the daemon.
        @Test func supersededAndStoppedWhileCompressing() throws {
            let daemon = try TestDaemon(models: [Vibration.settings(recipe: "none")])
            try daemon.waitUntilSettled()
            try daemon.rewrite(models: [Vibration.settings(recipe: "int8")])
            let first = try RunningProgram(Programs.ounce, ["reload", "--wait", "--socket", daemon.socket])
            #expect(eventually { daemon.logged("compressing model").count == 2 })
            try daemon.rewrite(models: [Vibration.settings(recipe: "none")])
            let second = try daemon.reload()
            #expect(second.status == 0, "\(second.error)")
            // Whoever waited for the first is answered with the second.
            let ending = try first.wait()
            #expect(ending.status == 0, "\(ending.error)")
            #expect(try daemon.model("vibration")["recipe"] as? String == "none")

            try daemon.rewrite(models: [Vibration.settings(recipe: "int8-weights")])
            daemon.program.send(SIGHUP)
            #expect(eventually { daemon.logged("compressing model").count == 3 })
            #expect(try daemon.stop().status == 0)
            #expect(daemon.artifacts.allSatisfy { $0.hasSuffix(".ounce") }, "\(daemon.artifacts)")
            #expect(Folder.names(in: daemon.state + "/work").isEmpty)
        }

        /// `auto` measures every recipe; the status shows what it found.
        @Test func autoChooses() throws {
            let line =
                "  - {name: vibration, source: \(Vibration.model), recipe: auto, accuracy: {metric: top1, max_drop: 1.0}, "
                + "data: {calibration: \(Vibration.calibration), validation: \(Vibration.validation)}}"
            let daemon = try TestDaemon(models: [line])
            try daemon.waitUntilSettled()
            let model = try daemon.model("vibration")
            let report = try #require(model["report"] as? [String: Any], "\(daemon.story)")
            let candidates = report["candidates"] as? [[String: Any]] ?? []
            let tried = Set(candidates.compactMap { $0["recipe"] as? String })
            #expect(tried.isSuperset(of: ["none", "int8", "int8-weights", "tiny", "tiny-trained"]))
            // What trains is for those who give samples to train with.
            let trained = candidates.first { $0["recipe"] as? String == "tiny-trained" }
            #expect((trained?["refusal"] as? String)?.contains("train") == true)
            #expect(report["recipe"] as? String == model["recipe"] as? String)
            let accuracy = ["before", "after"].compactMap { name in
                ((report[name] as? [String: Any])?["accuracy"] as? [String: Any])?["value"] as? Double
            }
            #expect(accuracy.count == 2 && accuracy[1] >= accuracy[0] - 0.01)
            // The status' figure is what `ounce eval` finds.
            let artifact = daemon.state + "/artifacts/" + (daemon.artifacts.first ?? "")
            let counted = try ounce("eval", artifact, "--data", Vibration.validation, "--json")
            #expect(abs((counted.json["value"] as? Double ?? -1) - accuracy[1]) < 1e-9)
            #expect(try daemon.stop().status == 0)
        }

        /// `data.training` goes to the child, and other samples to train with make another artifact.
        @Test func trainsWithTheGivenSamples() throws {
            let folder = try Folder()
            let samples = folder.file("train.npz")
            try FileManager.default.copyItem(atPath: Vibration.calibration, toPath: samples)
            let line =
                "  - {name: vibration, source: \(Vibration.model), "
                + "recipe: [quantize: {weights: int4, fine_tune: {epochs: 1}}], "
                + "data: {calibration: \(Vibration.calibration), training: \(samples)}}"
            let daemon = try TestDaemon(models: [line])
            try daemon.waitUntilSettled()
            let report = try #require(daemon.model("vibration")["report"] as? [String: Any], "\(daemon.story)")
            let steps = report["steps"] as? [[String: Any]] ?? []
            #expect((steps.first?["note"] as? String)?.contains("trained on the grid") == true, "\(steps)")
            #expect(daemon.logged("compressing model").count == 1)
            try FileManager.default.removeItem(atPath: samples)
            try FileManager.default.copyItem(atPath: Vibration.validation, toPath: samples)
            #expect(try daemon.reload().status == 0)
            #expect(eventually { daemon.logged("compressing model").count == 2 })
            #expect(try daemon.stop().status == 0)
        }

        /// A child that may not have the memory fails its model only, and says why.
        @Test func childOutOfMemory() throws {
            let artifact = try Vibration.artifact("int8")
            let models = [
                "  - {name: ready, artifact: \(artifact)}", Vibration.settings(name: "starved", recipe: "int8"),
            ]
            let daemon = try TestDaemon(models: models, more: "compress: {memory: 1MiB}")
            try daemon.waitUntilSettled()
            let starved = try daemon.model("starved")
            #expect(starved["state"] as? String == "failed")
            let reason = starved["reason"] as? String ?? ""
            #expect(reason.contains("memory") && reason.contains("compress"), "\(reason)")
            #expect(eventually { daemon.logged("was not compressed").first?.has("OUNCE_MODEL", "starved") == true })
            // Only the copy of the ready one.
            let ready = try #require(try daemon.model("ready")["version"] as? String)
            #expect(daemon.artifacts.map { String($0.prefix(12)) } == [ready])
            let request = InferRequest.json(Vibration.input, Vibration.samples(1, seed: 7))
            #expect(try daemon.curl("/v2/models/ready/infer", body: request).status == 200)
            let refused = try daemon.curl("/v2/models/starved/infer", body: request)
            #expect(refused.status == 503)
            #expect(refused.error.contains("memory"))
            #expect(try daemon.curl("/v2/health/ready").status == 503)

            // With the memory, a reload mends it.
            try daemon.rewrite(models: models)
            let reload = try daemon.reload()
            #expect(reload.status == 0, "\(reload.error)")
            #expect(try daemon.curl("/v2/models/starved/infer", body: request).status == 200)
            #expect(try daemon.stop().status == 0)
        }
    }
}

extension TestDaemon {
    /// Whether it answers, and serves the model.
    func isServing(_ model: String) throws -> Bool {
        guard program.isRunning else { throw TestFailure("ounced ended early: \(story)") }
        return (try? curl("/v2/models/\(model)/ready").status) == 200
    }
}

extension Data {
    /// With `count` bits flipped.
    func flipped(_ count: Int, _ random: inout Random) -> Data {
        var bytes = self
        for _ in 0..<count {
            let index = Int.random(in: 0..<bytes.count, using: &random)
            bytes[bytes.startIndex + index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        }
        return bytes
    }
}
