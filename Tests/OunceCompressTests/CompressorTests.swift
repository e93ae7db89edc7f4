import OunceCompress
import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Choosing a recipe. Models come as uncompressed artifacts' float graphs would: from a file.
@Suite(.serialized) struct CompressorTests {
    private static let recipes = [
        Recipe(name: "int8", steps: [.quantize(Quantization(minInputSQNR: 0))]),
        Recipe(name: "int8-weights", steps: [.quantize(Quantization(activations: .float32))]),
        Recipe(name: "none", steps: []),
    ]

    /// A linear classifier whose labels are its own answers, so that any error shows: `[?, 256] -> [?, 4]`.
    private struct Problem {
        let model: LoadedModel
        let data: Dataset
    }

    private func problem() throws -> Problem {
        let model = try LoadedModel(path: Samples.root.appending(path: "Tests/Golden/compress/classifier.onnx").path)
        let x = Samples.floats([300, 64], seed: 4)
        let y = try Model(graph: model.graph, options: RuntimeOptions()).run([x])[0].floats()
        let labels = (0..<300).map { row -> UInt8 in
            let scores = y[(row * 4)..<(row * 4 + 4)]
            return UInt8(scores.indices.max { scores[$0] < scores[$1] }.map { $0 - row * 4 } ?? 0)
        }
        let data = try Samples.dataset([("x", x), ("labels", Tensor(labels))], for: model.graph)
        return Problem(model: model, data: data)
    }

    private func request(
        _ problem: Problem, _ recipe: ResolvedConfiguration.RecipeSelection = .auto(recipes)
    ) -> CompressionRequest {
        CompressionRequest(
            model: problem.model, profile: DeviceProfile(memory: .bytes(1 << 28)), recipe: recipe,
            calibration: problem.data, validation: problem.data, metric: .top1, onlineCPUs: 1, totalMemory: 1 << 30)
    }

    private func refusal(_ request: CompressionRequest) -> CompressError? {
        do {
            _ = try Compressor(request).run()
            return nil
        } catch { return error }
    }

    @Test func autoPicksTheFastestThatIsGoodEnough() throws {
        var request = request(try problem())
        request.maxDrop = 100
        let artifact = try Compressor(request).run()
        let report = try #require(artifact.description.report)
        #expect(report.candidates.map(\.recipe) == ["int8", "int8-weights", "none"])
        #expect(report.candidates.allSatisfy { $0.refusal == nil })
        #expect(report.before.accuracy?.value == 1)
        let latencies = report.candidates.compactMap(\.measurement?.latencyMilliseconds)
        let fastest = try #require(latencies.min())
        #expect(report.after.latencyMilliseconds <= fastest * 1.05)
        let picked = report.candidates.first { $0.recipe == report.recipe }?.measurement
        #expect(picked?.accuracy == report.after.accuracy)
        #expect(picked?.latencyMilliseconds == report.after.latencyMilliseconds)
        #expect(try artifact.encoded().count == report.after.bytes)
        #expect(try artifact.description.provenance.recipeName == report.recipe)
        #expect(try artifact.description.provenance.calibrationHash == request.calibration?.hash)
        #expect(artifact.selfChecks.count == 2)
        try Model(graph: artifact.graph, options: RuntimeOptions(allowedISAs: ["scalar"])).verify(artifact.selfChecks)
    }

    @Test func refusesWhatLosesTooMuch() throws {
        let problem = try problem()
        // One weight for all: coarse enough to change answers.
        let coarse = Recipe(
            name: "coarse",
            steps: [.quantize(Quantization(perChannel: false, calibration: .percentile(60), minInputSQNR: 0))])
        var request = request(problem, .auto([coarse, Recipe(name: "none", steps: [])]))
        request.maxDrop = 0
        let report = try #require(try Compressor(request).run().description.report)
        #expect(report.recipe == "none")
        let refused = try #require(report.candidates.first { $0.recipe == "coarse" })
        #expect(refused.refusal?.contains("points lost, 0.00 allowed") == true)
        #expect(refused.measurement?.accuracy.map { $0.value < 1 } == true)
        #expect(report.reason.contains("1 that keep") && report.reason.contains("2 tried"))
        request.recipe = .auto([coarse])
        let error = refusal(request)
        #expect(error?.code == .refused && error?.message.contains("coarse") == true)
        // Asked for by name it is made all the same, with its figures.
        request.recipe = .fixed(coarse)
        #expect(try Compressor(request).run().description.report?.after.accuracy.map { $0.value < 1 } == true)
    }

    @Test func refusesWhatMissesFloorLatencyOrMemory() throws {
        let problem = try problem()
        var floor = request(problem)
        floor.maxDrop = 100
        floor.floor = 1.01
        #expect(refusal(floor)?.message.contains("misses the floor of 1.0100") == true)
        var latency = request(problem)
        latency.maxDrop = 100
        latency.latencyLimit = 1e-9
        #expect(refusal(latency)?.message.contains("p99 latency") == true)
        var memory = request(problem)
        memory.maxDrop = 100
        memory.profile = DeviceProfile(memory: .bytes(1000))
        let error = refusal(memory)
        #expect(error?.code == .refused && error?.message.contains("1000") == true)
    }

    @Test func withoutValidationItSaysSo() throws {
        var request = request(try problem())
        request.validation = nil
        let report = try #require(try Compressor(request).run().description.report)
        #expect(report.before.accuracy == nil && report.after.accuracy == nil)
        #expect(report.reason.contains("UNVERIFIED"))
    }

    @Test func int8NeedsCalibrationData() throws {
        var request = request(try problem())
        request.calibration = nil
        let report = try #require(try Compressor(request).run().description.report)
        #expect(report.candidates.first { $0.recipe == "int8" }?.refusal?.contains("--calibration") == true)
        #expect(report.recipe != "int8")
        request.recipe = .fixed(Self.recipes[0])
        #expect(refusal(request)?.code == .recipe)
    }

    @Test func powerAndCoresLimitThreads() throws {
        var request = request(try problem(), .fixed(Self.recipes[2]))
        request.onlineCPUs = 4
        request.profile = DeviceProfile(
            memory: .bytes(1 << 28), power: DeviceProfile.Power(budget: 4, idle: 2, perCore: 1))
        #expect(request.options.threads == 2)
        let report = try #require(try Compressor(request).run().description.report)
        #expect(report.after.threads == 2)
        let energy = try #require(report.after.millijoules)
        #expect(abs(energy - 4 * report.after.latencyMilliseconds) < 1e-9)
        #expect(report.reason.contains("4.0 of 4.0 W"))
        request.threads = 9
        #expect(request.options.threads == 2)
        request.threads = 1
        #expect(request.options.threads == 1)
    }

    @Test func refusesAnArtifact() throws {
        let problem = try problem()
        let artifact = try Compressor(request(problem, .fixed(Self.recipes[2]))).run()
        let file = try TemporaryFile(try artifact.encoded(), name: "model.ounce")
        let loaded = try LoadedModel(path: file.path)
        #expect(loaded.artifact != nil && loaded.inputs == problem.model.inputs)
        var request = request(problem)
        request.model = loaded
        #expect(refusal(request)?.code == .input)
    }

    @Test func decimals() {
        #expect(Compressor.text(1.005, 1) == "1.0" && Compressor.text(-0.004, 2) == "0.00")
        #expect(Compressor.text(-1.25, 1) == "-1.3" && Compressor.text(2, 0) == "2")
        #expect(Compressor.text(.infinity, 2) == "inf" && Compressor.text(9.999, 2) == "10.00")
    }
}
