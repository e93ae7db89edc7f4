import OunceGraph
import OunceTestSupport
import Testing

@testable import OunceTrain

/// Signs in training: forward what they are, backward what the estimators say.
@Suite struct SignTests {
    /// The slopes as the papers state them, in Double.
    private func slope(_ kind: SignEstimator.Kind, _ x: Double, width: Double) -> Double {
        let u = x / width
        switch kind {
        case .clipped: return abs(u) <= 1 ? 1 / width : 0
        case .approximate: return u <= -1 || u >= 1 ? 0 : (u < 0 ? 2 + 2 * u : 2 - 2 * u) / width
        }
    }

    @Test(arguments: SignEstimator.Kind.allCases, [1, 2]) func ofActivations(kind: SignEstimator.Kind, threads: Int)
        throws
    {
        var c = GradientCase(seed: 21)
        let x = c.parameter([6, 5], in: -2...2)
        let sign = try c.node(.unary(.function(.sign)), [x])
        let factors = c.constant(c.random.tensor([6, 5]))
        c.graph.outputs = [try c.node(.binary(.multiply, .none), [sign, factors])]
        let widths: [Float] = [0.5, 1, 1.5, 2, 0.25]
        var options = TrainingProgram.Options(trainable: [x], threads: threads)
        options.signs = [sign: SignEstimator(kind, widths: widths)]
        let program = try TrainingProgram(graph: c.graph, options: options)
        program.forward()
        let (values, scale) = (
            try #require(c.graph[x].constant).floats(), try #require(c.graph[factors].constant).floats()
        )
        let dy = c.random.floats(30)
        for (index, value) in dy.enumerated() {
            #expect(program.heads[0].x[index] == (values[index] > 0 ? scale[index] : -scale[index]))
            program.heads[0].dx[index] = value
        }
        program.backward()
        let gradient = try #require(program.parameters.first).gradient
        for index in 0..<30 {
            let expected =
                Double(dy[index] * scale[index]) * slope(kind, Double(values[index]), width: Double(widths[index % 5]))
            #expect(abs(Double(gradient[index]) - expected) < 1e-5, "\(index)")
        }
    }

    /// A fully connected layer of signs with a size for each output.
    @Test func ofWeights() throws {
        var c = GradientCase(seed: 22)
        let x = c.constant(c.random.tensor([3, 7]))
        let w = c.parameter([5, 7])
        c.graph.outputs = [try c.node(.fullyConnected(.none), [x, w])]
        let sizes: [Float] = [0.1, 0.2, 0.3, 0.05, 0.15]
        var options = TrainingProgram.Options(trainable: [w])
        options.binaryWeights = [w: BinaryQuantizer(sizes: sizes, estimator: SignEstimator(.clipped, widths: [0.6]))]
        let program = try TrainingProgram(graph: c.graph, options: options)
        program.forward()
        let (input, weights) = (
            try #require(c.graph[x].constant).doubles(), try #require(c.graph[w].constant).doubles()
        )
        func sign(_ index: Int) -> Double { weights[index] < 0 ? -1 : 1 }
        for row in 0..<3 {
            for o in 0..<5 {
                var sum = 0.0
                for k in 0..<7 { sum += input[row * 7 + k] * sign(o * 7 + k) * Double(sizes[o]) }
                #expect(abs(Double(program.heads[0].x[row * 5 + o]) - sum) < 1e-5)
            }
        }
        let dy = c.random.floats(15)
        for (index, value) in dy.enumerated() { program.heads[0].dx[index] = value }
        program.backward()
        var gradients = [Double](repeating: 0, count: 35)
        for index in 0..<35 {
            for row in 0..<3 {
                gradients[index] += Double(dy[row * 5 + index / 7]) * input[row * 7 + index % 7]
            }
        }
        let own = try #require(program.parameters.first { $0.id == w })
        for index in 0..<35 {
            let expected = gradients[index] * Double(sizes[index / 7]) * slope(.clipped, weights[index], width: 0.6)
            #expect(abs(Double(own.gradient[index]) - expected) < 1e-5)
        }
        let factors = try #require(program.parameters.first { $0.quantizes == w })
        #expect(factors.values == [1, 1, 1, 1, 1])
        for (channel, gradient) in factors.gradient.enumerated() {
            var sum = 0.0
            for index in channel * 7..<channel * 7 + 7 { sum += gradients[index] * sign(index) }
            #expect(abs(Double(gradient) - sum * Double(sizes[channel]) / 7.0.squareRoot()) < 1e-5)
        }
    }

    /// In a unit, a parameter moves as it would if it were written in that unit.
    @Test(arguments: [OptimizerKind.sgd, .adamW]) func units(kind: OptimizerKind) throws {
        func trained(unit: Float) throws -> [Float] {
            var c = GradientCase(seed: 23)
            let x = c.constant(try #require(Tensor([1, 2, 3] as [Float], shape: [1, 3])))
            let start: [Float] = [0.5, -1, 2]
            let w = c.graph.addConstant(try #require(Tensor(start.map { $0 / unit }, shape: [1, 3])), name: "w")
            let input = c.graph.add(Value(name: "x", type: TensorType(.float32, [1, 3])))
            c.graph.inputs = [input]
            // y = (unit · x) · w
            let factor = c.constant(try #require(Tensor([unit, unit, unit] as [Float], shape: [1, 3])))
            let scaled = try c.node(.binary(.multiply, .none), [input, factor])
            c.graph.outputs = [try c.node(.fullyConnected(.none), [scaled, w])]
            let settings = TrainingSettings(
                loss: .mse, optimizer: kind, learningRate: 0.01, schedule: Schedule(.constant), epochs: 3, batchSize: 1)
            var constraints = TrainingConstraints(trainable: [w])
            constraints.units = [w: [1 / unit]]
            let data = try TrainingData(
                inputs: [try #require(c.graph[x].constant)], targets: Tensor([7] as [Float], shape: [1, 1]))
            let result = try Trainer(graph: c.graph, settings: settings, constraints: constraints, sampleCount: 1).run(
                data)
            return try #require(result.graph[w].constant).floats().map { $0 * unit }
        }
        let plain = try trained(unit: 1)
        #expect(plain != [0.5, -1, 2])
        for (a, b) in zip(plain, try trained(unit: 4)) { #expect(abs(a - b) < 1e-5, "\(a) \(b)") }
    }
}
