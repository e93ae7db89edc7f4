import Glibc
import OunceCompress
import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Quantising small graphs: what becomes int8, and that it computes nearly the same.
@Suite struct QuantizePassTests {
    private func constant(_ graph: inout Graph, _ shape: Shape, _ seed: UInt64, _ range: ClosedRange<Float>) -> ValueID
    {
        graph.addConstant(Samples.floats(shape, seed: seed, in: range), name: "c\(seed)")
    }

    private func conv(_ groups: Int = 1) -> Op {
        .conv(
            Convolution(
                strides: [1, 1], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1], groups: groups,
                activation: .relu))
    }

    /// Two convolutions, an addition, a pool, a mean and a classifier.
    private func network() throws -> Graph {
        var graph = Graph(name: "small")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [-1, 8, 8, 3])))
        graph.inputs = [x]
        let first = try graph.append(
            conv(), [x, constant(&graph, [8, 3, 3, 3], 1, -0.5...0.5), constant(&graph, [8], 2, -1...1)], name: "conv")
        let second = try graph.append(
            conv(8), [first, constant(&graph, [8, 3, 3, 1], 3, -0.5...0.5), nil], name: "depthwise")
        let sum = try graph.append(.binary(.add, .none), [first, second], name: "sum")
        let pool = Pooling(
            kind: .max, kernel: [2, 2], strides: [2, 2], dilations: [1, 1], padBefore: [0, 0], padAfter: [0, 0])
        let pooled = try graph.append(.pool(pool), [sum], name: "pool")
        let mean = try graph.append(.reduce(.mean, axes: [1, 2], keepDims: false), [pooled], name: "mean")
        let scores = try graph.append(
            .fullyConnected(.none), [mean, constant(&graph, [5, 8], 4, -1...1), constant(&graph, [5], 5, -1...1)],
            name: "classifier")
        graph.outputs = [try graph.append(.softmax(axis: -1), [scores], name: "probabilities"), scores]
        return graph
    }

    private func quantized(_ graph: Graph, _ recipe: Quantization, samples: Tensor) throws -> Graph {
        let data = try Samples.dataset([("x", samples)], for: graph)
        return try QuantizePass(recipe: recipe).quantized(
            Calibrator(graph: graph, dataset: data, options: RuntimeOptions()))
    }

    private func dtypes(_ graph: Graph) -> [String: DType] {
        Dictionary(graph.nodes.map { ($0.name, graph[$0.outputs[0]].dtype) }) { first, _ in first }
    }

    /// Signal over noise of the second output in decibels.
    private func ratio(_ float: Graph, _ other: Graph, _ samples: Tensor) throws -> Double {
        let a = try Interpreter().run(float, [samples])[1].values
        let b = try Interpreter().run(other, [samples])[1].values
        let noise = zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        return 10 * log10(a.reduce(0) { $0 + $1 * $1 } / noise)
    }

    /// A classifier with an int8 input keeps its float results, and sums integers.
    @Test(arguments: [true, false]) func lastLayersSumIntegers(perChannel: Bool) throws {
        let graph = try network()
        let samples = Samples.floats([32, 8, 8, 3], seed: 9)
        let exact = try quantized(
            graph, Quantization(perChannel: perChannel, minInputSQNR: 0), samples: samples)
        try exact.validate()
        let classifier = try #require(exact.nodes.first { $0.name == "classifier" })
        #expect(exact[classifier.outputs[0]].type == TensorType(.float32, [-1, 5]))
        #expect(classifier.inputs.dropFirst().map { $0.map { exact[$0].dtype } } == [.int8, .int32])
        #expect(try ratio(graph, exact, samples) > 25)
        let model = try Model(graph: exact, options: RuntimeOptions(allowedISAs: ["scalar"]))
        let kernels = try model.measureSteps(inputs: [samples], seconds: 0).map(\.kernel)
        #expect(kernels.contains("conv_s8f32_scalar"))
        #expect(!kernels.contains { $0.hasPrefix("conv_f32") || $0.hasPrefix("dequantize") })
    }

    @Test(arguments: [true, false]) func everythingInBetweenBecomesInt8(perChannel: Bool) throws {
        let graph = try network()
        let samples = Samples.floats([32, 8, 8, 3], seed: 9)
        for calibration in [Quantization.Calibration.mse, .minmax, .percentile(99.99)] {
            let recipe = Quantization(perChannel: perChannel, calibration: calibration, floatOutput: false)
            let small = try quantized(graph, recipe, samples: samples)
            try small.validate()
            let types = dtypes(small)
            for name in ["conv", "depthwise", "sum", "pool", "mean", "classifier"] {
                #expect(types[name] == .int8, "\(name)")
            }
            #expect(types["probabilities"] == .float32)
            #expect(small.outputs.map { small[$0].name } == ["probabilities", "classifier"])
            #expect(small.outputs.map { small[$0].dtype } == [.float32, .float32])
            // The pool keeps its input's grid, so it needs no table.
            let encoding = { (name: String) in
                small.nodes.first { $0.name == name }.map { small[$0.outputs[0]].encoding }
            }
            #expect(encoding("pool") == encoding("sum"))
            for node in small.nodes {
                guard case .conv = node.op, let weights = node.inputs[1] else { continue }
                #expect(small[weights].encoding.affine?.axis == (perChannel ? 0 : nil))
            }
            let decibels = try ratio(graph, small, Samples.floats([16, 8, 8, 3], seed: 10))
            #expect(decibels > 28, "\(calibration): \(decibels) dB")
        }
    }

    @Test func weightsOnly() throws {
        let graph = try network()
        let small = try QuantizePass(recipe: Quantization(activations: .float32)).quantizedWeights(of: graph)
        try small.validate()
        #expect(dtypes(small).values.allSatisfy { $0 == .float32 })
        #expect(small.constantBytes < graph.constantBytes / 2)
        #expect(try ratio(graph, small, Samples.floats([16, 8, 8, 3], seed: 10)) > 38)
    }

    @Test func layersThatTheRecipeLeavesOut() throws {
        let graph = try network()
        let samples = Samples.floats([32, 8, 8, 3], seed: 9)
        let kept = try quantized(graph, Quantization(keepFloat: [GlobPattern("class*")]), samples: samples)
        #expect(dtypes(kept)["classifier"] == .float32 && dtypes(kept)["conv"] == .int8)
        // It makes the scores and costs next to nothing: without a word it stays float too.
        let standard = try quantized(graph, Quantization(), samples: samples)
        #expect(dtypes(standard)["classifier"] == .float32 && dtypes(standard)["conv"] == .int8)
        let only = try quantized(
            graph, Quantization(layers: [GlobPattern("classifier")], floatOutput: false), samples: samples)
        #expect(dtypes(only)["classifier"] == .int8)
        for name in ["conv", "depthwise", "sum", "pool", "mean"] { #expect(dtypes(only)[name] == .float32) }
        let none = Quantization(layers: [GlobPattern("nothing")])
        #expect(throws: CompressError.self) { try quantized(graph, none, samples: samples) }
        #expect(throws: CompressError.self) { try QuantizePass(recipe: none).quantizedWeights(of: graph) }
    }

    /// Features of very different size in one input: int8 would drown the small ones.
    @Test func keepsAnInputThatInt8WouldSpoil() throws {
        var graph = Graph(name: "features")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [-1, 2])))
        graph.inputs = [x]
        let weights = graph.addConstant(try Samples.tensor([0, 1, 0, -2] as [Float], [2, 2]), name: "w")
        let hidden = try graph.append(.fullyConnected(.none), [x, weights], name: "first")
        graph.outputs = [try graph.append(.fullyConnected(.none), [hidden, weights], name: "second")]
        let rows = Samples.floats([64, 2], seed: 3).floats().enumerated().map { $0 % 2 == 0 ? $1 * 1000 : $1 }
        let samples = try Samples.tensor(rows, [64, 2])
        let careful = try quantized(graph, Quantization(), samples: samples)
        #expect(dtypes(careful)["first"] == .float32 && dtypes(careful)["second"] == .int8)
        let careless = try quantized(graph, Quantization(minInputSQNR: 0, floatOutput: false), samples: samples)
        #expect(dtypes(careless)["first"] == .int8)
    }

    /// The mean error that rounded weights make is put into the bias.
    @Test func biasCorrection() throws {
        var graph = Graph(name: "biased")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [-1, 64])))
        graph.inputs = [x]
        // One large weight makes the quantum coarse; the others all round the same way.
        let row = [Float](repeating: 0.0135, count: 63) + [1.27]
        let weights = graph.addConstant(try Samples.tensor(row, [1, 64]), name: "w")
        graph.outputs = [x, try graph.append(.fullyConnected(.none), [x, weights], name: "sum")]
        let samples = Samples.floats([200, 64], seed: 3, in: 0...2)
        let small = try quantized(graph, Quantization(minInputSQNR: 0, floatOutput: false), samples: samples)
        let a = try Interpreter().run(graph, [samples])[1].values
        let b = try Interpreter().run(small, [samples])[1].values
        let bias = zip(a, b).reduce(0) { $0 + $1.1 - $1.0 } / Double(a.count)
        // Without correction: 63 · 0.0035 · 1.
        #expect(abs(bias) < 0.03, "\(bias)")
    }
}
