import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTestSupport
import OunceTrain
import Testing

@testable import OunceCompress

/// The recipe step `fine_tune`.
@Suite(.serialized) struct FineTuneTests {
    private let models = Samples.root.appending(path: "Config/models").path

    /// Weights with noise of `level` times their own deviation.
    private func damaged(_ graph: Graph, level: Float, seed: UInt64) throws -> Graph {
        var graph = graph
        var random = RandomSource(seed: seed)
        for id in graph.trainableConstants where graph[id].shape.rank >= 2 {
            let constant = try #require(graph[id].constant)
            let numbers = constant.floats()
            let mean = numbers.reduce(0, +) / Float(numbers.count)
            let deviation = (numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(numbers.count)).squareRoot()
            // An even distribution of this width has deviation 1.
            let noise = random.floats(numbers.count, in: -1.732...1.732)
            graph[id].constant = Tensor(
                zip(numbers, noise).map { $0 + $1 * level * deviation }, shape: constant.shape)
        }
        return graph
    }

    private func tuned(
        _ graph: Graph, _ tuning: FineTuning, _ data: Dataset, teacher: Graph
    ) throws -> Graph {
        try FineTunePass(
            tuning: tuning, data: data, teacher: teacher, metric: .top1, options: RuntimeOptions(threads: 2),
            progress: { _ in }
        ).run(graph).graph
    }

    private func top1(_ graph: Graph, _ data: Dataset) throws -> Double {
        try Evaluator(metric: .top1, dataset: data)
            .evaluate(try Model(graph: graph, options: RuntimeOptions(threads: 2))).value
    }

    @Test func distillationMendsTheVibrationModel() throws {
        let loaded = try LoadedModel(path: models + "/vibration.onnx")
        let calibration = try Dataset(path: models + "/vibration-calibration.npz", inputs: loaded.inputs)
        let validation = try Dataset(path: models + "/vibration-validation.npz", inputs: loaded.inputs)
        let broken = try damaged(loaded.graph, level: 0.6, seed: 1)
        let mended = try tuned(
            broken, FineTuning(epochs: 20, learningRate: 0.002, batchSize: 32), calibration, teacher: loaded.graph)
        let (before, after) = (try top1(broken, validation), try top1(mended, validation))
        print("vibration: \(try top1(loaded.graph, validation)), damaged \(before), mended \(after)")
        #expect(before < 0.9)
        #expect(after > before + 0.05)
    }

    /// A real network: a hundred unlabelled samples help, a thousand labelled ones nearly mend it.
    @Test func mendsResNet20() throws {
        guard let shared = try SharedData.found() else { return }
        let entry = try shared.entry("cifar_resnet20_cifar10_onnx")
        let loaded = try LoadedModel(path: shared.path(of: entry))
        let (calib, train, dev) = (
            try shared.archive(entry.data?.calib, of: entry), try shared.archive(entry.data?.train, of: entry),
            try shared.archive(entry.data?.dev, of: entry)
        )
        let judge = try Dataset(path: dev.path, inputs: loaded.inputs, limit: 500)
        let broken = try damaged(loaded.graph, level: 0.3, seed: 2)
        let unlabelled = try Dataset(path: calib.path, inputs: loaded.inputs, limit: 100)
        let distilled = try tuned(
            broken, FineTuning(epochs: 4, batchSize: 25), unlabelled, teacher: loaded.graph)
        let labelled = try Dataset(path: train.path, inputs: loaded.inputs, limit: 1000)
        let taught = try tuned(broken, FineTuning(epochs: 1, loss: .crossEntropy), labelled, teacher: loaded.graph)
        let scores = try [loaded.graph, broken, distilled, taught].map { try top1($0, judge) }
        print("resnet20 float, damaged, distilled, taught: \(scores)")
        #expect(scores[1] < scores[0] - 0.05)
        #expect(scores[2] > scores[1] + 0.02)
        #expect(scores[3] > scores[1] + 0.04)
    }

    /// What an input is counted in, and with it the size of the first weights, makes no difference to training.
    @Test func learnsTheSameInOtherUnits() throws {
        func network(_ unit: Float) throws -> (Graph, ValueID) {
            var random = RandomSource(seed: 7)
            var graph = Graph(name: "net")
            let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 6])))
            graph.inputs = [x]
            func layer(_ from: ValueID, _ shape: [Int], _ name: String, _ activation: Activation) throws -> ValueID {
                let scale = name == "first" ? 1 / unit : 1
                let numbers = random.floats(shape[0] * shape[1], in: -0.8...0.8).map { $0 * scale }
                let w = graph.addConstant(
                    try Samples.tensor(numbers, Shape(shape)), name: name + ".w")
                let b = graph.addConstant(random.tensor([shape[0]], in: -0.1...0.1), name: name + ".b")
                return try graph.append(.fullyConnected(activation), [from, w, b], name: name)
            }
            let hidden = try layer(x, [12, 6], "first", .relu)
            graph.outputs = [try layer(hidden, [4, 12], "last", .none)]
            return (graph, try #require(graph.nodes[0].inputs[1]))
        }
        func train(_ unit: Float) throws -> (moved: Float, weights: [Float]) {
            let (graph, first) = try network(unit)
            let numbers = Samples.floats([64, 6], seed: 3).floats().map { $0 * unit }
            let data = try Samples.dataset([("x", try Samples.tensor(numbers, [64, 6]))], for: graph)
            let broken = try damaged(graph, level: 0.3, seed: 5)
            let result = try tuned(broken, FineTuning(epochs: 8, learningRate: 0.002, clip: 0), data, teacher: graph)
            let (before, after) = (broken[first].constant?.floats() ?? [], result[first].constant?.floats() ?? [])
            return (zip(before, after).map { abs($0 - $1) * unit }.max() ?? 0, after.map { $0 * unit })
        }
        let (plain, scaled) = (try train(1), try train(256))
        #expect(plain.moved > 0.02)
        for (a, b) in zip(plain.weights, scaled.weights) { #expect(abs(a - b) < 0.1 * plain.moved, "\(a) \(b)") }
    }

    private func request(_ recipe: Recipe, training: String?, validation: String?) throws -> CompressionRequest {
        let loaded = try LoadedModel(path: models + "/vibration.onnx")
        func dataset(_ name: String?) throws -> Dataset? {
            try name.map { try Dataset(path: "\(models)/vibration-\($0).npz", inputs: loaded.inputs) }
        }
        var request = CompressionRequest(
            model: loaded, profile: DeviceProfile(memory: .bytes(1 << 28)), recipe: .fixed(recipe),
            calibration: try dataset("calibration"), validation: try dataset(validation), metric: .top1,
            onlineCPUs: 2, totalMemory: 1 << 30)
        request.training = try dataset(training)
        return request
    }

    @Test func everyStepIsReported() throws {
        let recipe = Recipe(
            name: "two", steps: [.fineTune(FineTuning(epochs: 1)), .quantize(Quantization())])
        let artifact = try Compressor(try request(recipe, training: nil, validation: "validation")).run()
        let steps = try #require(artifact.description.report?.steps)
        #expect(steps.map(\.name) == ["fine_tune", "quantize"])
        #expect(steps[0].note?.contains("loss") == true && steps[1].note == nil)
        #expect(steps.allSatisfy { ($0.after.macs ?? 0) > 0 && $0.after.accuracy != nil && $0.after.bytes > 0 })
        #expect(steps[1].after.bytes < steps[0].after.bytes)
        #expect(steps[0].after.accuracy.map { $0.value > 0.9 } == true)
    }

    /// Labels count where there are any and they are classes; else distillation goes on without, and says so.
    @Test func labelsCountWhereThereAreAny() throws {
        let loaded = try LoadedModel(path: models + "/vibration.onnx")
        let labelled = try Dataset(path: models + "/vibration-calibration.npz", inputs: loaded.inputs)
        let input = try #require(loaded.inputs.first)
        let shape = Shape([24] + input.shape.dims.dropFirst())
        let bare = try Samples.dataset([(input.name, Samples.floats(shape, seed: 3))], for: loaded.graph)
        func run(_ weight: Double, _ data: Dataset, _ metric: Metric = .top1) throws -> (bits: [[Float]], note: String)
        {
            let (graph, note) = try FineTunePass(
                tuning: FineTuning(epochs: 1, labelWeight: weight), data: data, teacher: loaded.graph, metric: metric,
                options: RuntimeOptions(threads: 1), progress: { _ in }
            ).run(try damaged(loaded.graph, level: 0.6, seed: 1))
            return (graph.trainableConstants.compactMap { graph[$0].constant?.floats() }, note)
        }
        let (with, without) = (try run(1, labelled), try run(0, labelled))
        #expect(!with.note.contains("labels") && !without.note.contains("labels"))
        #expect(with.bits != without.bits)
        #expect(try run(1, bare).note.contains("without labels: the data hold none"))
        let regression = try run(1, labelled, .mse)
        #expect(regression.note.contains("without labels: the model is no classifier"))
        #expect(regression.bits == (try run(0, labelled, .mse)).bits)
    }

    @Test func whatMakesNoSenseIsRefused() throws {
        let tune = RecipeStep.fineTune(FineTuning(epochs: 1))
        let cases: [([RecipeStep], training: String?, validation: String?, says: String)] = [
            ([.quantize(Quantization()), tune], nil, nil, "before 'quantize'"),
            ([tune], "validation", "validation", "--validation"),
            ([.fineTune(FineTuning(loss: .crossEntropy))], nil, nil, "--data"),
            ([.fineTune(FineTuning(layers: [GlobPattern("no such layer")]))], nil, nil, "layers"),
        ]
        for (steps, training, validation, says) in cases {
            let request = try request(Recipe(name: "x", steps: steps), training: training, validation: validation)
            let error = #expect(throws: CompressError.self) { try Compressor(request).run() }
            #expect(error?.message.contains(says) == true, "\(error?.message ?? "")")
        }
    }
}
