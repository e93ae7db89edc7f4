import Glibc
import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

@testable import OunceCompress

/// Calibration with no data: the samples have the size that the model was made for.
@Suite struct SyntheticSamplesTests {
    /// A normalised network for inputs of this size, as it is read: `[1, 3, 8, 8]`, channels first.
    private func network(size: Float, seed: UInt64 = 1) throws -> Graph {
        var graph = Graph(name: "net")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 8, 8, 3])))
        graph.inputs = [x]
        let w = graph.addConstant(Samples.floats([16, 3, 3, 3], seed: seed), name: "w")
        let conv = Convolution(strides: [1, 1], dilations: [1, 1], padBefore: [0, 0], padAfter: [0, 0])
        let y = try graph.append(.conv(conv), [x, w, nil], name: "conv")
        // What normally distributed inputs of this size give.
        let weights = Samples.floats([16, 3, 3, 3], seed: seed).floats()
        let variance = (0..<16).map { c in weights[c * 27..<(c + 1) * 27].reduce(0) { $0 + $1 * $1 } * size * size }
        let constants = [
            [Float](repeating: 1, count: 16), [Float](repeating: 0, count: 16), [Float](repeating: 0, count: 16),
            variance,
        ]
        let ids = constants.enumerated().map { graph.addConstant(Tensor($1), name: "bn\($0)") }
        let z = try graph.append(.batchNormalization(axis: 3, epsilon: 1e-5), [y] + ids, name: "bn")
        graph.outputs = [try graph.append(.unary(.clip(0, .infinity)), [z], name: "relu")]
        return graph
    }

    private func deviation(_ data: Dataset) throws -> Double {
        let numbers = try (0..<data.count).flatMap { try data.sample($0)[0].doubles() }
        return (numbers.reduce(0) { $0 + $1 * $1 } / Double(numbers.count)).squareRoot()
    }

    @Test(arguments: [Float(0.02), 1, 64])
    func normalisationsTellTheSize(size: Float) throws {
        let source = try network(size: size)
        let samples = SyntheticSamples(graph: try source.simplified(), source: source, options: RuntimeOptions())
        let found = try deviation(try samples.dataset())
        #expect(found > 0.5 * Double(size) && found < 2 * Double(size), "\(found)")
    }

    @Test func firstLayersTellTheSize() throws {
        // Folded: the first layer gives numbers of deviation 1.
        let graph = try network(size: 20).simplified()
        let found = try deviation(try SyntheticSamples(graph: graph, source: nil, options: RuntimeOptions()).dataset())
        #expect(found > 10 && found < 80, "\(found)")
    }

    @Test func isTheSameEachTime() throws {
        let samples = SyntheticSamples(
            graph: try network(size: 1).simplified(), source: nil, options: RuntimeOptions())
        let (a, b) = (try samples.dataset(), try samples.dataset())
        for index in 0..<a.count {
            #expect(try a.sample(index)[0].floats() == (try b.sample(index)[0].floats()))
        }
        #expect(a.count == 64)
    }

    @Test func needsAFloatInput() throws {
        let graph = try Samples.identity([1, 4], .int32)
        #expect(throws: CompressError.self) {
            try SyntheticSamples(graph: graph, source: nil, options: RuntimeOptions()).dataset()
        }
    }

    /// Self-checks of large inputs take little room in the artifact.
    @Test func fewNumbersAreEnough() throws {
        let graph = try network(size: 1).simplified()
        let shape = TensorInfo(name: "x", dtype: .float32, shape: [1, 128, 128, 3])
        let sparse = SyntheticInput.sample(for: [shape], seed: 1, sparsity: 16)
        let numbers = sparse[0].floats()
        let share = Double(numbers.count { $0 != 0 }) / Double(numbers.count)
        #expect(share > 1 / 20.0 && share < 1 / 13.0, "\(share)")
        func bytes(_ inputs: [Tensor]) throws -> Int {
            try Artifact(
                graph: graph,
                provenance: Provenance(
                    ounceVersion: "", modelName: "", modelHash: "", profileName: "", profileHash: "", recipeName: "",
                    recipeHash: "", calibrationHash: nil, validationHash: nil),
                report: nil, selfChecks: [SelfCheck(inputs: inputs, outputs: [])]
            ).byteCount()
        }
        let (less, more) = (try bytes(sparse), try bytes(SyntheticInput.sample(for: [shape], seed: 1)))
        #expect(more - less > 128 * 128 * 3 * 4 * 8 / 10, "\(less) and \(more) bytes")
    }

    /// The whole way: a recipe without calibration data, on inputs that the model was made for.
    @Test func recipeNeedsNoData() throws {
        let model = try LoadedModel(path: Samples.root.appending(path: "Tests/Golden/compress/classifier.onnx").path)
        let recipe = Recipe(
            name: "no-data", samples: .synthetic, steps: [.quantize(Quantization(minInputSQNR: 0, floatOutput: false))])
        let request = CompressionRequest(
            model: model, profile: DeviceProfile(memory: .bytes(1 << 28)), recipe: .fixed(recipe), calibration: nil,
            validation: nil, metric: .top1, onlineCPUs: 1, totalMemory: 1 << 30)
        let artifact = try Compressor(request).run()
        #expect(artifact.graph.isQuantized)
        #expect(try artifact.description.provenance.calibrationHash == nil)
        let x = Samples.floats([40, 64], seed: 4)
        let float = try Model(graph: model.graph, options: RuntimeOptions()).run([x])[0].doubles()
        let int8 = try Model(graph: artifact.graph, options: RuntimeOptions()).run([x])[0].doubles()
        let noise = zip(float, int8).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        #expect(10 * log10(float.reduce(0) { $0 + $1 * $1 } / noise) > 12)
    }
}
