import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTestSupport
import OunceTrain
import Testing

@testable import OunceCompress

/// Layers as products of smaller ones, judged by the naive reference.
@Suite struct LowRankTests {
    private func graph(
        _ input: Shape, _ op: Op, weights: Tensor, bias: Tensor?
    ) throws -> Graph {
        var graph = Graph(name: "layer")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, input)))
        graph.inputs = [x]
        let w = graph.addConstant(weights, name: "w")
        let b = bias.map { graph.addConstant($0, name: "b") }
        graph.outputs = [try graph.append(op, [x, w, b], name: "layer")]
        return graph
    }

    private func pass(_ recipe: LowRank, _ data: Dataset? = nil) -> LowRankPass {
        LowRankPass(
            recipe: recipe, calibration: data, options: RuntimeOptions(), isInt8: false, progress: { _ in })
    }

    /// `[samples, features]` that lie near a plane of 4 dimensions that no weights know of, away from zero.
    private func correlated(samples: Int, features: Int) throws -> Tensor {
        let factors = Samples.floats([samples, 4], seed: 11).floats()
        let mixing = Samples.floats([4, features], seed: 12).floats()
        let noise = Samples.floats([samples, features], seed: 13, in: -0.01...0.01).floats()
        return try Samples.tensor(
            (0..<samples * features).map { index in
                let (row, column) = (index / features, index % features)
                return (0..<4).reduce(2 + noise[index]) { $0 + factors[row * 4 + $1] * mixing[$1 * features + column] }
            }, [samples, features])
    }

    private func outputs(_ graph: Graph, _ samples: Tensor) throws -> [Double] {
        try Interpreter().run(graph, [samples])[0].values
    }

    private func error(_ a: [Double], _ b: [Double]) -> Double {
        zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / a.reduce(0) { $0 + $1 * $1 }
    }

    @Test func fullRankIsTheLayer() throws {
        let graph = try graph(
            [-1, 20], .fullyConnected(.relu), weights: Samples.floats([16, 20], seed: 1),
            bias: Samples.floats([16], seed: 2))
        let layer = try #require(LowRankLayer(graph.nodes[0], in: graph, moments: nil))
        let x = Samples.floats([5, 20], seed: 3)
        let whole = try outputs(graph, x)
        let product = try replaced(graph, layer, .svd, .svd(rank: 16))
        #expect(product.nodes.count == 2)
        #expect(error(whole, try outputs(product, x)) < 1e-10)
    }

    private func replaced(
        _ graph: Graph, _ layer: LowRankLayer, _ method: LowRank.Method, _ form: Factorization.Form
    ) throws -> Graph {
        var patch = GraphPatch(for: graph)
        let factors = LayerFactors(LayerDecomposition(layer, method: method), form)
        patch.replacements[0] = try factors.nodes(
            for: layer, in: graph, input: graph.inputs[0], add: { patch.add($0) })
        return try graph.applying(patch)
    }

    @Test(arguments: [
        (LowRank.Method.tucker2, Factorization.Form.tucker2(inputs: 6, outputs: 8)),
        (.spatial, .spatial(rank: 18)),
    ])
    func convolutionsOfFullRank(method: LowRank.Method, form: Factorization.Form) throws {
        let conv = Convolution(
            strides: [2, 1], dilations: [1, 2], padBefore: [1, 2], padAfter: [0, 1], activation: .relu6)
        let graph = try graph(
            [1, 9, 8, 6], .conv(conv), weights: Samples.floats([8, 3, 3, 6], seed: 4),
            bias: Samples.floats([8], seed: 5))
        let x = Samples.floats([1, 9, 8, 6], seed: 6)
        let data = try Samples.dataset([("x", Samples.floats([20, 1, 9, 8, 6], seed: 7, in: -1...3))], for: graph)
        let moments = try ChannelMoments.observe(
            [graph.inputs[0]], of: graph, over: data, options: RuntimeOptions(), progress: { _ in })
        for known in [nil, moments[graph.inputs[0]]] {
            let layer = try #require(LowRankLayer(graph.nodes[0], in: graph, moments: known))
            let product = try replaced(graph, layer, method, form)
            #expect(error(try outputs(graph, x), try outputs(product, x)) < 1e-9)
        }
    }

    /// Knowing the inputs, four dimensions suffice for what weights alone need all for.
    @Test func calibrationFindsWhatInputsNeed() throws {
        let graph = try graph(
            [-1, 40], .fullyConnected(.none), weights: Samples.floats([40, 40], seed: 1),
            bias: Samples.floats([40], seed: 2))
        let x = try correlated(samples: 200, features: 40)
        let data = try Samples.dataset([("x", x)], for: graph)
        let recipe = LowRank(method: .svd, target: .ratio(0.45), onlyFaster: false)
        let whole = try outputs(graph, x)
        let aware = try pass(recipe, data).run(graph)
        let blind = try pass(recipe).run(graph)
        #expect(aware.graph.parameterCount <= Int(0.45 * Double(graph.parameterCount)))
        #expect(blind.graph.parameterCount <= Int(0.45 * Double(graph.parameterCount)))
        let errors = (
            aware: error(whole, try outputs(aware.graph, x)), blind: error(whole, try outputs(blind.graph, x))
        )
        #expect(errors.aware < 1e-3, "\(errors)")
        #expect(errors.aware * 20 < errors.blind, "\(errors)")
        #expect(aware.note.contains("rank 8"), "\(aware.note)")
    }

    /// Outputs that the rest of the model hardly reads need no rank.
    @Test func gradientsFindWhatOutputsMatter() throws {
        var graph = Graph(name: "net")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 40])))
        graph.inputs = [x]
        let w = graph.addConstant(Samples.floats([40, 40], seed: 1), name: "w")
        let hidden = try graph.append(.fullyConnected(.relu), [x, w, nil], name: "first")
        let reading = Samples.floats([3, 40], seed: 2).floats().enumerated().map { $1 * ($0 % 40 < 6 ? 1 : 0.001) }
        let v = graph.addConstant(try Samples.tensor(reading, [3, 40]), name: "v")
        graph.outputs = [try graph.append(.fullyConnected(.none), [hidden, v, nil], name: "second")]
        let data = try Samples.dataset([("x", Samples.floats([200, 40], seed: 3))], for: graph)
        let recipe = LowRank(
            method: .svd, target: .ratio(0.5), onlyFaster: false,
            selection: LayerSelection(layers: [GlobPattern("first")]))
        let test = Samples.floats([1, 40], seed: 4)
        let whole = try outputs(graph, test)
        let aware = try pass(recipe, data).run(graph).graph
        let blind = try pass(recipe).run(graph).graph
        let errors = (error(whole, try outputs(aware, test)), error(whole, try outputs(blind, test)))
        #expect(errors.0 < 1e-2 && errors.0 * 10 < errors.1, "\(errors)")
    }

    /// The means of the outputs over the calibration samples do not move.
    @Test func keepsMeans() throws {
        let graph = try graph([-1, 40], .fullyConnected(.none), weights: Samples.floats([24, 40], seed: 1), bias: nil)
        let x = try correlated(samples: 100, features: 40)
        let data = try Samples.dataset([("x", x)], for: graph)
        let product = try pass(LowRank(target: .energy(0.6), onlyFaster: false), data).run(graph).graph
        let (a, b) = (try outputs(graph, x), try outputs(product, x))
        for channel in 0..<24 {
            let sums = stride(from: channel, to: a.count, by: 24).reduce((0.0, 0.0)) { ($0.0 + a[$1], $0.1 + b[$1]) }
            #expect(abs(sums.0 - sums.1) / 100 < 1e-3)
        }
    }

    /// The least rank with the energy asked for, by the singular values themselves.
    @Test func energyAndErrorSayTheRank() throws {
        // Outputs whose energies are 64, 16, 4, 1, … by construction.
        let numbers = (0..<12 * 12).map { index -> Float in
            let (row, column) = (index / 12, index % 12)
            return row == column ? 8 / Float(1 << row) : 0
        }
        let weights = try Samples.tensor(numbers, [12, 12])
        let graph = try graph([-1, 12], .fullyConnected(.none), weights: weights, bias: nil)
        func rank(_ target: LowRank.Target) throws -> String {
            try pass(LowRank(target: target, onlyFaster: false)).run(graph).note
        }
        // 64 + 16 + 4 + 1 of 85.33; ranks come in steps of 4 here.
        #expect(try rank(.energy(0.98)).contains("rank 4"))
        #expect(try rank(.error(0.1)).contains("rank 4"))
        #expect(try rank(.energy(0.99999)).contains("no rank keeps"))
    }

    @Test func saysWhatItLeaves() throws {
        let small = try graph([-1, 3], .fullyConnected(.none), weights: Samples.floats([2, 3]), bias: nil)
        let note = try pass(LowRank(onlyFaster: false)).run(small).note
        #expect(note.contains("never smaller: layer"), "\(note)")
        #expect(throws: CompressError.self) {
            try pass(LowRank(selection: LayerSelection(kinds: [.conv]))).run(small)
        }
    }

    /// What is measured slower is left alone, and measured once: a killed run goes on with what it had found.
    @Test func keepsWhatWasMeasured() throws {
        let graph = try graph([-1, 64], .fullyConnected(.none), weights: Samples.floats([64, 64]), bias: nil)
        let layer = try #require(LowRankLayer(graph.nodes[0], in: graph, moments: nil))
        var choices = MeasuredChoices()
        for rank in [8, 16, 24] {
            let pick = Factorization(form: .svd(rank: rank), parameters: 0, macs: 0, loss: 0)
            let times = TimePair(before: 1, after: rank == 8 ? 0.5 : 2)
            try choices.add(layer.measuringKey(pick, isInt8: false), times)
        }
        var pass = pass(LowRank(target: .energy(0.1)))
        pass.measured = choices
        let (result, note) = try pass.run(graph)
        #expect(result.nodes.count == 2, "\(note)")
        #expect(note.contains("rank 8"))
    }

    /// Channels of the value between the factors have about the same range, so that one int8 grid fits all.
    @Test func valuesBetweenFactorsAreEven() throws {
        let graph = try graph([-1, 40], .fullyConnected(.none), weights: Samples.floats([40, 40], seed: 1), bias: nil)
        let x = try correlated(samples: 200, features: 40)
        let data = try Samples.dataset([("x", x)], for: graph)
        var product = try pass(LowRank(target: .ratio(0.5), onlyFaster: false), data).run(graph).graph
        product.outputs = [product.nodes[0].outputs[0]]
        let between = try outputs(product, x)
        let channels = product[product.outputs[0]].shape[1]
        var deviations: [Double] = []
        for channel in 0..<channels {
            let values = stride(from: channel, to: between.count, by: channels).map { between[$0] }
            let mean = values.reduce(0, +) / Double(values.count)
            let deviation = (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
            #expect(abs(mean) < 1e-2 * deviation)
            deviations.append(deviation)
        }
        // Directions that samples do not have are allowed for, and smaller.
        #expect((deviations.max() ?? 0) < 2 * (deviations.prefix(4).min() ?? 0), "\(deviations)")
    }

    @Test func measurementsSurviveAKill() throws {
        let kept = Kept()
        func store(_ key: String) -> CheckpointStore {
            CheckpointStore(key: key, load: { kept.bytes }, save: { kept.bytes = $0 })
        }
        var choices = MeasuredChoices(store("a"))
        try choices.add("float32 conv k[3, 3]", TimePair(before: 1, after: 0.25))
        let again = MeasuredChoices(store("a"))
        #expect(again["float32 conv k[3, 3]"]?.after == 0.25)
        #expect(again["other"] == nil)
        #expect(MeasuredChoices(store("b"))["float32 conv k[3, 3]"] == nil)
        kept.bytes = Array("a\nx\t1\ty\t2\nx\tnan\t1\n\u{FFFD}\n".utf8)
        #expect(MeasuredChoices(store("a"))["x"] == nil)
    }

    private final class Kept {
        var bytes: [UInt8]?
    }

    @Test func noisyCopiesHaveTheNoiseAskedFor() throws {
        let graph = try graph([-1, 4], .fullyConnected(.none), weights: Samples.floats([2, 4]), bias: nil)
        let rows = (0..<100).flatMap { row -> [Float] in [Float(row), 5, row % 2 == 0 ? 1 : -1, 0] }
        let data = try Samples.dataset([("x", try Samples.tensor(rows, [100, 4]))], for: graph)
        let more = try data.withNoisyCopies(wanted: 1024, share: 0.5)
        #expect(more.count == 900)
        var squares = [Double](repeating: 0, count: 4)
        for index in 0..<900 {
            let (x, y) = (try more.sample(index)[0].doubles(), try data.sample(index % 100)[0].doubles())
            if index < 100 { #expect(x == y) }
            for element in 0..<4 { squares[element] += (x[element] - y[element]) * (x[element] - y[element]) / 800 }
        }
        #expect(squares[1] == 0 && squares[3] == 0)
        #expect(abs(squares[2].squareRoot() - 0.5) < 0.05)
        #expect(abs(squares[0].squareRoot() - 0.5 * 28.87) < 1.5)
        #expect(try data.withNoisyCopies(wanted: 100, share: 0.5).count == 100)
    }
}
