import Glibc
import OunceGraph
import OunceTestSupport
import Testing

@testable import OunceTrain

/// What compression steps hook into: learned grids and importance.
@Suite struct HookTests {
    /// A fully connected layer with a grid on its weights: forward, and the gradient of every scale as the paper states it.
    @Test(arguments: [false, true]) func learnedScales(perChannel: Bool) throws {
        var c = GradientCase(seed: perChannel ? 11 : 12)
        let x = c.constant(c.random.tensor([3, 7]))
        let w = c.parameter([5, 7])
        c.graph.outputs = [try c.node(.fullyConnected(.none), [x, w])]
        let scales: [Float] = perChannel ? [0.1, 0.2, 0.3, 0.05, 0.15] : [0.12]
        let quantizer = FakeQuantizer(bits: 4, scales: scales, axis: perChannel ? 0 : nil)
        #expect(quantizer.low == -7 && quantizer.high == 7)
        let program = try TrainingProgram(
            graph: c.graph, options: .init(trainable: [w], quantizers: [w: quantizer]))
        program.forward()
        let (input, weights) = (
            try #require(c.graph[x].constant).doubles(), try #require(c.graph[w].constant).floats()
        )
        func grid(_ index: Int) -> (value: Double, slope: Double, isInside: Bool) {
            let scale = scales[perChannel ? index / 7 : 0]
            let exact = weights[index] / scale
            let place = exact.rounded(.toNearestOrEven)
            let inside = (-7...7).contains(place)
            let q = min(max(place, -7), 7)
            return (Double(q * scale), Double(inside ? q - exact : q), inside)
        }
        for row in 0..<3 {
            for o in 0..<5 {
                let sum = (0..<7).reduce(0.0) { $0 + input[row * 7 + $1] * grid(o * 7 + $1).value }
                #expect(abs(Double(program.heads[0].x[row * 5 + o]) - sum) < 1e-5)
            }
        }
        let dy = c.random.floats(15)
        for (index, value) in dy.enumerated() { program.heads[0].dx[index] = value }
        program.backward()
        var weightGradient = [Double](repeating: 0, count: 35)
        for index in 0..<35 {
            for row in 0..<3 { weightGradient[index] += Double(dy[row * 5 + index / 7]) * input[row * 7 + index % 7] }
        }
        let own = try #require(program.parameters.first { $0.id == w })
        for index in 0..<35 {
            let expected = grid(index).isInside ? weightGradient[index] : 0
            #expect(abs(Double(own.gradient[index]) - expected) < 1e-5)
        }
        let learned = try #require(program.parameters.first { $0.quantizes == w })
        for (channel, gradient) in learned.gradient.enumerated() {
            let members = perChannel ? Array(channel * 7..<channel * 7 + 7) : Array(0..<35)
            let gain = 1 / (Double(members.count) * 7).squareRoot()
            let expected = members.reduce(0.0) { $0 + weightGradient[$1] * grid($1).slope } * gain
            // Of the factor to the scale at first, for changes relative to the mean of the scales.
            let mean = scales.reduce(0.0) { $0 + Double($1) } / Double(scales.count)
            let relative = expected * Double(scales[channel]) / (mean * mean)
            #expect(abs(Double(gradient) - relative) < 1e-5 * max(1, abs(relative)))
        }
    }

    /// Factors of groups: each group's step is the channel's scale times its factor, and all move the one scale.
    @Test func groupsOfWeights() throws {
        var c = GradientCase(seed: 13)
        let x = c.constant(c.random.tensor([2, 8]))
        let w = c.parameter([3, 8])
        c.graph.outputs = [try c.node(.fullyConnected(.none), [x, w])]
        let scales: [Float] = [0.02, 0.05, 0.03]
        let factors: [Float] = [1, 3, 2, 15, 7, 4]
        var quantizer = FakeQuantizer(bits: 4, scales: scales, axis: 0)
        quantizer.group = 4
        quantizer.factors = factors
        let program = try TrainingProgram(
            graph: c.graph, options: .init(trainable: [w], quantizers: [w: quantizer]))
        program.forward()
        let (input, weights) = (
            try #require(c.graph[x].constant).doubles(), try #require(c.graph[w].constant).floats()
        )
        func grid(_ index: Int) -> (value: Double, slope: Double) {
            let factor = factors[index / 4]
            let exact = weights[index] / (scales[index / 8] * factor)
            let place = exact.rounded(.toNearestOrEven)
            let q = min(max(place, -7), 7)
            let slope = (-7...7).contains(place) ? q - exact : q
            return (Double(q * factor * scales[index / 8]), Double(slope * factor))
        }
        for row in 0..<2 {
            for o in 0..<3 {
                let sum = (0..<8).reduce(0.0) { $0 + input[row * 8 + $1] * grid(o * 8 + $1).value }
                #expect(abs(Double(program.heads[0].x[row * 3 + o]) - sum) < 1e-5)
            }
        }
        let dy = c.random.floats(6)
        for (index, value) in dy.enumerated() { program.heads[0].dx[index] = value }
        program.backward()
        let learned = try #require(program.parameters.first { $0.quantizes == w })
        for (channel, gradient) in learned.gradient.enumerated() {
            let sum = (channel * 8..<channel * 8 + 8).reduce(0.0) { sum, index in
                let own = (0..<2).reduce(0.0) { $0 + Double(dy[$1 * 3 + channel]) * input[$1 * 8 + index % 8] }
                return sum + own * grid(index).slope
            }
            let mean = 0.1 / 3
            let expected = sum / (8.0 * 7).squareRoot() * Double(scales[channel]) / (mean * mean)
            #expect(abs(Double(gradient) - expected) < 1e-4 * max(1, abs(expected)))
        }
    }

    /// A convolution with a grid on its weights: their gradient, pass after pass, is that of the rounded weights where they
    /// lie within the grid.
    @Test(arguments: [1, 4]) func gradientThroughRoundedKernels(groups: Int) throws {
        func gradients(_ quantized: Bool) throws -> (first: [Float], second: [Float], weights: [Float]) {
            var c = GradientCase(seed: 14)
            let x = c.constant(c.random.tensor([2, 5, 5, 4]))
            let w = c.parameter([8, 3, 3, 4 / groups])
            let conv = Convolution(
                strides: [1, 1], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1], groups: groups)
            c.graph.outputs = [try c.node(.conv(conv), [x, w])]
            var weights = try #require(c.graph[w].constant).floats()
            let step: Float = 0.25
            if !quantized {
                weights = weights.map { max(-7, min(7, ($0 / step).rounded(.toNearestOrEven))) * step }
                c.graph[w].constant = Tensor(weights, shape: [8, 3, 3, 4 / groups])
            }
            let quantizer = FakeQuantizer(bits: 4, scales: [step], learnsScale: false)
            let program = try TrainingProgram(
                graph: c.graph, options: .init(trainable: [w], quantizers: quantized ? [w: quantizer] : [:], threads: 2)
            )
            var found: [[Float]] = []
            for _ in 0..<2 {
                program.zeroGradients()
                program.forward()
                for index in 0..<program.heads[0].count { program.heads[0].dx[index] = program.heads[0].x[index] }
                program.backward()
                found.append(program.parameters[0].gradient)
            }
            return (found[0], found[1], weights)
        }
        let (rounded, plain) = (try gradients(true), try gradients(false))
        #expect(rounded.first == rounded.second)
        for (a, b) in zip(rounded.first, plain.first) { #expect(abs(a - b) <= 1e-4 * max(1, abs(b))) }
    }

    @Test func trainingMovesScales() throws {
        let graph = try SmallNet.graph(seed: 1, flattens: true)
        let data = try SmallNet.data(count: 64, seed: 2)
        let w = graph.trainableConstants[0]
        let activation = try #require(graph.nodes[0].outputs.first)
        let constraints = TrainingConstraints(quantizers: [
            w: FakeQuantizer(bits: 4, scales: [Float](repeating: 0.05, count: 12), axis: 0),
            activation: FakeQuantizer(bits: 8, isSymmetric: false, zeroPoint: -128, scales: [0.02]),
        ])
        let trainer = try Trainer(
            graph: graph, settings: SmallNet.settings(), constraints: constraints, sampleCount: 64)
        let result = try trainer.run(data)
        #expect(trainer.samplesPerPass == 16)
        #expect(result.lastLoss < result.firstLoss)
        #expect(result.scales[w]?.count == 12 && result.scales[w] != [Float](repeating: 0.05, count: 12))
        #expect(result.scales[activation].map { $0[0] != 0.02 && $0[0] > 0 } == true)
    }

    /// Channel importance by its definition: how far the loss moves, to first order, when a channel of a sample vanishes.
    @Test func channelImportance() throws {
        let graph = try SmallNet.graph(seed: 1)
        let data = try SmallNet.data(count: 16, seed: 2)
        let value = try #require(graph.nodes[2].outputs.first)
        let settings = SmallNet.settings { $0.threads = 1 }
        let trainer = try Trainer(graph: graph, settings: settings, probes: [value], sampleCount: 16)
        let feeder = try BatchFeeder(data, program: trainer.program, teacher: nil, settings: settings)
        _ = feeder.pass(at: 0, samples: 16, of: 16)
        let importance = trainer.program.importance[0]
        #expect(importance.samples == 16 && importance.scores.count == 12)
        // Scaling channel c of one sample by 1 - e changes the loss by -e * sum(value * gradient).
        var scaled = graph
        let factor = scaled.addConstant(Tensor([Float](repeating: 1, count: 12)), name: "factor")
        var nodes: [Node] = []
        for node in graph.nodes {
            nodes.append(node)
            if node.outputs.first == value {
                let id = scaled.add(Value(name: "scaled", type: graph[value].type))
                nodes.append(
                    Node(name: "scale", op: .binary(.multiply, .none), inputs: [value, factor], outputs: [id]))
            }
        }
        let id = ValueID(scaled.values.count - 1)
        scaled.nodes = nodes.map { node in
            guard node.name != "scale" else { return node }
            var node = node
            node.inputs = node.inputs.map { $0 == value ? id : $0 }
            return node
        }
        func loss(_ sample: Int, _ channel: Int, _ size: Float) throws -> Double {
            var changed = scaled
            changed[factor].constant = Tensor((0..<12).map { $0 == channel ? size : 1 })
            let x = try #require(
                Tensor(Array(data.inputs[0].floats()[sample * 128..<(sample + 1) * 128]), shape: [1, 8, 8, 2]))
            let scores = try Interpreter().run(changed, [x])[0].values
            return -log(scores[Int(data.labels[sample])])
        }
        for channel in [0, 5, 11] {
            var expected = 0.0
            for sample in 0..<16 {
                expected += abs(try loss(sample, channel, 1.001) - loss(sample, channel, 0.999)) / 0.002 / 16
            }
            #expect(abs(Double(importance.scores[channel]) - expected) < 0.02 * expected + 1e-4)
        }
    }
}
