import Foundation
import Testing

extension EndToEndTests {
    /// Models that keep states, from the command line and over the socket; Tests/Golden/streaming has the expected numbers.
    @Suite(.serialized) struct StreamingTests {
        private let folder = Programs.root + "/Tests/Golden/streaming/"
        private let states = ["--state", "h=h_next", "--state", "n=n_next"]

        private func agrees(_ values: [Float], _ expected: ArraySlice<Float>) -> Bool {
            values.count == expected.count && zip(values, expected).allSatisfy { abs($0 - $1) < 1e-5 * max(1, abs($1)) }
        }

        @Test func infer() throws {
            let work = try Folder()
            let y = work.file("y.npy")
            let steps = ["--input", folder + "ring_x.npy", "--output", y]
            let stream = try run(Programs.ounce, ["infer", folder + "ring.tflite", "--stream"] + steps)
            #expect(stream.status == 0, "\(stream.error)")
            let expected = try NumPyArray(contentsOf: folder + "ring_y0.npy")
            #expect(try NumPyArray(contentsOf: y).bytes == expected.bytes)
            // Without --stream every row is a first step.
            #expect(try run(Programs.ounce, ["infer", folder + "ring.tflite"] + steps).status == 0)
            let apart = try NumPyArray(contentsOf: y).bytes
            #expect(apart.prefix(2) == expected.bytes.prefix(2) && apart != expected.bytes)
            let stateless = try run(Programs.ounce, ["infer", folder + "cell.onnx", "--stream"] + steps)
            #expect(stateless.status == 64 && stateless.error.contains("--state"))
            let unknown = try run(Programs.ounce, ["infer", folder + "cell.onnx", "--state", "h=k"] + steps)
            #expect(unknown.status != 0 && unknown.error.contains("'k'"))

            let artifact = work.file("cell.ounce")
            let compress = ["compress", folder + "cell.onnx", "--recipe", "none", "--output", artifact]
            let made = try run(Programs.ounce, compress + states)
            #expect(made.status == 0, "\(made.error)")
            let again = ["infer", artifact, "--stream", "--input", folder + "cell_x.npy", "--output", y]
            #expect(try run(Programs.ounce, again).status == 0)
            let cell = try NumPyArray(contentsOf: folder + "cell_y0.npy").floats
            #expect(agrees(try NumPyArray(contentsOf: y).floats, cell[...]))
            let shown = try ounce("inspect", artifact, "--json").json
            #expect((shown["states"] as? [[String: Any]])?.compactMap { $0["name"] as? String } == ["h", "n"])
        }

        private func ask(_ daemon: TestDaemon, _ step: Int, _ sequence: String?) throws -> Curl {
            let x = try NumPyArray(contentsOf: folder + "cell_x.npy").floats[(3 * step)..<(3 * step + 3)]
            let parameters = sequence.map { ",\"parameters\":{\"sequence_id\":\($0)}" } ?? ""
            let body = """
                {"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":\(Array(x))}]\(parameters)}
                """
            return try daemon.curl("/v2/models/cell/infer", body: Data(body.utf8))
        }

        @Test func sequences() throws {
            func settings(_ name: String) -> String {
                "  - {name: cell, source: \(folder)\(name), recipe: none, state: {h: h_next, n: n_next}}"
            }
            let daemon = try TestDaemon(models: [settings("cell.onnx")])
            try daemon.waitUntilSettled()
            let metadata = try daemon.curl("/v2/models/cell").json
            #expect((metadata["parameters"] as? [String: Any])?["stateful"] as? Bool == true, "\(daemon.story)")
            #expect((metadata["inputs"] as? [[String: Any]])?.count == 1)
            let cell = try NumPyArray(contentsOf: folder + "cell_y0.npy").floats
            #expect(try ask(daemon, 0, "7").status == 400)
            for step in 0..<6 {
                let start = step == 0 ? ",\"sequence_start\":true" : ""
                for id in ["7", "\"b\""] {
                    let reply = try ask(daemon, step, id + start)
                    #expect(agrees(reply.floats, cell[(2 * step)..<(2 * step + 2)]), "step \(step): \(reply.error)")
                }
                #expect(agrees(try ask(daemon, 0, nil).floats, cell[..<2]))
            }
            #expect(try daemon.stop().status == 0)
        }
    }
}
