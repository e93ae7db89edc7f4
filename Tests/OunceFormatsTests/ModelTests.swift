import Foundation
import OunceGraph
import Testing

@testable import OunceFormats

/// What the shared folder says about its models.
private struct Manifest: Decodable {
    struct Model: Decodable {
        var path: String
        var inputs: [Port]
        var outputs: [Port]
    }
    struct Port: Decodable {
        var name: String
        var shape: [Int]
        var dtype: String
        var quantization: Quantization?
    }
    struct Quantization: Decodable {
        var scale: Float
        var zeroPoint: Int32
        enum CodingKeys: String, CodingKey {
            case scale
            case zeroPoint = "zero_point"
        }
    }
    var models: [Model]
}

/// What the onnx and tflite packages say of the weights; made by Tests/Golden/formats/make_models.py.
private struct Weights: Decodable {
    var op: String
    var shape: [Int]
    var checksum: Double
    var bias: Double?
}

@Suite struct ModelTests {
    @Test func importsTheSharedModels() throws {
        guard let root = Fixture.shared() else { return }
        let manifest = try Fixture.decode(Manifest.self, from: root + "/manifest.json")
        let weights = try Fixture.decode([String: [Weights]].self, from: Fixture.golden("models.json"))
        var tested = 0
        for model in manifest.models {
            guard let expected = weights[model.path] else { continue }
            tested += 1
            let graph = try ModelFile.load(path: "\(root)/\(model.path)")
            try graph.validate()
            #expect("\(graph.name)" == model.path.split(separator: "/").last?.split(separator: ".").first ?? "")
            expect(graph, graph.inputs, are: model.inputs, of: model.path)
            expect(graph, graph.outputs, are: model.outputs, of: model.path)
            expectWeights(of: graph, are: expected, in: model.path)
            _ = try graph.bound(to: [:])
        }
        #expect(tested == weights.count)
    }

    private func expect(_ graph: Graph, _ ids: [ValueID], are ports: [Manifest.Port], of path: String) {
        #expect(ids.map { graph[$0].name } == ports.map(\.name), "\(path)")
        #expect(ids.map { graph[$0].shape.dims } == ports.map(\.shape), "\(path)")
        #expect(ids.map { graph[$0].dtype.name } == ports.map(\.dtype), "\(path)")
        for (id, port) in zip(ids, ports) {
            guard let quantization = port.quantization else { continue }
            let affine = graph[id].encoding.affine
            #expect(affine?.scales == [quantization.scale] && affine?.zeroPoints == [quantization.zeroPoint])
        }
    }

    private func expectWeights(of graph: Graph, are expected: [Weights], in path: String) {
        var found: [Weights] = []
        for node in graph.nodes {
            let op: String
            switch node.op {
            case .conv: op = "conv"
            case .fullyConnected: op = "dense"
            case .batchNormalization: op = "normalization"
            default: continue
            }
            func constant(_ place: Int) -> Tensor? {
                node.inputs.count > place ? node.inputs[place].flatMap { graph[$0].constant } : nil
            }
            guard let weights = constant(1) else { continue }
            let bias = constant(2).map(checksum)
            found.append(Weights(op: op, shape: weights.shape.dims, checksum: checksum(weights), bias: bias))
        }
        #expect(found.map(\.op) == expected.map(\.op), "\(path)")
        #expect(found.map(\.shape) == expected.map(\.shape), "\(path)")
        for (found, expected) in zip(found, expected) {
            #expect(isClose(found.checksum, expected.checksum), "\(path)")
            #expect((found.bias == nil) == (expected.bias == nil), "\(path)")
            #expect(isClose(found.bias ?? 0, expected.bias ?? 0), "\(path)")
        }
    }

    private func checksum(_ tensor: Tensor) -> Double {
        tensor.doubles().enumerated().reduce(0) { $0 + $1.element * Double($1.offset % 97 + 1) }
    }

    private func isClose(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-6 * max(abs(a), abs(b), 1) }

    @Test func namesEverythingThatIsNotSupported() throws {
        let path = Fixture.root.appending(path: "Tests/Golden/tflite/refused.tflite").path
        let error = try #require(throws: FormatError.self) { try ModelFile.load(path: path) }
        #expect(error.code == .unsupported)
        let expected = [
            "RFFT2D ('front/0')", "UNIQUE ('front/1' and 1 more)", "FlexAudioSpectrogram ('front/2')",
            "SignalWindow ('front/3')", "export without the front end",
        ]
        for text in expected { #expect(error.message.contains(text), "\(error.message)") }
    }

    @Test(arguments: [
        "misc/mnist_cntk_opset8.onnx", "misc/hello_world_float.tflite", "misc/hello_world_int8.tflite",
        "misc/micro_speech_int8.tflite", "mlperf/kws_dscnn_hybrid_float32io.tflite", "kws_cnn/mlkws_DS_CNN_S.onnx",
        "rnn/mnist_lstm_int8.tflite", "rnn/mnist_lstm_float.tflite",
    ])
    func survivesDamage(_ path: String) throws {
        guard let root = Fixture.shared() else { return }
        let file = [UInt8](try Data(contentsOf: URL(filePath: "\(root)/models/\(path)")))
        let parse: ([UInt8]) throws -> Void = { try ModelFile.parse(bytes: $0).validate() }
        _ = tryPrefixes(of: file, step: max(file.count / 3000, 1), parse)
        _ = tryDamaged(file, rounds: file.count < 4000 ? 5000 : 1000, seed: 5, parse)
    }

    @Test func refusesWhatIsNoModel() {
        #expect(throws: FormatError.self) { try ModelFile.parse(bytes: []) }
        #expect(throws: FormatError.self) { try ModelFile.parse(bytes: [0, 0, 0, 0] + TFLiteImporter.identifier) }
        #expect(throws: FormatError.self) { try ModelFile.parse(bytes: Array("not a model at all".utf8)) }
        #expect(throws: FormatError.self) { try ModelFile.load(path: "/dev/null") }
    }
}
