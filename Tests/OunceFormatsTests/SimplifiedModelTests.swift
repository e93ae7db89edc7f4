import FoundationEssentials
import OunceFormats
import OunceGraph
import OunceTestSupport
import Testing

/// Simplification on real models: what is left, and that it computes the same.
@Suite struct SimplifiedModelTests {
    struct Expectation: Sendable, CustomTestStringConvertible {
        let path: String
        let transposes: Int
        /// Convolutions and fully connected layers.
        let layers: Int
        /// All nodes.
        let nodes: Int
        var testDescription: String { path }
    }

    static let expectations = [
        Expectation(path: "cifar/resnet20_cifar10.onnx", transposes: 1, layers: 20, nodes: 36),
        Expectation(path: "misc/mnist_cntk_opset8.onnx", transposes: 0, layers: 3, nodes: 7),
        Expectation(path: "kws_cnn/mlkws_CNN_S.onnx", transposes: 0, layers: 5, nodes: 8),
        Expectation(path: "kws_cnn/mlkws_DS_CNN_S.onnx", transposes: 0, layers: 10, nodes: 14),
        Expectation(path: "mlperf/ic_resnet8_float.onnx", transposes: 1, layers: 10, nodes: 17),
        Expectation(path: "mlperf/ad_autoencoder_float.onnx", transposes: 0, layers: 10, nodes: 10),
        Expectation(path: "mlperf/kws_dscnn_float.onnx", transposes: 0, layers: 10, nodes: 14),
    ]

    private var models: String {
        let shared = ProcessInfo.processInfo.environment["OUNCE_SHARED_DATA"]
        return (shared ?? "../shared/data") + "/models/"
    }

    @Test(arguments: expectations) func computesTheSameWithLess(expected: Expectation) throws {
        let path = models + expected.path
        guard FileManager.default.fileExists(atPath: path) else {
            print("skipped: there is no", path)
            return
        }
        let graph = try ModelFile.load(path: path)
        let simple = try graph.simplified()
        func count(_ isCounted: (Op) -> Bool) -> Int { simple.nodes.count { isCounted($0.op) } }
        #expect(count { if case .transpose = $0 { true } else { false } } <= expected.transposes)
        #expect(count { if case .batchNormalization = $0 { true } else { false } } == 0)
        #expect(count { if case .unary(.clip) = $0 { true } else { false } } == 0)
        let layers = count {
            switch $0 {
            case .conv, .fullyConnected: true
            default: false
            }
        }
        #expect(layers == expected.layers)
        #expect(simple.nodes.count <= expected.nodes)
        var random = RandomSource(seed: 7)
        let inputs = graph.inputs.map { id in
            random.tensor(Shape(graph[id].shape.dims.map { $0 < 0 ? 1 : $0 }))
        }
        let before = try Interpreter().run(graph, inputs)
        let after = try Interpreter().run(simple, inputs)
        for (a, b) in zip(before, after) {
            let scale = a.values.map { abs($0) }.max() ?? 0
            let worst = zip(a.values, b.values).map { abs($0 - $1) }.max() ?? 0
            #expect(worst <= 1e-5 * scale)
        }
    }
}
