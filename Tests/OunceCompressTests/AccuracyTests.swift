import OunceCompress
import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// What int8 costs on real models with real data, against the float model on the same samples.
@Suite struct AccuracyTests {
    struct Bar: Sendable, CustomTestStringConvertible {
        let id: String
        /// Points of top-1 that may be lost.
        let drop: Double
        /// The float model's top-1 by the manifest, from another engine.
        let float: Double
        var testDescription: String { id }
    }

    static let bars = [
        Bar(id: "mlperf_kws_dscnn_float_onnx", drop: 0.5, float: 0.9173),
        Bar(id: "kws_cnn_mlkws_CNN_S_onnx", drop: 0.5, float: 0.8271),
        Bar(id: "kws_cnn_mlkws_DS_CNN_S_onnx", drop: 1, float: 0.8596),
        Bar(id: "kws_cnn_mlkws_DNN_M_onnx", drop: 1, float: 0.7895),
        Bar(id: "misc_mnist_cntk_opset8_onnx", drop: 0.5, float: 0.9915),
        Bar(id: "cifar_resnet20_cifar10_onnx", drop: 0.5, float: 0.8044),
        Bar(id: "transformer_fsdd_kwt_onnx", drop: 0.3, float: 0.9907),
        Bar(id: "cifar_resnet32_cifar10_onnx", drop: 0.5, float: 0.8247),
    ]

    @Test(arguments: bars) func int8(bar: Bar) throws {
        guard let shared = try SharedData.found() else { return }
        let entry = try shared.entry(bar.id)
        let loaded = try LoadedModel(path: shared.path(of: entry))
        let calibrationFile = try shared.archive(entry.data?.calib, of: entry)
        let devFile = try shared.archive(entry.data?.dev, of: entry)
        let calibration = try Dataset(path: calibrationFile.path, inputs: loaded.inputs)
        let dev = try Dataset(path: devFile.path, inputs: loaded.inputs)
        let evaluator = Evaluator(metric: .top1, dataset: dev)
        let float = try evaluator.evaluate(try loaded.model(RuntimeOptions()))
        #expect(abs(float.value - bar.float) <= 0.001, "float: \(float.value)")
        let graph = try QuantizePass(recipe: Quantization()).quantized(
            Calibrator(graph: loaded.graph, dataset: calibration, options: RuntimeOptions()))
        let int8 = try evaluator.evaluate(try Model(graph: graph, options: RuntimeOptions()))
        let drop = Metric.top1.drop(from: float.value, to: int8.value)
        print("\(bar.id): float \(float.value), int8 \(int8.value), n = \(float.samples)")
        #expect(drop <= bar.drop + 1e-9, "\(drop) points lost")
        // Not by leaving everything float.
        let int8Work = graph.nodes.reduce(0) { $0 + (graph[$1.outputs[0]].dtype == .int8 ? graph.macs(of: $1) : 0) }
        #expect(Double(int8Work) >= 0.6 * Double(graph.macs), "\(int8Work) of \(graph.macs) MACs in int8")
    }
}
