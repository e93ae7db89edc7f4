import Foundation
import OunceCompress
import OunceFormats
import OunceGraph
import OunceRuntime
import Testing

/// Small TFLite models against what LiteRT answers (Tests/TFLiteConformance/run.py --golden).
@Suite struct TFLiteTests {
    struct Case: Decodable {
        let name: String
        let inputs: Int
        let outputs: Int
        let steps: Int
        let relative: Double
        let absolute: Double
    }

    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Golden/tflite").path

    private func cases() throws -> [Case] {
        try JSONDecoder().decode([Case].self, from: Data(contentsOf: URL(filePath: "\(Self.folder)/cases.json")))
    }

    private func tensors(_ name: String, _ kind: String, _ count: Int) throws -> [Tensor] {
        try (0..<count).map { try NumPyFile.read(path: "\(Self.folder)/\(name).\(kind)\($0).npy") }
    }

    @Test func agreesWithLiteRT() throws {
        let cases = try cases()
        #expect(cases.count > 40)
        for test in cases {
            var verifier = ModelVerifier(options: RuntimeOptions())
            verifier.agreement.relative = test.relative
            verifier.agreement.absolute = test.absolute
            verifier.agreement.steps = test.steps
            let outcome = verifier.verify(
                model: "\(Self.folder)/\(test.name).tflite", inputs: .ordered(try tensors(test.name, "x", test.inputs)),
                expected: .ordered(try tensors(test.name, "y", test.outputs)))
            #expect(outcome == .passed, "\(test.name)")
        }
    }

    /// Results do not depend on the instruction sets.
    @Test func sameBitsOnPlainKernels() throws {
        for test in try cases() {
            let graph = try ModelFile.load(path: "\(Self.folder)/\(test.name).tflite").simplified()
            let inputs = try tensors(test.name, "x", test.inputs)
            let outputs = try Model(graph: graph, options: RuntimeOptions(threads: 2)).run(inputs)
            let scalar = try Model(graph: graph, options: RuntimeOptions(allowedISAs: ["scalar"])).run(inputs)
            for (a, b) in zip(outputs, scalar) { #expect(a.bytes.elementsEqual(b.bytes), "\(test.name)") }
        }
    }

    /// Damaged copies of files with recurrent layers, subgraphs and packed weights end in an error or in a valid graph.
    @Test func survivesDamage() throws {
        let seed = ProcessInfo.processInfo.environment["OUNCE_SEED"].flatMap { UInt64($0) } ?? 11
        print("seed \(seed)")
        var state = seed
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for test in try cases() {
            let file = [UInt8](try Data(contentsOf: URL(filePath: "\(Self.folder)/\(test.name).tflite")))
            let inputs = try tensors(test.name, "x", test.inputs)
            for _ in 0..<150 {
                var damaged = file
                for _ in 0...random(3) {
                    let place = random(damaged.count)
                    damaged[place] = [0, 0x7F, 0x80, 0xFF, damaged[place] ^ UInt8(1 << random(8))][random(5)]
                }
                guard let graph = try? ModelFile.parse(bytes: damaged).simplified(),
                    let model = try? Model(graph: graph, options: RuntimeOptions(memoryLimit: 1 << 28))
                else { continue }
                _ = try? model.run(inputs)
            }
        }
    }
}
