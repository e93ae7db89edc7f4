import FoundationEssentials
import OunceCompress
import OunceConfig
import OunceFormats
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Models that keep states between runs. What they must give comes from LiteRT and ONNX Runtime
/// (Tests/Golden/streaming/make.py).
@Suite struct StreamTests {
    private struct Golden {
        let path: String
        let states: [(input: String, output: String)]
        let steps: [Tensor]
        /// For each output its steps.
        let expected: [[Tensor]]

        init(_ name: String, _ file: String, outputs: Int, states: [(input: String, output: String)] = []) throws {
            let folder = Samples.root.appending(path: "Tests/Golden/streaming").path
            path = file.hasPrefix("/") ? file : "\(folder)/\(file)"
            self.states = states
            steps = try Self.rows("\(folder)/\(name)_x.npy")
            expected = try (0..<outputs).map { try Self.rows("\(folder)/\(name)_y\($0).npy") }
        }

        static func rows(_ path: String) throws -> [Tensor] {
            let array = try NumPyFile.read(path: path)
            let size = array.byteCount / array.shape[0]
            return try (0..<array.shape[0]).map { row in
                let bytes = UnsafeRawBufferPointer(rebasing: array.bytes[(row * size)..<((row + 1) * size)])
                let storage = TensorStorage(byteCount: size) { $0.copyMemory(from: bytes) }
                return try #require(
                    Tensor(dtype: array.dtype, shape: Shape(Array(array.shape.dims.dropFirst())), storage: storage))
            }
        }

        func graph() throws -> Graph { try LoadedModel(path: path, given: InputBindings(states: states)).graph }
    }

    private static func all() throws -> [Golden] {
        var all = [
            try Golden("variables", "variables.tflite", outputs: 2), try Golden("ring", "ring.tflite", outputs: 1),
            try Golden("cell", "cell.onnx", outputs: 1, states: [("h", "h_next"), ("n", "n_next")]),
        ]
        if let shared = try SharedData.found() {
            all.append(
                try Golden(
                    "wake_word", shared.folder + "/models/misc/microwakeword_hey_jarvis_int8.tflite", outputs: 1))
        }
        return all
    }

    private let agreement = {
        var agreement = TensorAgreement()
        agreement.relative = 1e-5
        return agreement
    }()

    private func expectSteps(_ model: Model, _ stream: StreamState, _ golden: Golden) throws {
        for (index, step) in golden.steps.enumerated() {
            for (place, result) in try model.run([step], stream: stream).enumerated() {
                let difference = agreement.difference(result, golden.expected[place][index])
                #expect(difference == nil, "\(golden.path), step \(index), output \(place)")
            }
        }
    }

    @Test func streamsAgreeStepByStep() throws {
        for golden in try Self.all() {
            let model = try Model(graph: try golden.graph(), options: RuntimeOptions())
            #expect(!model.states.isEmpty)
            let stream = try model.makeStream()
            try expectSteps(model, stream, golden)
            stream.reset()
            try expectSteps(model, stream, golden)
            // What stands alone starts anew each time and disturbs no stream.
            let other = try model.makeStream()
            for _ in 0..<2 {
                let alone = try model.run([golden.steps[0]])
                #expect(agreement.difference(alone[0], golden.expected[0][0]) == nil, "\(golden.path)")
            }
            try expectSteps(model, other, golden)
        }
    }

    @Test func streamsRunSideBySide() throws {
        for golden in try Self.all() {
            let model = try Model(graph: try golden.graph(), options: RuntimeOptions())
            let streams = [try model.makeStream(), try model.makeStream()]
            for (index, step) in golden.steps.enumerated() {
                for stream in streams {
                    let result = try model.run([step], stream: stream)
                    #expect(
                        agreement.difference(result[0], golden.expected[0][index]) == nil, "\(golden.path) \(index)")
                }
            }
        }
    }

    @Test func sameBitsOnEveryInstructionSetAndThreadCount() throws {
        for golden in try Self.all() {
            var first: [[UInt8]]?
            for isas in [nil, [], ["avx2"], ["avx2", "avxvnni"]] as [Set<String>?] {
                for threads in [1, 3] {
                    let options = RuntimeOptions(allowedISAs: isas, threads: threads)
                    let model = try Model(graph: try golden.graph(), options: options)
                    let stream = try model.makeStream()
                    var bytes: [[UInt8]] = []
                    for step in golden.steps {
                        bytes += try model.run([step], stream: stream).map { Array($0.bytes) }
                    }
                    #expect(first == nil || first == bytes, "\(golden.path)")
                    first = bytes
                }
            }
        }
    }

    @Test func artifactsKeepStates() throws {
        for golden in try Self.all() {
            let graph = try golden.graph()
            let model = try Model(graph: graph, options: RuntimeOptions())
            let stream = try model.makeStream()
            let checks = try golden.steps.prefix(50).map {
                SelfCheck(inputs: [$0], outputs: try model.run([$0], stream: stream))
            }
            let artifact = Artifact(graph: graph, provenance: Self.provenance, report: nil, selfChecks: checks)
            let bytes = try artifact.encoded()
            #expect(bytes[8] == 3)
            let file = try TemporaryFile(bytes, name: "stream.ounce")
            let read = try Artifact.open(path: file.path)
            #expect(read.graph.states.count == graph.states.count)
            let again = try Model(graph: read.graph, options: RuntimeOptions())
            try again.verify(read.selfChecks)
            try expectSteps(again, try again.makeStream(), golden)
            // The checks are steps of one stream: in another order they fail.
            #expect(throws: RuntimeError.self) { try again.verify(read.selfChecks.reversed()) }
            #expect(try read.encoded() == bytes)
        }
    }

    private static let provenance = Provenance(
        ounceVersion: "0", modelName: "m", modelHash: "", profileName: "p", profileHash: "", recipeName: "r",
        recipeHash: "", calibrationHash: nil, validationHash: nil)

    @Test func artifactsWithWrongStatesAreRefused() throws {
        let golden = try Golden("variables", "variables.tflite", outputs: 2)
        let sound = try golden.graph()
        func refused(_ change: (inout Graph) throws -> Void) throws {
            var graph = sound
            try change(&graph)
            let artifact = Artifact(graph: graph, provenance: Self.provenance, report: nil, selfChecks: [])
            let file = try TemporaryFile(try artifact.encoded(), name: "stream.ounce")
            let error = #expect(throws: RuntimeError.self) { try Artifact.open(path: file.path) }
            #expect(error?.code == .corrupt)
        }
        try refused { $0.initialStates[0] = Tensor([1, 2, 3, 4, 5] as [Float]) }
        try refused { $0.initialStates[0] = try Samples.tensor([1, 2, 3, 4] as [Int32], [1, 4]) }
        try refused { $0.initialStates += $0.initialStates }
        try refused { $0.outputs.removeFirst(2) }
        try refused { $0.outputs.removeAll() }
        try refused { $0.inputs.removeAll() }
        let plain = try Samples.identity([1, 4])
        try refused {
            let states = $0.initialStates
            $0 = plain
            $0.initialStates = [states[0]]
        }
        let stateless = Artifact(graph: plain, provenance: Self.provenance, report: nil, selfChecks: [])
        #expect(try stateless.encoded()[8] == 3)
    }

    @Test func bindingFixesTheBatchAndNamesWhatIsWrong() throws {
        let golden = try Golden("cell", "cell.onnx", outputs: 1, states: [("h", "h_next"), ("n", "n_next")])
        let model = try Model(graph: try golden.graph(), options: RuntimeOptions())
        #expect(model.inputs.map(\.shape) == [[1, 3]])
        #expect(model.outputs.map(\.name) == ["y"])
        #expect(model.states.map(\.name) == ["h", "n"])
        #expect(throws: RuntimeError.self) { try model.run([Samples.floats([2, 3])]) }
        for (pair, part) in [
            (("z", "h_next"), "'x', 'h', 'n'"), (("h", "z"), "'y', 'h_next', 'n_next'"), (("h", "y"), "after it"),
        ] {
            let error = #expect(throws: CompressError.self) {
                try LoadedModel(path: golden.path, given: InputBindings(states: [pair]))
            }
            #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
        }
        let all = [("h", "h_next"), ("n", "n_next"), ("x", "y")] as [(input: String, output: String)]
        #expect(throws: CompressError.self) { try LoadedModel(path: golden.path, given: InputBindings(states: all)) }
    }

    @Test func aStreamOfAnotherModelIsRefused() throws {
        let golden = try Golden("ring", "ring.tflite", outputs: 1)
        let (a, b) = (
            try Model(graph: try golden.graph(), options: RuntimeOptions()),
            try Model(graph: try golden.graph(), options: RuntimeOptions())
        )
        let stream = try b.makeStream()
        let error = #expect(throws: RuntimeError.self) { try a.run([golden.steps[0]], stream: stream) }
        #expect(error?.code == .invalidInput)
    }

    @Test func streamsCountAsMemory() throws {
        let golden = try Golden("ring", "ring.tflite", outputs: 1)
        let model = try Model(graph: try golden.graph(), options: RuntimeOptions())
        let before = model.memoryBytes
        var streams = try (0..<3).map { _ in try model.makeStream() }
        #expect(model.memoryBytes == before + 3 * streams[0].byteCount)
        streams.removeAll()
        #expect(model.memoryBytes == before)
        let limited = try Model(graph: try golden.graph(), options: RuntimeOptions(memoryLimit: before + 7))
        streams = [try limited.makeStream()]
        #expect(streams[0].byteCount == 6)
        let error = #expect(throws: RuntimeError.self) { try limited.makeStream() }
        #expect(error?.code == .memory)
    }

    @Test func samplesMayBeSequences() throws {
        let golden = try Golden("variables", "variables.tflite", outputs: 2)
        let graph = try golden.graph()
        let steps = golden.steps.flatMap { $0.floats() }
        let model = try Model(graph: graph, options: RuntimeOptions())
        let infos = model.inputs
        // Two samples of the same six steps, with and without the input's own batch axis.
        for shape in [[2, 6, 4], [2, 6, 1, 4]] as [Shape] {
            let file = try Samples.archive([("x", try Samples.tensor(steps + steps, shape))])
            let data = try Dataset(path: file.path, inputs: infos)
            #expect(data.count == 2 && data.windows == 6)
            let run = try SampleRun(model, over: data)
            for sample in 0..<2 {
                for step in 0..<6 {
                    let result = try run(sample, window: step)
                    #expect(agreement.difference(result[0], golden.expected[0][step]) == nil)
                }
            }
        }
        // Rows as samples start anew; as one stream they do not.
        let file = try Samples.archive([("x", try Samples.tensor(steps, [6, 4]))])
        let data = try Dataset(path: file.path, inputs: infos)
        #expect(data.count == 6 && data.windows == 1)
        let (apart, together) = (
            try SampleRun(model, over: data), try SampleRun(model, over: data, isOneStream: true)
        )
        for row in 0..<6 {
            #expect(agreement.difference(try together(row, window: 0)[0], golden.expected[0][row]) == nil)
            #expect(agreement.difference(try apart(row, window: 0)[1], golden.expected[1][0]) == nil)
        }
    }

    @Test func verifyTakesSteps() throws {
        let folder = Samples.root.appending(path: "Tests/Golden/streaming").path
        var verifier = ModelVerifier(options: RuntimeOptions())
        let x = try NumPyFile.read(path: folder + "/cell_x.npy")
        let y = try NumPyFile.read(path: folder + "/cell_y0.npy")
        verifier.states = [("h", "h_next"), ("n", "n_next")]
        #expect(
            verifier.verify(model: folder + "/cell.onnx", inputs: .ordered([x]), expected: .named([("y", y)]))
                == .passed)
        var wrong = y.floats()
        wrong[9] += 1
        let other = try Samples.tensor(wrong, y.shape)
        guard
            case .failed(let reason) = verifier.verify(
                model: folder + "/cell.onnx", inputs: .ordered([x]), expected: .named([("y", other)]))
        else {
            Issue.record("a wrong number passed")
            return
        }
        #expect(reason.contains("step 4"))
    }

    @Test func quantisedModelsKeepFloatStates() throws {
        let golden = try Golden("cell", "cell.onnx", outputs: 1, states: [("h", "h_next"), ("n", "n_next")])
        let loaded = try LoadedModel(path: golden.path, given: InputBindings(states: golden.states))
        // Sequences, so that calibration sees more than the initial states.
        let x = Samples.floats([40, 6, 3], seed: 3, in: -2...2)
        let file = try Samples.archive([("x", x)])
        let data = try Dataset(path: file.path, inputs: loaded.inputs)
        let recipe = Recipe(name: "int8", steps: [.quantize(Quantization(minInputSQNR: 0, floatOutput: false))])
        let request = CompressionRequest(
            model: loaded, profile: DeviceProfile(memory: .bytes(1 << 28)), recipe: .fixed(recipe), calibration: data,
            validation: data,
            metric: .fidelity, onlineCPUs: 1, totalMemory: 1 << 30)
        let artifact = try Compressor(request).run()
        #expect(artifact.graph.nodes.contains { artifact.graph[$0.outputs[0]].dtype == .int8 })
        #expect(artifact.graph.states.count == 2)
        for state in artifact.graph.states {
            #expect(artifact.graph[state.start].dtype == .float32 && artifact.graph[state.end].dtype == .float32)
        }
        #expect(try #require(artifact.description.report?.after.accuracy).value > 0.9)
        #expect(artifact.selfChecks.count == 4)
        let model = try Model(graph: artifact.graph, options: RuntimeOptions())
        try model.verify(artifact.selfChecks)
    }

    @Test func exportsStatesAsInputsAndOutputs() throws {
        let golden = try Golden("variables", "variables.tflite", outputs: 2)
        let bytes = try ONNXExporter.serialize(try golden.graph(), quantization: .asStored, producerVersion: "0")
        let graph = try ONNXImporter.parse(bytes: bytes)
        let names = (graph.inputs.map { graph[$0].name }, graph.outputs.map { graph[$0].name })
        #expect(names.0 == ["x", "a", "b", "d"])
        #expect(names.1 == ["y", "delayed", "a/next", "b/next", "d/next"])
        var bound = try graph.binding(states: ["a", "b", "d"].map { ($0, "\($0)/next") }).simplified()
        bound.initialStates = try golden.graph().initialStates
        let model = try Model(graph: bound, options: RuntimeOptions())
        try expectSteps(model, try model.makeStream(), golden)
    }
}
