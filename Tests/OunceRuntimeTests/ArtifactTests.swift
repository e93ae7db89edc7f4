import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Writing a model to a file and reading it again.
@Suite struct ArtifactTests {
    static let provenance = Provenance(
        ounceVersion: "1", modelName: "m", modelHash: "aa", profileName: "p", profileHash: "bb", recipeName: "r",
        recipeHash: "cc", calibrationHash: nil, validationHash: "dd")

    static func artifact(of graph: Graph, checks: [SelfCheck] = []) -> Artifact {
        let measurement = Report.Measurement(
            accuracy: Report.Accuracy(metric: "top1", value: 0.9, samples: 10, standardError: 0.1), bytes: 5,
            latencyMilliseconds: 1.5, latencyP99Milliseconds: 2, memoryBytes: 7, threads: 1, millijoules: nil)
        let report = Report(
            recipe: "r", reason: "asked for", before: measurement, after: measurement,
            candidates: [Report.Candidate(recipe: "r", measurement: measurement, refusal: nil)])
        return Artifact(graph: graph, provenance: provenance, report: report, selfChecks: checks)
    }

    private func open(_ bytes: [UInt8]) throws -> Artifact {
        let file = try TemporaryFile(bytes)
        return try Artifact.open(path: file.path)
    }

    private func code(_ body: () throws -> Void) -> RuntimeError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? RuntimeError)?.code
        }
    }

    @Test func roundTrip() throws {
        print("seeds 7000..<7004")
        for seed in UInt64(7000)..<7004 {
            for (kinds, dtype) in [(RandomGraph.floatOperators, DType.float32), (RandomGraph.int8Operators, .int8)] {
                for kind in Set(kinds).sorted() {
                    var maker = RandomGraph(seed: seed)
                    let graph = try maker.single(kind, dtype)
                    let inputs = maker.inputs(of: graph)
                    let outputs = try Model(graph: graph, options: RuntimeOptions()).run(inputs)
                    let check = SelfCheck(inputs: inputs, outputs: outputs)
                    let written = Self.artifact(of: graph, checks: [check])
                    let bytes = try written.encoded()
                    let read = try open(bytes)
                    #expect(try read.description.provenance == written.description.provenance)
                    #expect(try read.description.report == written.description.report)
                    let names = { (graph: Graph) in (graph.inputs + graph.outputs).map { graph[$0].name } }
                    #expect(names(read.graph) == names(graph))
                    #expect(read.graph.nodes.map(\.op) == graph.nodes.map(\.op))
                    let model = try Model(graph: read.graph, options: RuntimeOptions())
                    #expect(try model.run(inputs).map(\.byteArray) == outputs.map(\.byteArray), "\(kind), seed \(seed)")
                    try model.verify(read.selfChecks)
                    #expect(try read.encoded() == bytes, "\(kind), seed \(seed)")
                    var prepared = Self.artifact(of: graph)
                    prepared.prepare()
                    prepared.selfChecks = [check]
                    #expect(try prepared.encoded() == bytes)
                    #expect(try prepared.byteCount() == bytes.count)
                    prepared.graph.name += "!"
                    let renamed = try prepared.encoded()
                    #expect(renamed != bytes)
                    #expect(try prepared.byteCount() == renamed.count)
                }
            }
        }
    }

    private func sample() throws -> (artifact: Artifact, bytes: [UInt8]) {
        var maker = RandomGraph(seed: 5)
        let graph = try maker.single("fullyConnected", .float32)
        let inputs = maker.inputs(of: graph)
        let outputs = try Model(graph: graph, options: RuntimeOptions()).run(inputs)
        let artifact = Self.artifact(of: graph, checks: [SelfCheck(inputs: inputs, outputs: outputs)])
        return (artifact, try artifact.encoded())
    }

    @Test func refusesAnotherVersion() throws {
        var bytes = try sample().bytes
        bytes[8] = 4
        let error = #expect(throws: RuntimeError.self) { try open(bytes) }
        #expect(error?.code == .corrupt)
        #expect(error?.message.contains("version 4") == true)
    }

    @Test func refusesWhatIsNoArtifact() throws {
        #expect(code { _ = try open([]) } == .corrupt)
        #expect(code { _ = try open(Array("hello".utf8)) } == .corrupt)
        #expect(code { _ = try Artifact.open(path: "/dev/zero") } == .io)
        #expect(code { _ = try Artifact.open(path: "/does/not/exist") } == .io)
    }

    @Test func refusesEveryTruncation() throws {
        let bytes = try sample().bytes
        for count in 0..<bytes.count {
            #expect(code { _ = try open(Array(bytes.prefix(count))) } == .corrupt, "\(count) of \(bytes.count) bytes")
        }
        #expect(code { _ = try open(bytes + [0]) } == .corrupt)
    }

    @Test func refusesEveryFlippedBit() throws {
        let bytes = try sample().bytes
        for place in bytes.indices where !(56..<64).contains(place) {
            var damaged = bytes
            damaged[place] ^= 1 << UInt8(place % 8)
            #expect(code { _ = try open(damaged) } == .corrupt, "byte \(place)")
        }
    }

    @Test func refusesOtherBitsInASelfCheck() throws {
        let (artifact, _) = try sample()
        let model = try Model(graph: artifact.graph, options: RuntimeOptions())
        let check = artifact.selfChecks[0]
        try model.verify([check])
        let output = check.outputs[0]
        for place in [0, output.byteCount - 1] {
            let storage = TensorStorage(byteCount: output.byteCount) {
                $0.copyMemory(from: output.bytes)
                $0[place] ^= 1
            }
            let other = try #require(Tensor(dtype: .float32, shape: output.shape, storage: storage))
            #expect(code { try model.verify([SelfCheck(inputs: check.inputs, outputs: [other])]) } == .selfCheck)
        }
        #expect(code { try model.verify([check, SelfCheck(inputs: check.inputs, outputs: [])]) } == .selfCheck)
        #expect(code { try model.verify([SelfCheck(inputs: [], outputs: [])]) } == .invalidInput)
    }
}
