import OunceGraph
import OunceTestSupport
import Testing

@testable import OunceTrain

@Suite struct TrainerTests {
    private func train(
        _ graph: Graph, _ settings: TrainingSettings, data: TrainingData, teacher: Graph? = nil,
        constraints: TrainingConstraints = TrainingConstraints(), checkpoints: CheckpointStore? = nil
    ) throws -> TrainingResult {
        let trainer = try Trainer(
            graph: graph, settings: settings, teacher: teacher, constraints: constraints, sampleCount: data.count)
        return try trainer.run(data, checkpoints: checkpoints)
    }

    /// Share of samples that the naive reference puts into the right class.
    private func accuracy(_ graph: Graph, _ data: TrainingData) throws -> Double {
        var right = 0
        for sample in 0..<data.count {
            let numbers = Array(data.inputs[0].floats()[sample * 128..<(sample + 1) * 128])
            let x = try #require(Tensor(numbers, shape: [1, 8, 8, 2]))
            let scores = try Interpreter().run(graph, [x])[0].values
            if scores.indices.max(by: { scores[$0] < scores[$1] }) == Int(data.labels[sample]) { right += 1 }
        }
        return Double(right) / Double(data.count)
    }

    @Test(arguments: [false, true]) func learns(flattens: Bool) throws {
        let graph = try SmallNet.graph(seed: 1, flattens: flattens)
        let (data, unseen) = (try SmallNet.data(count: 128, seed: 2), try SmallNet.data(count: 24, seed: 3))
        let epochs = flattens ? 4.0 : 16
        let trainer = try Trainer(
            graph: graph, settings: SmallNet.settings { $0.epochs = epochs }, sampleCount: data.count)
        #expect(trainer.samplesPerPass == 16)
        let before = try accuracy(graph, unseen)
        let result = try trainer.run(data)
        let after = try accuracy(result.graph, unseen)
        #expect(result.lastLoss < result.firstLoss / 2)
        #expect(before < 0.6 && after > 0.9, "accuracy \(before) to \(after)")
        #expect(result.steps == Int(epochs) * 8)
    }

    @Test(arguments: [1, 2, 3]) func sameSeedSameBits(threads: Int) throws {
        let graph = try SmallNet.graph(seed: 1)
        let data = try SmallNet.data(count: 40, seed: 2)
        let settings = SmallNet.settings {
            $0.threads = threads
            $0.augmentation = Augmentation(shift: 1, flip: true, noise: 0.1, timeMask: 2, mixup: 1)
        }
        let first = try train(graph, settings, data: data)
        let second = try train(graph, settings, data: data)
        #expect(SmallNet.bits(first.graph) == SmallNet.bits(second.graph))
        var other = settings
        other.seed = 6
        #expect(SmallNet.bits(try train(graph, other, data: data).graph) != SmallNet.bits(first.graph))
    }

    @Test(arguments: [OptimizerKind.adamW, .sgd]) func resumesWithTheSameBits(_ optimizer: OptimizerKind) throws {
        let graph = try SmallNet.graph(seed: 1)
        let data = try SmallNet.data(count: 40, seed: 2)
        let settings = SmallNet.settings {
            $0.optimizer = optimizer
            $0.augmentation = Augmentation(shift: 1, mixup: 0.5)
        }
        var saved: [[UInt8]] = []
        let writing = CheckpointStore(key: "run", interval: 0, load: { nil }, save: { saved.append($0) })
        let whole = try train(graph, settings, data: data, checkpoints: writing)
        #expect(saved.count == whole.steps)
        for step in [0, 3, saved.count - 1] {
            let reading = CheckpointStore(key: "run", interval: 1e9, load: { saved[step] }, save: { _ in })
            let resumed = try train(graph, settings, data: data, checkpoints: reading)
            #expect(SmallNet.bits(resumed.graph) == SmallNet.bits(whole.graph), "from step \(step + 1)")
        }
        // A checkpoint of something else is not used.
        let other = CheckpointStore(key: "another", interval: 1e9, load: { saved[3] }, save: { _ in })
        #expect(
            SmallNet.bits(try train(graph, settings, data: data, checkpoints: other).graph)
                == SmallNet.bits(whole.graph))
    }

    @Test func damagedCheckpointsAreRefused() throws {
        let graph = try SmallNet.graph(seed: 1)
        let data = try SmallNet.data(count: 16, seed: 2)
        let settings = SmallNet.settings { $0.epochs = 1 }
        var saved: [UInt8] = []
        _ = try train(
            graph, settings, data: data,
            checkpoints: CheckpointStore(key: "run", interval: 0, load: { nil }, save: { saved = $0 }))
        var damaged: [[UInt8]] = [[], Array("OUNCTRN1".utf8), [UInt8](repeating: 255, count: 5000)]
        damaged.append(saved.dropLast())
        damaged.append(saved + [0])
        var random = RandomSource(seed: 9)
        for _ in 0..<20 {
            var copy = saved
            copy[random.int(0...copy.count - 1)] ^= UInt8(1 << random.int(0...7))
            damaged.append(copy)
        }
        for bytes in damaged {
            let store = CheckpointStore(key: "run", interval: 1e9, load: { bytes }, save: { _ in })
            let error = #expect(throws: TrainError.self) {
                try train(graph, settings, data: data, checkpoints: store)
            }
            #expect(error?.code == .checkpoint)
        }
    }

    @Test func masksAndFrozenConstantsStay() throws {
        let graph = try SmallNet.graph(seed: 1)
        let data = try SmallNet.data(count: 32, seed: 2)
        let all = graph.trainableConstants
        let masked = all[0]
        let count = try #require(graph[masked].constant).count
        let mask = (0..<count).map { $0 % 3 == 0 ? Float(0) : 1 }
        let constraints = TrainingConstraints(trainable: Set(all.prefix(3)), masks: [masked: mask])
        let result = try train(graph, SmallNet.settings(), data: data, constraints: constraints)
        let weights = try #require(result.graph[masked].constant).floats()
        #expect(zip(weights, mask).allSatisfy { $1 == 1 || $0 == 0 })
        #expect(weights.contains { $0 != 0 })
        for id in all {
            let (old, new) = (graph[id].constant?.floats() ?? [], result.graph[id].constant?.floats() ?? [])
            #expect((old == new) == !all.prefix(3).contains(id), "\(graph[id].name)")
        }
    }

    @Test func distillationNeedsNoLabels() throws {
        let data = try SmallNet.data(count: 128, seed: 2)
        let teacher = try train(try SmallNet.graph(seed: 1), SmallNet.settings(), data: data).graph
        var student = teacher
        var random = RandomSource(seed: 4)
        for id in teacher.trainableConstants where teacher[id].shape.rank > 1 {
            let constant = try #require(teacher[id].constant)
            let noise = random.floats(constant.count, in: -0.25...0.25)
            student[id].constant = Tensor(zip(constant.floats(), noise).map(+), shape: constant.shape)
        }
        let unseen = try SmallNet.data(count: 32, seed: 6)
        let unlabelled = try TrainingData(inputs: data.inputs)
        let result = try train(
            student, SmallNet.settings { $0.loss = .distillation }, data: unlabelled, teacher: teacher)
        let (before, after) = (try accuracy(student, unseen), try accuracy(result.graph, unseen))
        #expect(after > before + 0.05 || after > 0.97, "accuracy \(before) to \(after)")
        #expect(result.lastLoss < result.firstLoss / 3)
        // The teacher is its own best student.
        let same = try train(
            teacher, SmallNet.settings { $0.loss = .distillation }, data: unlabelled, teacher: teacher)
        #expect(same.firstLoss < 1e-6)
    }

    /// A teacher that knows nothing of two of the classes: labels say what it cannot, and are asked for where they count.
    @Test func labelsSayMoreThanTheTeacher() throws {
        let data = try SmallNet.data(count: 128, seed: 2)
        let confused = try data.labelled(data.labels.map { $0 / 2 * 2 })
        let teacher = try train(
            try SmallNet.graph(seed: 1), SmallNet.settings { $0.epochs = 8 }, data: confused
        ).graph
        let unseen = try SmallNet.data(count: 64, seed: 3)
        func settings(_ weight: Float) -> TrainingSettings {
            SmallNet.settings {
                ($0.loss, $0.epochs) = (.distill(temperature: 2, divergence: 1, error: 0.5, labels: weight), 16)
            }
        }
        let student = try SmallNet.graph(seed: 4)
        let imitating = try train(student, settings(0), data: data, teacher: teacher).graph
        let taught = try train(student, settings(20), data: data, teacher: teacher).graph
        let (before, after) = (try accuracy(imitating, unseen), try accuracy(taught, unseen))
        #expect(before < 0.6 && after > before + 0.2, "accuracy \(before) and \(after)")
        for wrong in [[], [Int32](repeating: 4, count: 128)] {
            let error = #expect(throws: TrainError.self) {
                try train(student, settings(1), data: try data.labelled(wrong), teacher: teacher)
            }
            #expect(error?.code == .data && error?.message.contains("label_weight") == true)
        }
    }

    /// A network whose scores are thousands learns like one whose scores are tens: the loss has no unit.
    @Test func distillationOfLargeScores() throws {
        func gradient(scale: Float) throws -> (loss: Double, gradient: [Float]) {
            func program(_ seed: UInt64, trains: Bool) throws -> TrainingProgram {
                var c = GradientCase(seed: seed)
                let scores = c.random.floats(12).map { $0 * scale }
                let id = c.graph.addConstant(try #require(Tensor(scores, shape: [4, 3])), name: "scores")
                c.graph.outputs = [try c.node(.unary(.negate), [id])]
                return try TrainingProgram(graph: c.graph, options: .init(trainable: trains ? [id] : []))
            }
            let (student, teacher) = (try program(1, trains: true), try program(2, trains: false))
            student.forward()
            teacher.forward()
            let (loss, _) = LossHead(loss: .distillation, samples: 4).apply(
                student, labels: [], targets: nil, teacher: teacher, isClassifier: true, total: 4)
            student.backward()
            return (loss, try #require(student.parameters.first).gradient.map { $0 * scale })
        }
        let (some, thousands) = (try gradient(scale: 50), try gradient(scale: 5000))
        #expect(abs(some.loss - thousands.loss) < 1e-4 * some.loss)
        for (a, b) in zip(some.gradient, thousands.gradient) { #expect(abs(a - b) < 1e-3, "\(a) \(b)") }
        #expect(try abs(gradient(scale: 1).loss - some.loss) > 0.01 * some.loss)
    }

    /// A graph whose samples would mix in a batch is trained sample by sample, with the same gradients.
    @Test func fallsBackToSingleSamples() throws {
        var graph = Graph(name: "mixing")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 6])))
        graph.inputs = [x]
        var random = RandomSource(seed: 8)
        let w = graph.addConstant(random.tensor([3, 6]), name: "w")
        let y = try graph.append(.fullyConnected(.none), [x, w], name: "y")
        let mixed = try graph.append(.softmax(axis: 0), [y], name: "over the batch")
        graph.outputs = [try graph.append(.binary(.add, .none), [mixed, y], name: "out")]
        let data = try TrainingData(
            inputs: [random.tensor([10, 6])], targets: random.tensor([10, 3]))
        let settings = SmallNet.settings {
            $0.loss = .mse
            $0.batchSize = 5
        }
        let trainer = try Trainer(graph: graph, settings: settings, sampleCount: data.count)
        #expect(trainer.samplesPerPass == 1)
        let result = try trainer.run(data)
        #expect(result.steps == 8)
        #expect(result.lastLoss < result.firstLoss)
    }

    @Test func whatCannotBeTrainedIsNamed() throws {
        var graph = Graph(name: "unusual")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 6])))
        graph.inputs = [x]
        var random = RandomSource(seed: 8)
        let w = graph.addConstant(random.tensor([3, 6]), name: "w")
        let y = try graph.append(.fullyConnected(.none), [x, w], name: "y")
        graph.outputs = [
            try graph.append(.cumulativeSum(axis: 1, exclusive: false, reverse: false), [y], name: "running sum")
        ]
        let error = #expect(throws: TrainError.self) {
            try Trainer(graph: graph, settings: SmallNet.settings(), sampleCount: 4)
        }
        #expect(error?.code == .unsupported)
        #expect(error?.message.contains("running sum") == true)
    }

    @Test func badDataAreRefused() throws {
        let graph = try SmallNet.graph(seed: 1)
        let x = try SmallNet.data(count: 8, seed: 2).inputs
        let cases: [TrainingData] = [
            try TrainingData(inputs: x), try TrainingData(inputs: x, labels: [0, 1, 2, 3, 4, 0, 1, 2]),
            try TrainingData(inputs: x, labels: [0, 1, 2, -1, 3, 0, 1, 2]),
            try TrainingData(inputs: x + x, labels: [0, 1, 2, 3, 0, 1, 2, 3]),
            try TrainingData(inputs: [Tensor([Float](repeating: 0, count: 8))], labels: [0, 1, 2, 3, 0, 1, 2, 3]),
        ]
        for data in cases {
            let trainer = try Trainer(graph: graph, settings: SmallNet.settings(), sampleCount: data.count)
            let error = #expect(throws: TrainError.self) { try trainer.run(data) }
            #expect(error?.code == .data)
        }
        #expect(throws: TrainError.self) { try TrainingData(inputs: x, labels: [1]) }
    }

    @Test func divergenceIsSaid() throws {
        let graph = try SmallNet.graph(seed: 1)
        let data = try SmallNet.data(count: 32, seed: 2)
        let settings = SmallNet.settings {
            $0.optimizer = .sgd(momentum: 0.9, nesterov: false)
            $0.learningRate = 1e30
        }
        let error = #expect(throws: TrainError.self) { try train(graph, settings, data: data) }
        #expect(error?.code == .diverged)
    }
}
