import Foundation
import Glibc
import Synchronization
import Testing

extension EndToEndTests {
    @Suite(.serialized) struct ReloadTests {
        static let reloads = 100
        static let clients = 4

        /// While clients ask without pause, reloads swap two recipes: every request is answered, with one of two answers.
        @Test(arguments: ["none", "int8-weights"]) func reloadsLoseNothing(other: String) throws {
            let recipes = ["int8", other]
            let samples = Vibration.samples(1, seed: 8)
            let answers = try recipes.map { try inferred(Vibration.artifact($0), samples).bytes }
            #expect(answers[0] != answers[1])
            let daemon = try TestDaemon(models: [Vibration.settings(recipe: recipes[0])])
            try daemon.waitUntilSettled()

            let request = InferRequest.binary(Vibration.input, samples).body
            let load = Load(socket: daemon.socket, request: request, clients: Self.clients, known: answers)
            // Half of them for each recipe's worth of settings; the first of each compresses.
            let count = other == "none" ? Self.reloads : 10
            for index in 1...count {
                let recipe = recipes[index % 2]
                try daemon.rewrite(models: [Vibration.settings(recipe: recipe)])
                let ending = try daemon.reload()
                #expect(ending.status == 0, "\(index): \(ending.error)")
                #expect(ending.text.contains("now serves \(recipe)"), "\(index): \(ending.text)")
            }
            let tally = load.finish()
            print("\(tally.counts.reduce(0, +)) requests during \(count) reloads: \(tally.counts)")
            #expect(tally.failures == [])
            #expect(tally.counts.allSatisfy { $0 > 0 })
            #expect(try daemon.model("vibration")["failures"] as? Int == 0)
            #expect(eventually { daemon.logged("compressing model").count == 2 })

            let told = daemon.notifications
            let reloading = told.filter { $0.hasPrefix("RELOADING=1\nMONOTONIC_USEC=") }
            #expect(reloading.count == count)
            let times = reloading.compactMap { $0.firstMatch(of: /MONOTONIC_USEC=(\d+)/).flatMap { Int($0.1) } }
            #expect(times == times.sorted() && Set(times).count == times.count)
            // Each RELOADING is followed by a READY before the next.
            let states = told.compactMap { $0.hasPrefix("RELOADING=1") ? "L" : $0.contains("READY=1") ? "R" : nil }
            #expect(states.joined() == "R" + String(repeating: "LR", count: count))
            #expect(try daemon.stop().status == 0)
        }

        @Test func unchangedSignalledAndBroken() throws {
            let daemon = try TestDaemon(models: [Vibration.settings(recipe: "none")])
            try daemon.waitUntilSettled()
            let version = try daemon.model("vibration")["version"] as? String

            let unchanged = try daemon.reload()
            #expect(unchanged.status == 0)
            #expect(unchanged.text.contains("nothing has changed"))
            #expect(eventually { daemon.logged("model vibration is ready").count == 1 })

            // By signal.
            try daemon.rewrite(models: [Vibration.settings(recipe: "int8")])
            let readyBefore = daemon.notifications.count { $0.contains("READY=1") }
            daemon.program.send(SIGHUP)
            #expect(eventually { daemon.notifications.count { $0.contains("READY=1") } > readyBefore })
            #expect(try daemon.model("vibration")["recipe"] as? String == "int8")
            let signalled = try daemon.model("vibration")["version"] as? String
            #expect(signalled != version)

            try broken(daemon, version: signalled)

            // A change that cannot be prepared leaves the version before it.
            let garbage = try daemon.folder.write("garbage", to: "garbage.onnx")
            try daemon.rewrite(models: ["  - {name: vibration, source: \(garbage), recipe: none}"])
            let failed = try daemon.reload()
            #expect(failed.status == 1)
            #expect((failed.error + failed.text).contains("garbage.onnx"), "\(failed.error)")
            #expect(try daemon.model("vibration")["version"] as? String == signalled)
            #expect((try daemon.model("vibration")["last_problem"] as? String)?.contains("garbage.onnx") == true)
            #expect(try daemon.curl("/v2/health/ready").status == 200)

            // Models come and go.
            try daemon.rewrite(models: [Vibration.settings(name: "second", recipe: "none")])
            #expect(try daemon.reload().status == 0)
            #expect(try daemon.models().keys.sorted() == ["second"])
            #expect(try daemon.curl("/v2/models/vibration").status == 404)
            #expect(try daemon.stop().status == 0)
        }

        private func broken(_ daemon: TestDaemon, version: String?) throws {
            let good = try String(contentsOfFile: daemon.settings, encoding: .utf8)
            let place = good.components(separatedBy: "\n").firstIndex { $0.hasPrefix("server:") }.map { $0 + 1 } ?? 0
            let texts = [
                good.replacingOccurrences(of: "server: {", with: "server: {sucket: 1, "),
                good.replacingOccurrences(of: "server: {", with: "server: ]"),
            ]
            for text in texts {
                try daemon.folder.write(text, to: "ounce.yaml")
                let entries = daemon.log.count
                let ending = try daemon.reload()
                #expect(ending.status == 1)
                let pattern = /ounce\.yaml:(\d+):(\d+):/
                let match = try #require(ending.error.firstMatch(of: pattern), "\(ending.error)")
                #expect(Int(match.1) == place, "\(ending.error)")
                #expect(ending.error.contains(daemon.settings))
                let refused = daemon.log.dropFirst(entries).filter { $0.message.contains("ounce.yaml:\(place):") }
                let entry = try #require(refused.first, "\(daemon.story)")
                #expect(entry.priority == 3)
                #expect(entry.has("OUNCE_FILE", daemon.settings))
                #expect(entry.has("OUNCE_LINE", String(match.1)) && entry.has("OUNCE_COLUMN", String(match.2)))
                #expect(daemon.notifications.last?.contains("READY=1") == true)
                #expect(daemon.notifications.last?.contains("nothing changed") == true)
                #expect(try daemon.model("vibration")["version"] as? String == version)
                #expect(try daemon.curl("/v2/health/ready").status == 200)
            }
            // Mended again, as if nothing had been.
            try daemon.folder.write(good, to: "ounce.yaml")
            #expect(try daemon.reload().text.contains("nothing has changed"))
        }
    }
}

/// Clients that ask the same thing without pause until they are told to stop.
private final class Load: Sendable {
    struct Tally {
        /// Of each known answer.
        var counts: [Int]
        var failures: [String] = []
    }

    private let tally: Mutex<Tally>
    private let isStopped = Atomic(false)
    private let running = DispatchGroup()

    init(socket: String, request: Data, clients: Int, known: [Data]) {
        tally = Mutex(Tally(counts: known.map { _ in 0 }))
        let length = request.firstRange(of: Data("}}".utf8)).map { _ in Self.headLength(request) } ?? 0
        let head =
            "POST /v2/models/vibration/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(request.count)\r\n"
            + "Inference-Header-Content-Length: \(length)\r\n\r\n"
        let message = Data(head.utf8) + request
        for number in 0..<clients {
            running.enter()
            Thread { [self] in
                ask(socket, message, known, reconnects: number % 2 == 1)
                running.leave()
            }.start()
        }
    }

    /// The JSON ends where the tensor's 3072 bytes begin.
    private static func headLength(_ request: Data) -> Int { request.count - 3 * 256 * 4 }

    /// - Parameter reconnects: a new connection for each request.
    private func ask(_ socket: String, _ message: Data, _ known: [Data], reconnects: Bool) {
        do {
            var client = try Client(socket)
            while !isStopped.load(ordering: .relaxed) {
                if reconnects { client = try Client(socket) }
                try client.send(message)
                let reply = try client.receive()
                let answer = reply.body.suffix(known[0].count)
                tally.withLock { tally in
                    if reply.status == 200, let index = known.firstIndex(of: answer) {
                        tally.counts[index] += 1
                    } else {
                        tally.failures.append(
                            "\(reply.status) \(String(decoding: reply.body.prefix(200), as: UTF8.self))")
                    }
                }
            }
        } catch {
            tally.withLock { $0.failures.append("\(error)") }
        }
    }

    func finish() -> Tally {
        isStopped.store(true, ordering: .relaxed)
        running.wait()
        return tally.withLock { $0 }
    }
}
