import Glibc
import OunceGraph
import OunceTestSupport
import Testing

@testable import OunceTrain

@Suite struct MixupTests {
    /// Mean and variance of a beta distribution with equal parameters: 1/2 and 1/(4 (2a + 1)).
    @Test(arguments: [Float(0.01), 0.2, 1, 4]) func sharesHaveTheirDistribution(_ parameter: Float) {
        var random = SplitMix(seed: 11)
        let shares = (0..<20_000).map { _ in Double(random.beta(parameter)) }
        #expect(shares.allSatisfy { (0...1).contains($0) })
        let mean = shares.reduce(0, +) / 20_000
        let variance = shares.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 20_000
        #expect(abs(mean - 0.5) < 0.015, "mean \(mean)")
        let expected = 1 / (4 * (2 * Double(parameter) + 1))
        #expect(abs(variance - expected) < 0.02 * expected + 0.001, "variance \(variance) for \(expected)")
    }

    @Test func theOtherSampleNeverOutweighs() {
        var random = SplitMix(seed: 3)
        let blends = (0..<2000).compactMap { _ in Augmentation(mixup: 1).blend(of: 7, random: &random) }
        #expect(blends.count == 2000 && blends.allSatisfy { (0...0.5).contains($0.share) })
        #expect(Set(blends.map(\.sample)) == Set(0..<7))
        #expect(Augmentation(shift: 2).blend(of: 7, random: &random) == nil)
    }

    /// Samples are powers of ten, so that what was blended shows in the sum.
    private func feed(_ augmentation: Augmentation, loss: Loss = .mse) throws -> [[Float]] {
        var graph = Graph(name: "line")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 3])))
        graph.inputs = [x]
        let w = graph.addConstant(try #require(Tensor([1, 0, 0] as [Float], shape: [1, 3])), name: "w")
        graph.outputs = [try graph.append(.fullyConnected(.none), [x, w], name: "y")]
        let wide = try #require(graph.rebatched(4))
        let program = try TrainingProgram(
            graph: wide, options: TrainingProgram.Options(trainable: Set(wide.trainableConstants)))
        let rows: [Float] = [1, 0, 0, 0, 1, 0, 0, 0, 1]
        let data = try TrainingData(
            inputs: [try #require(Tensor(rows, shape: [3, 3]))],
            targets: Tensor([1, 2, 3] as [Float], shape: [3, 1]))
        let settings = TrainingSettings(loss: loss, augmentation: augmentation, seed: 9)
        let feeder = try BatchFeeder(data, program: program, teacher: nil, settings: settings)
        var seen: [[Float]] = []
        for pass in 0..<30 {
            let loss = feeder.loss(at: pass * 4, samples: 4)
            var expected: Float = 0
            for sample in 0..<4 {
                let row = (0..<3).map { program.inputs[0].x[sample * 3 + $0] }
                seen.append(row)
                // Targets are blended as inputs are.
                let target = row[0] + 2 * row[1] + 3 * row[2]
                expected += (row[0] - target) * (row[0] - target)
            }
            #expect(abs(Float(loss) - expected) < 1e-4 * max(1, expected), "loss \(loss) for \(expected)")
        }
        return seen
    }

    @Test func samplesAndTargetsAreBlended() throws {
        let seen = try feed(Augmentation(mixup: 1))
        #expect(seen.allSatisfy { abs($0.reduce(0, +) - 1) < 1e-6 && $0.allSatisfy { (0...1).contains($0) } })
        #expect(seen.allSatisfy { $0.count { $0 > 0 } <= 2 && ($0.max() ?? 0) >= 0.4999 })
        #expect(seen.contains { ($0.max() ?? 1) < 0.9 })
        #expect(try feed(Augmentation(mixup: 1)) == seen)
        #expect(try feed(.none).allSatisfy { $0.max() == 1 })
    }

    /// Cross-entropy with a blend is the blend of the cross-entropies, and so is its gradient.
    @Test func labelsAreBlended() throws {
        var c = GradientCase(seed: 5)
        let scores = c.parameter([2, 5])
        c.graph.outputs = [try c.node(.unary(.negate), [scores])]
        let program = try TrainingProgram(graph: c.graph, options: .init(trainable: [scores]))
        program.forward()
        func apply(_ labels: [MixedLabel]) -> (Double, [Float]) {
            let (loss, _) = LossHead(loss: .crossEntropy, samples: 2).apply(
                program, labels: labels, targets: nil, teacher: nil, isClassifier: true, total: 2)
            return (loss, (0..<10).map { program.heads[0].dx[$0] })
        }
        func pure(_ a: Int32, _ b: Int32) -> (Double, [Float]) {
            apply([MixedLabel(own: a, other: a, share: 0), MixedLabel(own: b, other: b, share: 0)])
        }
        let (own, other) = (pure(1, 4), pure(3, 0))
        let mixed = apply([MixedLabel(own: 1, other: 3, share: 0.3), MixedLabel(own: 4, other: 0, share: 0.3)])
        #expect(abs(mixed.0 - (0.7 * own.0 + 0.3 * other.0)) < 1e-5)
        for (index, gradient) in mixed.1.enumerated() {
            #expect(abs(gradient - (0.7 * own.1[index] + 0.3 * other.1[index])) < 1e-5)
        }
    }

    /// Labels add their cross-entropy to what distillation counts, scores both times in the same units; here of a teacher
    /// that is the model itself, from which nothing is to be learned.
    @Test(arguments: [Float(1), 1000]) func labelsCountBesideATeacher(_ size: Float) throws {
        var c = GradientCase(seed: 5)
        let scores = c.parameter([2, 5])
        let factor = c.graph.addConstant(try #require(Tensor([size], shape: [1])), name: "size")
        c.graph.outputs = [try c.node(.binary(.multiply, .none), [scores, factor])]
        let program = try TrainingProgram(graph: c.graph, options: .init(trainable: [scores]))
        program.forward()
        let labels = [MixedLabel(own: 1, other: 3, share: 0.3), MixedLabel(own: 4, other: 4, share: 0)]
        func apply(_ loss: Loss) -> (loss: Double, gradient: [Float]) {
            let (loss, _) = LossHead(loss: loss, samples: 2).apply(
                program, labels: labels, targets: nil, teacher: program, isClassifier: true, total: 2)
            return (loss, (0..<10).map { program.heads[0].dx[$0] })
        }
        let none = apply(.distill(temperature: 2, divergence: 1, error: 0.5))
        #expect(abs(none.loss) < 1e-6 && none.gradient.allSatisfy { abs($0) < 1e-6 })
        let taught = apply(.distill(temperature: 2, divergence: 1, error: 0.5, labels: 0.7))
        let x = (0..<10).map { Double(program.heads[0].x[$0]) }
        let mean = x.reduce(0, +) / 10
        let deviation = (x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 10).squareRoot()
        let unit = max(1, deviation / 2)
        #expect((unit > 1) == (size > 1))
        var expected = 0.0
        for (sample, label) in labels.enumerated() {
            let row = x[(sample * 5)..<(sample * 5 + 5)].map { $0 / unit }
            let top = try #require(row.max())
            let sum = row.reduce(0) { $0 + exp($1 - top) }
            var goal = [Double](repeating: 0, count: 5)
            goal[Int(label.own)] += 1 - Double(label.share)
            goal[Int(label.other)] += Double(label.share)
            for i in 0..<5 {
                expected -= 0.7 * goal[i] * (row[i] - top - log(sum))
                let gradient = 0.7 / 2 / unit * (exp(row[i] - top) / sum - goal[i])
                #expect(abs(Double(taught.gradient[sample * 5 + i]) - gradient) < 1e-5)
            }
        }
        #expect(abs(taught.loss - expected) < 1e-5 * max(1, expected), "loss \(taught.loss) for \(expected)")
    }

    @Test func wholeNumbersCannotBeBlended() throws {
        var graph = Graph(name: "words")
        let x = graph.add(Value(name: "ids", type: TensorType(.int64, [1, 3])))
        graph.inputs = [x]
        var random = RandomSource(seed: 1)
        let table = graph.addConstant(random.tensor([10, 4], in: -1...1), name: "table")
        let rows = try graph.append(.gather(.slices(axis: 0)), [table, x], name: "rows")
        graph.outputs = [try graph.append(.reduce(.mean, axes: [1], keepDims: false), [rows], name: "mean")]
        let data = try TrainingData(inputs: [try #require(Tensor([Int64](repeating: 1, count: 6), shape: [2, 3]))])
        let settings = TrainingSettings(
            loss: .distillation, augmentation: Augmentation(mixup: 1), isClassifier: false)
        let trainer = try Trainer(graph: graph, settings: settings, teacher: graph, sampleCount: 2)
        let error = #expect(throws: TrainError.self) { try trainer.run(data) }
        #expect(error?.code == .data && error?.message.contains("ids") == true)
    }
}
