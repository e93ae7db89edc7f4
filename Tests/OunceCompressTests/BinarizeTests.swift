import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTestSupport
import OunceTrain
import Synchronization
import Testing

@testable import OunceCompress

/// The recipe step `binarize`, and signs in int8.
@Suite(.serialized) struct BinarizeTests {
    /// Two convolutions with a shortcut, a third behind a pool; first and last layers around them.
    private func network(seed: UInt64) throws -> Graph {
        var random = RandomSource(seed: seed)
        var graph = Graph(name: "net")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 8, 8, 2])))
        graph.inputs = [x]
        func conv(_ from: ValueID, _ inputs: Int, _ activation: Activation, _ name: String) throws -> ValueID {
            let reach = (6 / Float(9 * inputs)).squareRoot()
            let w = graph.addConstant(random.tensor([16, 3, 3, inputs], in: -reach...reach), name: name + ".w")
            let b = graph.addConstant(random.tensor([16], in: -0.1...0.1), name: name + ".b")
            let attributes = Convolution(
                strides: [1, 1], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1], activation: activation)
            return try graph.append(.conv(attributes), [from, w, b], name: name)
        }
        let first = try conv(x, 2, .relu, "first")
        let a = try conv(first, 16, .relu, "a")
        let b = try conv(a, 16, .none, "b")
        let sum = try graph.append(.binary(.add, .relu), [b, first], name: "sum")
        let pool = Pooling(
            kind: .max, kernel: [2, 2], strides: [2, 2], dilations: [1, 1], padBefore: [0, 0], padAfter: [0, 0])
        let c = try conv(try graph.append(.pool(pool), [sum], name: "pool"), 16, .relu, "c")
        let mean = try graph.append(.reduce(.mean, axes: [1, 2], keepDims: false), [c], name: "mean")
        let w = graph.addConstant(random.tensor([4, 16], in: -0.5...0.5), name: "last.w")
        let bias = graph.addConstant(random.tensor([4], in: -0.1...0.1), name: "last.b")
        graph.outputs = [try graph.append(.fullyConnected(.none), [mean, w, bias], name: "last")]
        return graph
    }

    private func samples(_ graph: Graph, seed: UInt64, count: Int = 48) throws -> Dataset {
        try Samples.dataset([("x", Samples.floats([count, 8, 8, 2], seed: seed))], for: graph)
    }

    private func binarized(
        _ graph: Graph, _ recipe: Binarization, checkpoints: CheckpointFiles? = nil
    ) throws -> (graph: Graph, note: String) {
        let data = try samples(graph, seed: 5)
        return try BinarizePass(recipe: recipe, data: data, options: RuntimeOptions(threads: 2)) { round, tuning in
            FineTunePass(
                tuning: tuning, data: data, teacher: graph, metric: .fidelity, options: RuntimeOptions(threads: 2),
                checkpoints: checkpoints?.store("round-\(round)", key: "key"), progress: { _ in })
        }.run(graph)
    }

    private func fidelity(_ graph: Graph, to reference: Graph) throws -> Double {
        try Evaluator(metric: .fidelity, dataset: try samples(reference, seed: 6)).evaluate(
            try Model(graph: graph, options: RuntimeOptions()),
            reference: try Model(graph: reference, options: RuntimeOptions())
        ).value
    }

    private let short = FineTuning(epochs: 6, learningRate: 0.005, batchSize: 16)

    @Test(arguments: [true, false]) func signsAreSigns(isProgressive: Bool) throws {
        let graph = try network(seed: 1)
        let (binary, note) = try binarized(graph, Binarization(isProgressive: isProgressive, fineTuning: short))
        #expect(note.hasPrefix("3 layers"))
        #expect(binary.binaryWeights().count == 3)
        for node in binary.nodes {
            let weights = node.inputs.count > 1 ? node.inputs[1].flatMap { binary[$0].constant?.floats() } : nil
            guard let weights, ["first", "a", "b", "c", "last"].contains(node.name) else { continue }
            let inner = weights.count / (node.name == "last" ? 4 : 16)
            let sizes = stride(from: 0, to: weights.count, by: inner).map { start in
                Set(weights[start..<start + inner].map(abs)).count
            }
            let isInner = ["a", "b", "c"].contains(node.name)
            #expect(sizes.allSatisfy { ($0 == 1) == isInner }, "\(node.name)")
            guard isInner else { continue }
            let producer = try #require(node.inputs[0].flatMap { binary.producers()[$0] })
            #expect(SignInsertion.isSign(binary.nodes[producer]), "\(node.name)")
        }
        // What only `b` reads takes its threshold into `a`'s bias; the others' inputs are read by others, too.
        let names = binary.nodes.map(\.name)
        #expect(names.contains("a/minus_threshold") && !names.contains("b/minus_threshold"))
        #expect(try fidelity(binary, to: graph) > 0.5)
    }

    @Test func int8KeepsWhatTheSignsSay() throws {
        let graph = try network(seed: 2)
        let (binary, _) = try binarized(graph, Binarization(fineTuning: short))
        let calibrator = Calibrator(graph: binary, dataset: try samples(graph, seed: 7), options: RuntimeOptions())
        let quantized = try QuantizePass(recipe: Quantization(minInputSQNR: 0)).quantized(calibrator)
        #expect(try fidelity(quantized, to: binary) > 0.85)
        let model = try Model(graph: quantized, options: RuntimeOptions(selection: .variant("xnor")))
        let steps = try model.measureSteps(seconds: 0)
        for name in ["a", "b", "c"] {
            #expect(steps.contains { $0.node == name && $0.kernel.hasSuffix("_xnor") }, "\(steps.map(\.kernel))")
        }
        // The sign of what `a` makes is in its clamp, a threshold in a convolution of one place.
        #expect(!steps.contains { $0.node == "b/sign" || $0.node == "a/sign" })
    }

    /// Thresholds between the steps of a grid: int8 must give every sign right, and with it the sums.
    @Test(arguments: [2, 3, 4]) func thresholdsInInt8(rank: Int) throws {
        var random = RandomSource(seed: UInt64(rank))
        let (inputs, outputs) = (12, 5)
        let places = rank == 2 ? 1 : 6
        let middle = rank == 2 ? [] : rank == 3 ? [6] : [2, 3]
        var graph = Graph(name: "signs")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, Shape([1] + middle + [inputs]))))
        graph.inputs = [x]
        let identity = (0..<inputs * inputs).map { $0 / inputs == $0 % inputs ? 1 : 0 as Float }
        let eye = graph.addConstant(try Samples.tensor(identity, [inputs, inputs]), name: "eye")
        let same = try graph.append(.fullyConnected(.none), [x, eye], name: "same")
        let thresholds = (0..<inputs).map { _ in Float(random.int(-40...40)) * 0.1 + 0.05 }
        let constant = graph.addConstant(Tensor(thresholds), name: "t")
        let minus = try graph.append(.binary(.subtract, .none), [same, constant], name: "minus")
        let sign = try graph.append(.unary(.function(.sign)), [minus], name: "sign")
        let weights = (0..<inputs * outputs).map { _ in random.int(0...1) == 0 ? -1 : 1 as Float }
        let w = graph.addConstant(try Samples.tensor(weights, [outputs, inputs]), name: "w")
        graph.outputs = [try graph.append(.fullyConnected(.none), [sign, w], name: "sums")]
        // Multiples of a tenth, the largest in every sample: the grid holds them exactly.
        var numbers = (0..<8 * places * inputs).map { _ in Float(random.int(-127...127)) * 0.1 }
        for sample in 0..<8 { numbers[sample * places * inputs] = 12.7 }
        let data = try Samples.dataset(
            [("x", try Samples.tensor(numbers, Shape([8] + middle + [inputs])))], for: graph)
        let recipe = Quantization(calibration: .minmax, minInputSQNR: 0, floatOutput: false, symmetric: true)
        let quantized = try QuantizePass(recipe: recipe).quantized(
            Calibrator(graph: graph, dataset: data, options: RuntimeOptions()))
        #expect(!quantized.nodes.contains { SignInsertion.isSign($0) || $0.op == .binary(.subtract, .none) })
        let model = try Model(graph: quantized, options: RuntimeOptions(selection: .variant("xnor")))
        #expect(try model.measureSteps(seconds: 0).contains { $0.node == "sums" && $0.kernel.hasSuffix("_xnor") })
        for sample in 0..<8 {
            let output = try #require(try model.run(try data.sample(sample)).first).floats()
            for place in 0..<places {
                for o in 0..<outputs {
                    let sum = (0..<inputs).reduce(Float(0)) { sum, i in
                        let value = numbers[(sample * places + place) * inputs + i]
                        return sum + (value > thresholds[i] ? weights[o * inputs + i] : -weights[o * inputs + i])
                    }
                    // Sums of twelve signs are even numbers; the grid of the output is finer.
                    #expect((output[place * outputs + o] / 2).rounded() * 2 == sum)
                }
            }
        }
    }

    @Test func fineTuningKeepsSigns() throws {
        let graph = try network(seed: 3)
        let (binary, _) = try binarized(graph, Binarization(activations: .float32, fineTuning: short))
        #expect(!binary.nodes.contains(where: SignInsertion.isSign))
        let data = try samples(graph, seed: 5)
        let tuned = try FineTunePass(
            tuning: short, data: data, teacher: graph, metric: .fidelity, options: RuntimeOptions(),
            progress: { _ in }
        ).run(binary).graph
        #expect(tuned.binaryWeights().count == 3)
        let bits = { (graph: Graph) in graph.values.compactMap { $0.constant?.floats() } }
        #expect(bits(tuned) != bits(binary))
    }

    /// A run that was killed in either round ends with the bits of one that was left alone.
    @Test func checkpointsOfRounds() throws {
        let graph = try network(seed: 4)
        let recipe = Binarization(fineTuning: short)
        let kept = Mutex<[String: [[UInt8]]]>([:])
        let recording = CheckpointFiles(load: { _ in nil }) { name, bytes in
            kept.withLock { $0[name, default: []].append(bytes) }
        }
        let bits = { (graph: Graph) in graph.values.compactMap { $0.constant?.floats().map(\.bitPattern) } }
        let whole = bits(try binarized(graph, recipe, checkpoints: recording).graph)
        let saved = kept.withLock { $0 }
        #expect(saved.keys.sorted() == ["round-1", "round-2"])
        for rounds in [["round-1"], ["round-1", "round-2"]] {
            let resuming = CheckpointFiles(
                load: { name in rounds.contains(name) ? saved[name]?.first : nil }, save: { _, _ in })
            #expect(bits(try binarized(graph, recipe, checkpoints: resuming).graph) == whole)
        }
    }

    @Test func whatMakesNoSenseIsRefused() throws {
        let graph = try network(seed: 1)
        for (recipe, says) in [
            (Binarization(selection: LayerSelection(layers: [GlobPattern("first")])), "keep_ends"),
            (Binarization(selection: LayerSelection(layers: [GlobPattern("nothing")])), "layers"),
        ] {
            let error = #expect(throws: CompressError.self) { try binarized(graph, recipe) }
            #expect(error?.message.contains(says) == true)
        }
        let calibrator = Calibrator(graph: graph, dataset: try samples(graph, seed: 7), options: RuntimeOptions())
        let quantized = try QuantizePass(recipe: Quantization()).quantized(calibrator)
        let error = #expect(throws: CompressError.self) { try binarized(quantized, Binarization()) }
        #expect(error?.message.contains("before 'quantize'") == true)
    }
}
