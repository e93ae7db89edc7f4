import Glibc
import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTestSupport
import OunceTrain
import Synchronization
import Testing

@testable import OunceCompress

@Suite(.serialized) struct PruneTests {
    private let models = Samples.root.appending(path: "Config/models").path

    /// `x [1,4] -> fc a (relu) -> fc b`, with weights that are given.
    private func small(_ a: [Float], _ b: [Float], hidden: Int) throws -> Graph {
        var graph = Graph(name: "small")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 4])))
        graph.inputs = [x]
        let wa = graph.addConstant(try Samples.tensor(a, [hidden, 4]), name: "a/w")
        let wb = graph.addConstant(try Samples.tensor(b, [3, hidden]), name: "b/w")
        let h = try graph.append(.fullyConnected(.relu), [x, wa], name: "a")
        graph.outputs = [try graph.append(.fullyConnected(.none), [h, wb], name: "b")]
        return graph
    }

    private func dataset(_ graph: Graph, count: Int, seed: UInt64, labels: Bool) throws -> (Dataset, [Float], [Int32]) {
        var random = RandomSource(seed: seed)
        let numbers = random.floats(count * 4)
        let classes = (0..<count).map { _ in Int32(random.int(0...2)) }
        var arrays: [(name: String, tensor: Tensor)] = [("x", try Samples.tensor(numbers, [count, 4]))]
        if labels { arrays.append(("labels", Tensor(classes))) }
        return (try Samples.dataset(arrays, for: graph), numbers, classes)
    }

    @Test func magnitudesAreThoseComputedByHand() throws {
        let graph = try small(
            [1, -2, 3, 0, 0, 0, 1, 1, 2, 2, 2, -2], [1, 0, -1, 2, 0, 0, 0, 3, 1], hidden: 3)
        let coupling = try ChannelCoupling(graph)
        let family = try #require(coupling.families().first)
        let scores = ChannelScores(coupling: coupling, graph: graph)
        func values(_ importance: Pruning.Importance) throws -> [Double] {
            let found = try scores.scores(family, importance, seed: 1, taylor: [:])
            return family.sets.map { found[$0] ?? .nan }
        }
        func expect(_ importance: Pruning.Importance, _ wanted: [Double]) throws {
            for (a, b) in zip(try values(importance), wanted) { #expect(abs(a - b) < 1e-6, "\(importance)") }
        }
        // Rows of a: 6, 2, 8 of a mean of 16/3; columns of b: 3, 3, 2 of a mean of 8/3.
        try expect(
            .l1, [6 / (16.0 / 3) + 3 / (8.0 / 3), 2 / (16.0 / 3) + 3 / (8.0 / 3), 8 / (16.0 / 3) + 2 / (8.0 / 3)])
        func l2(_ squares: [Double]) -> [Double] {
            let roots = squares.map { $0.squareRoot() }
            return roots.map { $0 * 3 / roots.reduce(0, +) }
        }
        try expect(.l2, zip(l2([14, 2, 16]), l2([5, 9, 2])).map { $0 + $1 })
        let (d01, d02, d12) = ((10.0).squareRoot(), (22.0).squareRoot(), (18.0).squareRoot())
        let sums = [d01 + d02, d01 + d12, d02 + d12]
        try expect(.geometricMedian, sums.map { $0 * 3 / sums.reduce(0, +) })
        let error = #expect(throws: CompressError.self) { try values(.scale) }
        #expect(error?.message.contains("folded") == true)
        #expect(try values(.random) == values(.random))
    }

    /// The mean square of derivatives by a factor of the channel: of the log-likelihood of classes drawn from the softened
    /// answer, by finite differences and over all classes by their probability.
    @Test func taylorIsTheDerivative() throws {
        print("seed 4")
        var random = RandomSource(seed: 4)
        let (a, b) = (random.floats(20), random.floats(15))
        let graph = try small(a, b, hidden: 5)
        let count = TaylorScores.samples
        let (data, numbers, _) = try dataset(graph, count: count, seed: 6, labels: true)
        let coupling = try ChannelCoupling(graph)
        let family = try #require(coupling.families().first)
        func scores(_ seed: Int) throws -> [Int: Double] {
            try TaylorScores(data: data, metric: .top1, options: RuntimeOptions(), seed: seed)
                .channels(coupling, of: graph)
        }
        let found = try scores(1)
        #expect(try scores(1) == found && scores(2) != found)
        func logLikelihoods(_ sample: Int, _ channel: Int, _ factor: Double) -> [Double] {
            var scaled = b.map { Double($0) }
            for row in 0..<3 { scaled[row * 5 + channel] *= factor }
            let x = numbers[sample * 4..<sample * 4 + 4].map { Double($0) }
            let hidden = (0..<5).map { h in max(0, (0..<4).reduce(0.0) { $0 + Double(a[h * 4 + $1]) * x[$1] }) }
            let logits = (0..<3).map { o in (0..<5).reduce(0.0) { $0 + scaled[o * 5 + $1] * hidden[$1] } / 4 }
            let sum = logits.reduce(0.0) { $0 + Double.exponential($1) }
            return logits.map { $0 - Double.logarithm(sum) }
        }
        for (channel, root) in family.sets.enumerated() {
            var squares = 0.0
            for sample in 0..<count {
                let chances = logLikelihoods(sample, channel, 1).map { Double.exponential($0) }
                let (low, high) = (logLikelihoods(sample, channel, 0.999), logLikelihoods(sample, channel, 1.001))
                for (index, chance) in chances.enumerated() {
                    let slope = 4 * (high[index] - low[index]) / 0.002
                    squares += chance * slope * slope
                }
            }
            let wanted = (squares * Double(TaylorScores.draws)).squareRoot()
            #expect(abs((found[root] ?? .nan) - wanted) < 0.15 * wanted, "channel \(channel)")
        }
    }

    @Test func blocksAreWhatSparseKernelsTake() throws {
        print("seed 2")
        var random = RandomSource(seed: 2)
        var graph = Graph(name: "conv")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 8, 8, 8])))
        graph.inputs = [x]
        let w = graph.addConstant(random.tensor([16, 3, 3, 8]), name: "w")
        let op = Convolution(strides: [1, 1], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1])
        graph.outputs = [try graph.append(.conv(op), [x, w], name: "conv")]
        let weights = try #require(graph[w].constant?.floats())
        for importance in [Pruning.Importance.l1, .l2, .random] {
            for scope in [Pruning.Scope.layer, .global] {
                let pruning = Pruning(
                    what: .blocks(outputs: 1, inputs: 4), importance: importance, amount: .removed(0.8), scope: scope)
                let result = try WeightPruner(pruning: pruning, graph: graph).pruned(taylor: nil, share: 1)
                let pruned = try #require(result.graph[w].constant?.floats())
                let starts = stride(from: 0, to: pruned.count, by: 4)
                let blocks = starts.map { start in pruned[start..<start + 4].map { $0 == 0 } }
                #expect(blocks.allSatisfy { Set($0).count == 1 })
                let gone = starts.filter { pruned[$0] == 0 }
                #expect(gone.count == 230, "80 % of 288")
                #expect(zip(pruned, weights).allSatisfy { $0 == 0 || $0 == $1 })
                guard importance != .random else { continue }
                func size(_ start: Int) -> Float {
                    weights[start..<start + 4].reduce(0) { $0 + (importance == .l1 ? abs($1) : $1 * $1) }
                }
                let kept = starts.filter { pruned[$0] != 0 }
                #expect((gone.map(size).max() ?? 9) <= (kept.map(size).min() ?? 0))
                // What is left of int8 has the same zeros, and the sparse kernel may take it.
                let constant = try #require(result.graph[w].constant)
                let stored = try #require(WeightQuantizer.quantize(constant, perChannel: true))
                #expect(zip(stored.weights.doubles(), pruned).allSatisfy { $1 != 0 || $0 == 0 })
            }
        }
    }

    @Test func patternsKeepTheLargestOfEachGroup() throws {
        let graph = try small(
            [1, -2, 3, 0.5, 5, 4, -3, 2, 1, 1, -7, 8], [Float](repeating: 1, count: 9), hidden: 3)
        let pruning = Pruning(
            what: .pattern(kept: 2, group: 4), amount: .removed(0.5),
            selection: LayerSelection(layers: [GlobPattern("a")]))
        let result = try WeightPruner(pruning: pruning, graph: graph).pruned(taylor: nil, share: 1)
        let w = try #require(graph.nodes[0].inputs[1])
        #expect(result.graph[w].constant?.floats() == [0, -2, 3, 0, 5, 4, 0, 0, 0, 0, -7, 8])
        #expect(result.zeros == 0.5)
    }

    /// Small weights of a layer with small weights stay where others matter less.
    @Test func globalScopeDoesNotEmptyLayers() throws {
        print("seed 8")
        var random = RandomSource(seed: 8)
        let graph = try small(random.floats(64, in: -0.01...0.01), random.floats(48, in: -10...10), hidden: 16)
        let pruning = Pruning(what: .weights, amount: .removed(0.75))
        let result = try WeightPruner(pruning: pruning, graph: graph).pruned(taylor: nil, share: 1)
        for node in graph.nodes {
            let weights = try #require(node.inputs[1].flatMap { result.graph[$0].constant?.floats() })
            let zeros = Double(weights.count { $0 == 0 }) / Double(weights.count)
            #expect((0.5...0.95).contains(zeros))
        }
        #expect(abs(result.zeros - 0.75) < 0.02)
    }

    @Test func roundsFollowTheirSchedule() {
        let cubic = Pruning(what: .weights, amount: .removed(0.8), rounds: 4)
        let wanted = [1 - 0.421875, 1 - 0.125, 1 - 0.015625, 1]
        for (round, share) in wanted.enumerated() { #expect(abs(cubic.progress(after: round + 1) - share) < 1e-12) }
        let linear = Pruning(what: .weights, amount: .removed(0.8), rounds: 4, schedule: .linear)
        #expect(linear.progress(after: 1) == 0.25 && linear.progress(after: 4) == 1)
    }

    @Test func countsAreWhatKernelsLike() {
        #expect(ChannelCounts.near(44.8, of: 64, unit: ChannelCounts.unit(64)) == 48)
        #expect(ChannelCounts.near(22.4, of: 32, unit: ChannelCounts.unit(32)) == 24)
        #expect(ChannelCounts.near(0.2, of: 16, unit: ChannelCounts.unit(16)) == 4)
        #expect(ChannelCounts.near(3, of: 3, unit: 1) == 3)
        #expect(ChannelCounts.steps(below: 64, unit: 16) == [48, 32, 16])
        #expect(ChannelCounts.steps(below: 16, unit: 4) == [12, 8, 4])
        #expect(ChannelCounts.steps(below: 512, unit: 16).count <= 8)
        #expect(ChannelCounts.steps(below: 4, unit: 4) == [])
    }

    /// The residual of least squares is orthogonal to what it is fitted with.
    @Test func reconstructionIsLeastSquares() throws {
        print("seed 3")
        var random = RandomSource(seed: 3)
        let (rows, width) = (200, 6)
        let x = random.floats(rows * width).map { Double($0) }
        var moments = [Double](repeating: 0, count: width * width)
        for r in 0..<rows {
            for i in 0..<width { for j in 0..<width { moments[i * width + j] += x[r * width + i] * x[r * width + j] } }
        }
        let (from, to) = ([0, 2, 3, 5], [1, 4])
        let map = try #require(ChannelReconstruction.leastSquares(moments, width, from: from, to: to))
        for (t, target) in to.enumerated() {
            for source in from {
                var product = 0.0
                for r in 0..<rows {
                    var residual = x[r * width + target]
                    for (k, place) in from.enumerated() { residual -= map[t * 4 + k] * x[r * width + place] }
                    product += residual * x[r * width + source]
                }
                #expect(abs(product) < 1e-2 * Double(rows) / 3)
            }
        }
    }

    // MARK: As a step

    private func request(
        _ steps: [RecipeStep], data: String? = "calibration", checkpoints: CheckpointFiles? = nil
    ) throws -> CompressionRequest {
        let loaded = try LoadedModel(path: models + "/vibration.onnx")
        func dataset(_ name: String) throws -> Dataset {
            try Dataset(path: "\(models)/vibration-\(name).npz", inputs: loaded.inputs)
        }
        var request = CompressionRequest(
            model: loaded, profile: DeviceProfile(memory: .bytes(1 << 28)),
            recipe: .fixed(Recipe(name: "p", steps: steps)), calibration: try data.map(dataset),
            validation: try dataset("validation"), metric: .top1, onlineCPUs: 2, totalMemory: 1 << 30)
        request.checkpoints = checkpoints
        return request
    }

    @Test func aSmallModelKeepsItsAccuracy() throws {
        let tuning = FineTuning(epochs: 4, learningRate: 0.002, batchSize: 32)
        let artifact = try Compressor(
            try request([
                .prune(
                    Pruning(
                        what: .channels, importance: .taylor, amount: .cost(macs: 0.5, time: nil), rounds: 2,
                        fineTuning: tuning)), .quantize(Quantization()),
            ])
        ).run()
        let report = try #require(artifact.description.report)
        let steps = try #require(report.steps)
        let (before, after) = (report.before.accuracy?.value ?? 0, report.after.accuracy?.value ?? 0)
        print("vibration: \(before) to \(after); \(steps[0].note ?? "")")
        #expect(after > before - 0.05)
        let loaded = try LoadedModel(path: models + "/vibration.onnx")
        #expect(Double(try #require(steps[0].after.macs)) <= 0.5 * Double(loaded.graph.macs))
        #expect(artifact.graph.parameterCount < loaded.graph.parameterCount)
    }

    @Test func zerosStayZeroInFineTuningAndInt8() throws {
        let steps: [RecipeStep] = [
            .prune(Pruning(what: .blocks(outputs: 1, inputs: 4), amount: .removed(0.8), rounds: 2)),
            .fineTune(FineTuning(epochs: 2, learningRate: 0.002, batchSize: 32)), .quantize(Quantization()),
        ]
        let request = try request(steps)
        let runner = RecipeRunner(request: request, options: RuntimeOptions(threads: 2), progress: { _ in })
        let stages = Mutex<[Graph]>([])
        let last = try runner.apply(Recipe(name: "p", steps: steps), to: request.model.graph) { stage in
            stages.withLock { $0.append(stage.graph) }
        }
        let graphs = stages.withLock { $0 } + [try #require(last?.graph)]
        let names = Set(graphs[0].nodes.filter { graphs[0].layerKind($0) != nil }.map(\.name))
        var layers = 0
        for name in names {
            let weights = try graphs.map { graph -> [Double] in
                let node = try #require(graph.nodes.first { $0.name == name })
                let constant = try #require(node.inputs[1].flatMap { graph[$0].constant })
                return constant.doubles()
            }
            let zeros = weights[0].indices.filter { weights[0][$0] == 0 }
            guard zeros.count * 10 >= weights[0].count else { continue }
            layers += 1
            #expect(zeros.allSatisfy { weights[1][$0] == 0 && weights[2][$0] == 0 }, "\(name)")
            #expect(weights[0] != weights[1] || zeros.count == weights[0].count)
        }
        #expect(layers >= 2)
    }

    /// A run that is killed in the midst of its rounds, three times, ends with the same bits.
    @Test func aKilledRunEndsTheSame() throws {
        struct Killed: Error {}
        let steps: [RecipeStep] = [
            .prune(
                Pruning(
                    what: .channels, amount: .removed(0.5), rounds: 3,
                    fineTuning: FineTuning(epochs: 1, learningRate: 0.002, batchSize: 32)))
        ]
        func graph(_ checkpoints: CheckpointFiles?) throws -> Graph {
            let request = try request(steps, checkpoints: checkpoints)
            let runner = RecipeRunner(request: request, options: RuntimeOptions(threads: 2), progress: { _ in })
            let stage = try runner.apply(Recipe(name: "p", steps: steps), to: request.model.graph) { _ in }
            let graph = stage?.graph
            return try #require(graph)
        }
        let alone = try graph(nil)
        final class Folder: Sendable {
            let files = Mutex<[String: [UInt8]]>([:])
            let left = Mutex(0)
        }
        let folder = Folder()
        let files = CheckpointFiles(
            load: { name in folder.files.withLock { $0[name] } },
            save: { name, bytes in
                let dies = folder.left.withLock { left in
                    left -= 1
                    return left < 0
                }
                if dies { throw Killed() }
                folder.files.withLock { $0[name] = bytes }
            })
        // Each training saves once at its end: the run dies in its first, second and third round.
        for saves in [0, 1, 1] {
            folder.left.withLock { $0 = saves }
            #expect(throws: CompressError.self) { try graph(files) }
        }
        folder.left.withLock { $0 = 1000 }
        let resumed = try graph(files)
        let constants = [alone, resumed].map { graph in graph.values.compactMap { $0.constant?.floats() } }
        #expect(constants[0] == constants[1])
        #expect(folder.files.withLock { $0.count } == 3)
    }

    @Test func whatMakesNoSenseIsRefused() throws {
        let prune: (Pruning) -> RecipeStep = { .prune($0) }
        let cases: [([RecipeStep], data: String?, says: String)] = [
            (
                [.quantize(Quantization()), prune(Pruning(what: .weights, amount: .removed(0.5)))], "calibration",
                "before 'quantize'"
            ),
            ([prune(Pruning(what: .channels, importance: .taylor, amount: .removed(0.5)))], nil, "give --data"),
            ([prune(Pruning(what: .channels, amount: .cost(macs: 0.5, time: nil)))], nil, "scope: layer"),
            ([prune(Pruning(what: .channels, importance: .scale, amount: .removed(0.5)))], nil, "folded"),
            ([prune(Pruning(what: .heads, amount: .removed(0.5)))], nil, "no attention"),
            (
                [
                    prune(
                        Pruning(
                            what: .weights, amount: .removed(0.5),
                            selection: LayerSelection(layers: [GlobPattern("no")])))
                ],
                nil, "ounce inspect"
            ),
            (
                [prune(Pruning(what: .channels, amount: .cost(macs: 0.01, time: nil), scope: .layer))], nil,
                "even with the fewest"
            ),
        ]
        for (steps, data, says) in cases {
            let request = try request(steps, data: data)
            let error = #expect(throws: CompressError.self) { try Compressor(request).run() }
            #expect(error?.message.contains(says) == true, "\(error?.message ?? "")")
        }
    }

    /// Distillation that does not help leaves the weights as they were.
    @Test func distillationNeverMakesItWorse() throws {
        let loaded = try LoadedModel(path: models + "/vibration.onnx")
        let data = try Dataset(path: models + "/vibration-calibration.npz", inputs: loaded.inputs, limit: 100)
        let pass = FineTunePass(
            tuning: FineTuning(epochs: 3, learningRate: 3, clip: 0), data: data, teacher: loaded.graph, metric: .top1,
            options: RuntimeOptions(), progress: { _ in })
        let (graph, note) = try pass.run(loaded.graph)
        #expect(note.contains("stay as they were"))
        #expect(graph.values.map { $0.constant?.floats() } == loaded.graph.values.map { $0.constant?.floats() })
    }
}

extension Double {
    fileprivate static func exponential(_ x: Double) -> Double { Glibc.exp(x) }
    fileprivate static func logarithm(_ x: Double) -> Double { Glibc.log(x) }
}
