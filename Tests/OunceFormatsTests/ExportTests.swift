import Foundation
import OunceGraph
import OunceTestSupport
import Testing

@testable import OunceFormats

/// The ONNX export against the reference interpreter: through our own importer, and through ONNX Runtime.
@Suite struct ExportTests {
    private static let seed: UInt64 = 5

    private func graph(_ name: String) throws -> Graph {
        print("seed \(Self.seed)")
        return name == "float" ? try ExportGraphs.float(seed: Self.seed) : try ExportGraphs.quantized(seed: Self.seed)
    }

    private func inputs(of graph: Graph, batch: Int = 2) -> [Tensor] {
        var random = RandomSource(seed: 11)
        return graph.inputs.map { id in
            let shape = Shape(graph[id].shape.dims.map { $0 < 0 ? batch : $0 })
            return graph[id].dtype == .float32 ? random.tensor(shape) : random.int8Tensor(shape)
        }
    }

    private func run(_ graph: Graph, _ inputs: [Tensor]) throws -> [NDArray] {
        let shapes = zip(graph.inputs, inputs).map { (graph[$0].name, $1.shape) }
        return try Interpreter().run(try graph.bound(to: Dictionary(uniqueKeysWithValues: shapes)), inputs)
    }

    /// The largest difference between two outputs, relative to the largest number.
    private func distance(_ a: NDArray, _ b: NDArray) -> Double {
        guard a.shape == b.shape, a.dtype == b.dtype else { return .infinity }
        let scale = a.values.map { abs($0) }.max() ?? 0
        return (zip(a.values, b.values).map { abs($0 - $1) }.max() ?? 0) / max(scale, 1e-30)
    }

    private func reimported(_ graph: Graph, _ form: ONNXExporter.Quantization = .asStored) throws -> Graph {
        let again = try ONNXImporter.parse(bytes: ONNXExporter.serialize(graph, quantization: form))
        #expect(again.inputs.map { again[$0].name } == graph.inputs.map { graph[$0].name })
        #expect(again.inputs.map { again[$0].type } == graph.inputs.map { graph[$0].type })
        #expect(again.outputs.map { again[$0].name } == graph.outputs.map { graph[$0].name })
        return try again.simplified()
    }

    @Test(arguments: ["float", "quantized"]) func readsBack(_ name: String) throws {
        let graph = try graph(name)
        let inputs = inputs(of: graph)
        let again = try reimported(graph)
        let (before, after) = (try run(graph, inputs), try run(again, inputs))
        for (a, b) in zip(before, after) { #expect(distance(a, b) <= 1e-5, "\(a.shape)") }
        #expect(before.contains { ($0.values.max() ?? 0) - ($0.values.min() ?? 0) > 0.1 })
    }

    @Test func quantizedLayersStayQuantized() throws {
        let graph = try graph("quantized")
        let again = try reimported(graph)
        func int8Layers(_ graph: Graph) -> Int {
            graph.nodes.count { node in
                switch node.op {
                case .conv, .fullyConnected: graph[node.outputs[0]].dtype == .int8
                default: false
                }
            }
        }
        #expect(int8Layers(again) == int8Layers(graph))
        #expect(again.nodes.count { if case .transpose = $0.op { true } else { false } } == 0)
    }

    @Test func symmetricFormObeysTensorRT() throws {
        let graph = try graph("quantized")
        let proto = try ONNXModelProto(
            serializedBytes: try ONNXExporter.serialize(graph, quantization: .symmetric)
        )
        let rules = ExplicitQuantizationRules(proto)
        #expect(rules.violations.isEmpty, "\(rules.violations.joined(separator: "; "))")
        #expect(rules.int8Layers >= 3)
        // The plain form breaks them: it has zero points and int32 biases.
        let plain = ExplicitQuantizationRules(try ONNXModelProto(serializedBytes: ONNXExporter.serialize(graph)))
        #expect(plain.violations.contains { $0.contains("zero point") })
        #expect(plain.violations.contains { $0.contains("bias") })
        // What only floats read is not quantised: the operands of the last Concat, and the gate behind it.
        let dequantized = Set(proto.graph.node.filter { $0.opType == "DequantizeLinear" }.flatMap(\.output))
        let concat = try #require(proto.graph.node.first { $0.opType == "Concat" })
        #expect(dequantized.isDisjoint(with: concat.input))
        let inputs = inputs(of: graph)
        let again = try reimported(graph, .symmetric)
        for (a, b) in zip(try run(graph, inputs), try run(again, inputs)) { #expect(distance(a, b) <= 0.1) }
    }

    @Test func sameBytesEachTime() throws {
        let graph = try graph("quantized")
        #expect(try ONNXExporter.serialize(graph) == ONNXExporter.serialize(graph))
    }

    @Test func refusesAllInOneError() throws {
        var graph = Graph(name: "refused")
        let x = graph.add(Value(name: "x", type: TensorType(.int32, [1, 4, 4, 2])))
        graph.inputs = [x]
        let weights = graph.addConstant(
            try #require(Tensor([Int32](repeating: 1, count: 4), shape: [2, 1, 1, 2])), name: "w")
        let layer = Op.conv(Convolution(strides: [1, 1], dilations: [1, 1], padBefore: [0, 0], padAfter: [0, 0]))
        let first = try graph.append(layer, [x, weights], name: "first")
        let second = try graph.append(layer, [first, weights], name: "second")
        graph.outputs = [try graph.append(.binary(.shiftLeft, .none), [second, x], name: "third")]
        let error = #expect(throws: FormatError.self) { try ONNXExporter.serialize(graph) }
        for name in ["first", "second", "third"] { #expect(error?.message.contains("\(name):") == true) }
    }

    @Test func namesDoNotClash() throws {
        var graph = Graph(name: "clash")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 4, 4, 2])))
        graph.inputs = [x]
        let turned = try graph.append(.transpose([0, 3, 1, 2]), [x], name: "x", output: "x")
        let y = try graph.append(.unary(.abs), [turned], name: "x", output: "x")
        graph.outputs = [y, turned, x]
        for (index, id) in graph.outputs.enumerated() where id != x { graph[id].name = "y\(index)" }
        let inputs = inputs(of: graph)
        graph.outputs.removeLast()
        let again = try reimported(graph)
        for (a, b) in zip(try run(graph, inputs), try run(again, inputs)) { #expect(distance(a, b) == 0) }
    }

    @Test(arguments: ["mlperf/kws_dscnn_float.onnx", "mlperf/kws_dscnn_int8.tflite", "mlperf/ic_resnet8_int8.tflite"])
    func realModelsReadBack(_ path: String) throws {
        guard let root = Fixture.shared() else { return }
        var graph = try ModelFile.load(path: "\(root)/models/\(path)").simplified()
        // QuantizeLinear rounds halves to the even number, and no other form of an average is written.
        for index in graph.nodes.indices {
            guard case .pool(var pool) = graph.nodes[index].op else { continue }
            pool.roundsHalvesAway = false
            graph.nodes[index].op = .pool(pool)
        }
        let inputs = inputs(of: graph, batch: 1)
        let before = try run(graph, inputs)
        let again = try ONNXImporter.parse(bytes: ONNXExporter.serialize(graph)).simplified()
        for (a, b) in zip(before, try run(again, inputs)) {
            let steps = zip(a.values, b.values).map { abs($0 - $1) }.max() ?? .infinity
            #expect(steps <= (a.dtype == .float32 ? 1e-5 : 1), "\(path)")
        }
    }

    @Test(arguments: ["float", "quantized"]) func runsInONNXRuntime(_ name: String) throws {
        guard let python = ProcessInfo.processInfo.environment["OUNCE_PYTHON"] else {
            return print("skipped: OUNCE_PYTHON names no Python with onnx and onnxruntime")
        }
        let graph = try graph(name)
        let inputs = inputs(of: graph)
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ bytes: [UInt8], _ file: String) throws { try Data(bytes).write(to: folder.appending(path: file)) }
        func named(_ ids: [ValueID], _ tensors: [Tensor]) -> [(name: String, tensor: Tensor)] {
            zip(ids, tensors).map { (graph[$0].name, $1) }
        }
        try write(try NumPyArchive.serialize(named(graph.inputs, inputs)), "inputs.npz")
        let expected = try run(graph, inputs).map { try #require($0.tensor) }
        try write(try NumPyArchive.serialize(named(graph.outputs, expected)), "outputs.npz")
        try write(try ONNXExporter.serialize(graph), "stored.onnx")
        try write(try ONNXExporter.serialize(graph, quantization: .symmetric), "symmetric.onnx")
        let script = """
            import sys, os
            try: import numpy as np, onnx, onnxruntime as ort
            except ImportError: sys.exit(42)
            folder = sys.argv[1]
            x = dict(np.load(os.path.join(folder, 'inputs.npz')))
            want = np.load(os.path.join(folder, 'outputs.npz'))
            for file, tolerance in (('stored', float(sys.argv[2])), ('symmetric', 0.1 if sys.argv[3] == 'quantized' else 1e-4)):
                path = os.path.join(folder, file + '.onnx')
                onnx.checker.check_model(path, full_check=True)
                options = ort.SessionOptions()
                options.log_severity_level = 3
                session = ort.InferenceSession(path, options, providers=['CPUExecutionProvider'])
                for info, got in zip(session.get_outputs(), session.run(None, x)):
                    y = want[info.name]
                    assert got.shape == y.shape and got.dtype == y.dtype, (info.name, got.shape, y.shape)
                    worst = np.abs(got.astype(float) - y).max() / np.abs(y).max()
                    assert worst <= tolerance, (file, info.name, worst)
            """
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [python, "-c", script, folder.path, name == "quantized" ? "0.03" : "1e-4", name]
        try process.run()
        process.waitUntilExit()
        if [42, 127].contains(process.terminationStatus) {
            return print("skipped: \(python) has no onnx and onnxruntime; set OUNCE_PYTHON")
        }
        #expect(process.terminationStatus == 0)
    }
}
