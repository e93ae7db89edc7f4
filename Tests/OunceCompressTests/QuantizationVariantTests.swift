import Glibc
import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

@testable import OunceCompress
@testable import OunceTrain

/// Weights below int8, learned rounding, int16 activations, half precision and training on the grid.
@Suite(.serialized) struct QuantizationVariantTests {
    private static func conv(_ stride: Int = 1, groups: Int = 1) -> Op {
        .conv(
            Convolution(
                strides: [stride, stride], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1], groups: groups,
                activation: .relu))
    }

    /// A residual network: five layers, an addition, a depthwise convolution, a mean, scores.
    private func network(seed: UInt64) throws -> Graph {
        var random = RandomSource(seed: seed)
        var graph = Graph(name: "residual")
        func weights(_ shape: Shape) -> ValueID {
            let fan = Float(shape.dims.dropFirst().reduce(1, *))
            return graph.addConstant(
                random.tensor(shape, in: -(3 / fan).squareRoot()...(3 / fan).squareRoot()), name: "w\(shape)")
        }
        func bias(_ count: Int) -> ValueID {
            graph.addConstant(random.tensor([count], in: -0.1...0.1), name: "b\(count)")
        }
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [-1, 8, 8, 3])))
        graph.inputs = [x]
        let first = try graph.append(Self.conv(), [x, weights([32, 3, 3, 3]), bias(32)], name: "first")
        let second = try graph.append(Self.conv(), [first, weights([32, 3, 3, 32]), bias(32)], name: "second")
        let sum = try graph.append(.binary(.add, .none), [first, second], name: "sum")
        let depth = try graph.append(Self.conv(2, groups: 32), [sum, weights([32, 3, 3, 1]), bias(32)], name: "depth")
        let third = try graph.append(Self.conv(), [depth, weights([64, 3, 3, 32]), bias(64)], name: "third")
        let mean = try graph.append(.reduce(.mean, axes: [1, 2], keepDims: false), [third], name: "mean")
        graph.outputs = [
            try graph.append(.fullyConnected(.none), [mean, weights([10, 64]), bias(10)], name: "scores")
        ]
        return graph
    }

    private func dataset(_ graph: Graph, count: Int, seed: UInt64) throws -> Dataset {
        try Samples.dataset([("x", Samples.floats([count, 8, 8, 3], seed: seed))], for: graph)
    }

    private func quantized(_ graph: Graph, _ recipe: Quantization, _ data: Dataset) throws -> QuantizePass.Outcome {
        try QuantizePass(recipe: recipe).run(
            graph, Calibrator(graph: graph, dataset: data, options: RuntimeOptions()))
    }

    private func stored(_ graph: Graph, _ name: String) throws -> [Int] {
        let node = try #require(graph.nodes.first { $0.name == name })
        return try #require(node.inputs[1].flatMap { graph[$0].constant }?.integers())
    }

    private func distinct(_ graph: Graph, _ name: String) throws -> Int { Set(try stored(graph, name)).count }

    /// Squared error of the outputs over their squares, by the naive interpreter.
    private func error(_ graph: Graph, _ other: Graph, _ samples: Tensor) throws -> Double {
        let a = try Interpreter().run(graph, [samples])[0].values
        let b = try Interpreter().run(other, [samples])[0].values
        return zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / a.reduce(0) { $0 + $1 * $1 }
    }

    private func artifactBytes(_ graph: Graph) throws -> (count: Int, graph: Graph) {
        let provenance = Provenance(
            ounceVersion: Ounce.version, modelName: "m", modelHash: "", profileName: "", profileHash: "",
            recipeName: "", recipeHash: "", calibrationHash: nil, validationHash: nil)
        let bytes = try Artifact(graph: graph, provenance: provenance, report: nil, selfChecks: []).encoded()
        let file = try TemporaryFile(bytes, name: "m.ounce")
        return (bytes.count, try withExtendedLifetime(file) { try Artifact.open(path: file.path).graph })
    }

    // MARK: Rounding

    /// On samples that rounding has not seen, over several layers and widths of numbers.
    @Test func learnedRoundingBeatsNearest() throws {
        for (seed, kind) in [(1, WeightFormat.Kind.int4), (2, .int2), (3, .int8)] as [(UInt64, WeightFormat.Kind)] {
            print("seed \(seed)")
            var random = RandomSource(seed: seed)
            var graph = Graph(name: "layer")
            let x = graph.add(Value(name: "x", type: TensorType(.float32, [-1, 64])))
            graph.inputs = [x]
            let w = graph.addConstant(random.tensor([24, 64]), name: "w")
            graph.outputs = [try graph.append(.fullyConnected(.none), [x, w], name: "layer")]
            /// Inputs of which each has much in common with its neighbours, as those of real layers have.
            func samples(_ count: Int) throws -> Tensor {
                var numbers: [Float] = []
                for _ in 0..<count {
                    let own = random.floats(66)
                    for i in 0..<64 { numbers.append(own[i] + 0.8 * own[i + 1] + 0.6 * own[i + 2] + 0.5) }
                }
                return try Samples.tensor(numbers, [count, 64])
            }
            let data = try Samples.dataset([("x", try samples(400))], for: graph)
            let format = WeightFormat(kind, group: kind == .int8 ? nil : 32)
            func recipe(_ rounding: WeightSettings.Rounding) -> Quantization {
                Quantization(
                    weights: WeightSettings(format, rounding: rounding, keepsEnds: false), activations: .float32)
            }
            let fresh = try samples(200)
            let nearest = try quantized(graph, recipe(.nearest), data).graph
            let learned = try quantized(graph, recipe(.learned), data)
            let errors = (try error(graph, nearest, fresh), try error(graph, learned.graph, fresh))
            print("\(kind.rawValue): nearest \(errors.0), learned \(errors.1): \(learned.note ?? "")")
            #expect(errors.1 < 0.6 * errors.0)
            #expect(learned.note?.contains("learned rounding") == true)
        }
    }

    /// Convolutions with padding, strides and groups, and int8 activations around them.
    @Test func learnedRoundingInANetwork() throws {
        let graph = try network(seed: 4)
        let data = try dataset(graph, count: 48, seed: 5)
        let fresh = Samples.floats([16, 8, 8, 3], seed: 6)
        func settings(_ rounding: WeightSettings.Rounding) -> Quantization {
            Quantization(weights: WeightSettings(WeightFormat(.int4, group: 32), rounding: rounding, keepsEnds: false))
        }
        let nearest = try error(graph, try quantized(graph, settings(.nearest), data).graph, fresh)
        let learned = try error(graph, try quantized(graph, settings(.learned), data).graph, fresh)
        print("network: nearest \(nearest), learned \(learned)")
        #expect(learned < 0.8 * nearest)
    }

    // MARK: Formats

    @Test func formatsOfLayers() throws {
        let graph = try network(seed: 7)
        let data = try dataset(graph, count: 16, seed: 8)
        let plain = try quantized(
            graph, Quantization(weights: WeightSettings(WeightFormat(.int4))), data)
        #expect(plain.note == "int8: 3 layers, int4: 2")
        // First, last and depthwise layers keep eight bits.
        for name in ["second", "third"] { #expect(try distinct(plain.graph, name) <= 15, "\(name)") }
        for name in ["first", "depth", "scores"] { #expect(try distinct(plain.graph, name) > 40, "\(name)") }
        let own = WeightSettings(
            WeightFormat(.int2, group: 32),
            overrides: [.init(LayerSelection(layers: [GlobPattern("sec*")]), format: .int8)], keepsEnds: false)
        let mixed = try quantized(graph, Quantization(weights: own), data)
        #expect(try distinct(mixed.graph, "second") > 40)
        for name in ["third", "scores"] {
            // A factor for each group and three places.
            let numbers = try stored(mixed.graph, name)
            let most = stride(from: 0, to: numbers.count, by: 32).map {
                Set(numbers[$0..<min($0 + 32, numbers.count)].map(abs)).subtracting([0]).count
            }.max()
            #expect(most == 1, "\(name)")
        }
    }

    @Test func narrowWeightsAreSmallInArtifacts() throws {
        let graph = try network(seed: 9)
        let data = try dataset(graph, count: 16, seed: 10)
        let int8 = try artifactBytes(try quantized(graph, Quantization(), data).graph)
        for (kind, group, share) in [(WeightFormat.Kind.int4, 32, 0.53), (.int4, 16, 0.56), (.int2, 32, 0.28)] {
            let settings = WeightSettings(WeightFormat(kind, group: group))
            let small = try quantized(graph, Quantization(weights: settings), data).graph
            let (bytes, again) = try artifactBytes(small)
            // What the two inner layers keep of their bytes; the rest is as in int8.
            let inner = 32 * 9 * 32 + 64 * 9 * 32
            let saved = Double(inner) * (1 - share)
            print("\(kind) in groups of \(group): \(int8.count) bytes to \(bytes)")
            #expect(Double(int8.count - bytes) > saved - 600)
            for name in ["second", "third"] { #expect(try stored(again, name) == stored(small, name)) }
            let samples = Samples.floats([1, 8, 8, 3], seed: 11)
            let outputs = try [small, again].map {
                try Model(graph: $0, options: RuntimeOptions()).run([samples])[0].floats()
            }
            #expect(outputs[0] == outputs[1])
        }
    }

    @Test func halfPrecision() throws {
        let graph = try network(seed: 12)
        let recipe = Quantization(weights: WeightSettings(WeightFormat(.float16)), activations: .float32)
        let half = try QuantizePass(recipe: recipe).run(graph, nil).graph
        for (before, after) in zip(graph.nodes, half.nodes) {
            guard before.inputs.count > 1, let w = before.inputs[1].flatMap({ graph[$0].constant }),
                let rounded = after.inputs[1].flatMap({ half[$0].constant })
            else { continue }
            #expect(rounded.floats() == w.floats().map { Float(Float16($0)) }, "\(before.name)")
        }
        let (float, small) = (try artifactBytes(graph), try artifactBytes(half))
        print("float \(float.count) bytes, half \(small.count)")
        #expect(Double(small.count) < 0.56 * Double(float.count))
        let samples = Samples.floats([2, 8, 8, 3], seed: 13)
        #expect(try error(half, small.graph, samples) == 0)
        #expect(try error(graph, half, samples) < 1e-5)
    }

    // MARK: int16

    @Test func wideActivations() throws {
        let graph = try network(seed: 14)
        let data = try dataset(graph, count: 32, seed: 15)
        let samples = Samples.floats([4, 8, 8, 3], seed: 16)
        func recipe(_ activations: Quantization.Activations) -> Quantization { Quantization(activations: activations) }
        let wide = try quantized(graph, recipe(.int16), data).graph
        try wide.validate()
        for name in ["first", "second", "sum", "depth", "third", "mean", "scores"] {
            let value = try #require(wide.values.first { $0.name == name })
            #expect(value.dtype == .int16 && value.encoding.affine?.zeroPoint == 0, "\(name)")
        }
        // The naive interpreter rounds to the same grids.
        let expected = try Interpreter().run(wide, [samples])[0].values
        let outputs = try Model(graph: wide, options: RuntimeOptions())
        for row in 0..<4 {
            let one = try #require(
                Tensor(Array(samples.floats()[row * 192..<(row + 1) * 192]), shape: [1, 8, 8, 3]))
            for (place, value) in try outputs.run([one])[0].floats().enumerated() {
                #expect(abs(Double(value) - expected[row * 10 + place]) < 1e-3)
            }
        }
        // What is left is the rounding of the weights.
        let weightsOnly = try error(graph, try quantized(graph, recipe(.float32), data).graph, samples)
        let (int8, int16) = (
            try error(graph, try quantized(graph, recipe(.int8), data).graph, samples), try error(graph, wide, samples)
        )
        print("int8 \(int8), int16 \(int16), float activations \(weightsOnly)")
        #expect(int16 < 0.5 * int8 && int16 < 1.2 * weightsOnly)
    }

    // MARK: Training on the grid

    /// What the fake-quantised graph computes when training ends is what the int8 graph computes.
    @Test(arguments: [WeightFormat.Kind.int8, .int4]) func trainedAndQuantisedAgree(kind: WeightFormat.Kind) throws {
        let graph = try network(seed: 17)
        let data = try dataset(graph, count: 64, seed: 18)
        let format = WeightFormat(kind, group: kind == .int8 ? nil : 32)
        let recipe = Quantization(weights: WeightSettings(format), floatOutput: false)
        var seen: (graph: Graph, quantizers: [ValueID: FakeQuantizer])?
        let training = QuantizationTraining { (graph, constraints, frozen) throws(CompressError) in
            var pass = FineTunePass(
                // Of another network, so that there is something to learn.
                tuning: FineTuning(epochs: 4, batchSize: 16), data: data, teacher: try self.teacher(seed: 19),
                metric: .top1, options: RuntimeOptions(), progress: { _ in })
            pass.constraints = constraints
            let trained = try pass.train(graph)
            var learned = constraints.quantizers
            for (id, scales) in trained.result.scales {
                learned[id]?.scales = scales
                learned[id]?.learnsScale = false
            }
            seen = (trained.result.graph, learned)
            return trained
        }
        let calibrator = Calibrator(graph: graph, dataset: data, options: RuntimeOptions())
        let outcome = try QuantizePass(recipe: recipe).run(graph, calibrator, training: training)
        #expect(outcome.note?.contains("trained on the grid") == true)
        let (fake, quantizers) = try #require(seen)
        // Every scale was learned; every layer and integer value has one.
        #expect(quantizers.count == 5 + 8)
        let single = try fake.bound(to: [:])
        let program = try TrainingProgram(
            graph: single, options: TrainingProgram.Options(trainable: [], quantizers: quantizers))
        let model = try Model(graph: outcome.graph, options: RuntimeOptions())
        let before = try Model(graph: graph, options: RuntimeOptions())
        var (difference, drift, size) = (0.0, 0.0, 0.0)
        for seed in UInt64(30)..<46 {
            let sample = Samples.floats([1, 8, 8, 3], seed: seed)
            for (index, number) in sample.floats().enumerated() { program.inputs[0].x[index] = number }
            program.forward()
            let (int8, float) = (try model.run([sample])[0].floats(), try before.run([sample])[0].floats())
            for index in 0..<10 {
                let trained = program.outputs[0].x[index]
                difference += Double((int8[index] - trained) * (int8[index] - trained))
                drift += Double((int8[index] - float[index]) * (int8[index] - float[index]))
                size += Double(float[index] * float[index])
            }
        }
        print("\(kind): int8 against trained \(difference / size), against float \(drift / size)")
        // A step of an int8 grid here and there, where sums lie next to the middle between two.
        #expect(difference / size < 1e-4)
        #expect(difference < 0.2 * drift)
    }

    private func teacher(seed: UInt64) throws(CompressError) -> Graph {
        do { return try network(seed: seed) } catch { throw CompressError(.recipe, "\(error)") }
    }

    /// Weights of one size in every channel are stored as they are, whatever training does to others.
    @Test func signsAreLeftAlone() throws {
        var graph = try network(seed: 19)
        let id = try #require(graph.nodes[1].inputs[1])
        let weights = try #require(graph[id].constant)
        graph[id].constant = Tensor(weights.floats().map { $0 < 0 ? -0.05 : Float(0.05) }, shape: weights.shape)
        let data = try dataset(graph, count: 16, seed: 20)
        let training = QuantizationTraining { (graph, constraints, frozen) throws(CompressError) in
            #expect(frozen == [id] && constraints.quantizers[id] == nil)
            var pass = FineTunePass(
                tuning: FineTuning(epochs: 1), data: data, teacher: try self.teacher(seed: 19), metric: .top1,
                options: RuntimeOptions(), progress: { _ in })
            pass.constraints = constraints
            pass.frozen = frozen
            return try pass.train(graph)
        }
        let outcome = try QuantizePass(recipe: Quantization()).run(
            graph, Calibrator(graph: graph, dataset: data, options: RuntimeOptions()), training: training)
        #expect(Set(try stored(outcome.graph, "second")) == [-1, 1])
    }
}
