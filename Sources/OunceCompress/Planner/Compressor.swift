import OunceConfig
import OunceGraph
import OunceRuntime

/// What the user asked for.
package struct CompressionRequest: Sendable {
    package var model: LoadedModel
    package var profile: DeviceProfile
    package var recipe: ResolvedConfiguration.RecipeSelection
    package var calibration: Dataset?
    /// Samples to train with.
    package var training: Dataset?
    /// Where training goes on from after it was killed; nil: nothing is kept.
    package var checkpoints: CheckpointFiles?
    package var validation: Dataset?
    package var metric: Metric
    /// Points (per cent for mse) that may be lost against the float model.
    package var maxDrop: Double
    /// The least accuracy that is accepted.
    package var floor: Double?
    /// Milliseconds that the 99th percentile of the latency may take.
    package var latencyLimit: Double?
    /// Cores and memory of this machine, to resolve `auto` in the profile.
    package var onlineCPUs: Int
    package var totalMemory: Int
    /// nil: what the profile allows.
    package var threads: Int?

    package init(
        model: LoadedModel, profile: DeviceProfile, recipe: ResolvedConfiguration.RecipeSelection,
        calibration: Dataset?, validation: Dataset?, metric: Metric, maxDrop: Double = 1, floor: Double? = nil,
        latencyLimit: Double? = nil, onlineCPUs: Int, totalMemory: Int, threads: Int? = nil
    ) {
        self.model = model
        self.profile = profile
        self.recipe = recipe
        self.calibration = calibration
        self.validation = validation
        self.metric = metric
        self.maxDrop = maxDrop
        self.floor = floor
        self.latencyLimit = latencyLimit
        self.onlineCPUs = onlineCPUs
        self.totalMemory = totalMemory
        self.threads = threads
    }

    /// What the profile leaves of this machine.
    package var options: RuntimeOptions {
        let allowed = profile.maxThreads(onlineCPUs: onlineCPUs)
        return RuntimeOptions(
            allowedISAs: profile.allowedISAs, threads: min(threads ?? allowed, allowed),
            memoryLimit: profile.memory.bytes(ofTotal: totalMemory), selection: .measured)
    }
}

/// Makes an artifact of a model: applies the recipe asked for, or measures all and picks one.
package struct Compressor: Sendable {
    private let request: CompressionRequest
    private let options: RuntimeOptions
    private let progress: @Sendable (CompressionProgress) -> Void
    /// How long each latency is measured.
    private static let measuringSeconds = 0.3

    package init(_ request: CompressionRequest, progress: @escaping @Sendable (CompressionProgress) -> Void = { _ in })
    {
        self.request = request
        self.progress = progress
        options = request.options
    }

    private struct Candidate {
        var recipe: Recipe
        /// Without report and self-checks.
        var artifact: Artifact
        var measurement: Report.Measurement
        var steps: [Report.Step]
    }

    /// - Throws: `.refused` where no recipe keeps what was asked for, `.recipe` where the one asked for cannot be applied.
    package func run() throws(CompressError) -> Artifact {
        guard request.model.artifact == nil else {
            throw CompressError(
                .input, "the model is an Ounce artifact already; compress the float model that it came from")
        }
        progress(.working("measure the float model", 0))
        let before = try measureFloat()
        let recipes: [Recipe]
        let isAuto: Bool
        switch request.recipe {
        case .auto(let all):
            // Made-up samples are for where there are no real ones.
            recipes = all.filter { $0.samples == .given || request.calibration == nil }
            isAuto = true
        case .fixed(let recipe): (recipes, isAuto) = ([recipe], false)
        }
        var candidates: [Candidate] = []
        var tried: [Report.Candidate] = []
        for recipe in recipes {
            if isAuto, request.training == nil, recipe.trains {
                let reason = "it trains, which auto does where it is given samples to train with"
                tried.append(Report.Candidate(recipe: recipe.name, measurement: nil, refusal: reason))
                continue
            }
            do {
                let candidate = try apply(recipe)
                let refusal = isAuto ? refusal(candidate.measurement, before) : nil
                tried.append(
                    Report.Candidate(recipe: recipe.name, measurement: candidate.measurement, refusal: refusal))
                if refusal == nil { candidates.append(candidate) }
            } catch {
                guard isAuto else { throw error }
                tried.append(Report.Candidate(recipe: recipe.name, measurement: nil, refusal: error.message))
            }
        }
        guard let picked = Self.best(candidates) else {
            throw CompressError(
                .refused,
                "no recipe keeps what was asked for: "
                    + tried.map { "\($0.recipe): \($0.refusal ?? "")" }.joined(separator: "; "))
        }
        let report = Report(
            recipe: picked.recipe.name, reason: reason(picked, tried, isAuto: isAuto), before: before,
            after: picked.measurement, candidates: tried, steps: picked.steps, caution: try caution())
        return try finished(picked, report: report)
    }

    // MARK: Measuring

    private func measureFloat() throws(CompressError) -> Report.Measurement {
        let model = try request.model.model(RuntimeOptions(allowedISAs: options.allowedISAs, threads: options.threads))
        return try measure(
            model, request.model.graph, bytes: request.model.byteCount, stage: "measure the float model")
    }

    private func measure(
        _ model: Model, _ graph: Graph, bytes: Int, stage: String
    ) throws(CompressError) -> Report.Measurement {
        var accuracy: Report.Accuracy?
        if let validation = request.validation {
            let progress = self.progress
            let evaluator = Evaluator(metric: request.metric, dataset: validation) { progress(.working(stage, $0)) }
            let reference =
                request.metric == .fidelity
                ? try request.model.model(RuntimeOptions(allowedISAs: options.allowedISAs, threads: options.threads))
                : nil
            accuracy = try evaluator.evaluate(model, reference: reference)
        }
        let sample = try (request.validation ?? request.calibration)?.sample(0)
        let latency = try CompressError.wrapping(.recipe) {
            try model.measureLatency(inputs: sample, seconds: Self.measuringSeconds)
        }
        return Report.Measurement(
            accuracy: accuracy, bytes: bytes, macs: graph.macs, latencyMilliseconds: latency.medianMilliseconds,
            latencyP99Milliseconds: latency.p99Milliseconds, memoryBytes: model.memoryBytes, threads: options.threads,
            millijoules: request.profile.watts(threads: options.threads).map { $0 * latency.medianMilliseconds })
    }

    private func apply(_ recipe: Recipe) throws(CompressError) -> Candidate {
        progress(.working("apply \(recipe.name)", 0))
        let runner = RecipeRunner(
            request: request, options: RuntimeOptions(allowedISAs: options.allowedISAs, threads: options.threads),
            progress: progress)
        var steps: [Report.Step] = []
        let last = try runner.apply(recipe, to: request.model.graph) { (stage) throws(CompressError) in
            let (_, measurement) = try measure(stage.graph, recipe, stage: "measure \(stage.name)")
            steps.append(Report.Step(name: stage.name, note: stage.note, after: measurement))
        }
        let (artifact, measurement) = try measure(
            last?.graph ?? request.model.graph, recipe, stage: "measure \(recipe.name)")
        if let last { steps.append(Report.Step(name: last.name, note: last.note, after: measurement)) }
        return Candidate(recipe: recipe, artifact: artifact, measurement: measurement, steps: steps)
    }

    /// An artifact of the graph, prepared to be written, and its figures.
    private func measure(
        _ graph: Graph, _ recipe: Recipe, stage: String
    ) throws(CompressError) -> (Artifact, Report.Measurement) {
        let model = try CompressError.wrapping(.recipe) { try Model(graph: graph, options: options) }
        var artifact = Artifact(graph: graph, provenance: provenance(recipe), report: nil, selfChecks: [])
        artifact.prepare()
        let bytes = try CompressError.wrapping(.recipe) { try artifact.byteCount() }
        return (artifact, try measure(model, graph, bytes: bytes, stage: stage))
    }

    // MARK: Choosing

    /// Why a candidate is not good enough; nil where it is.
    private func refusal(_ measured: Report.Measurement, _ before: Report.Measurement) -> String? {
        if let reference = before.accuracy, let accuracy = measured.accuracy {
            // A drop within a ten-thousandth of a point is rounding of the mean.
            let drop = request.metric.drop(from: reference.value, to: accuracy.value)
            if drop > request.maxDrop + 1e-4 {
                let unit = request.metric == .mse ? "% more error" : "points lost"
                return "\(Self.text(drop, 2)) \(unit), \(Self.text(request.maxDrop, 2)) allowed"
            }
            if request.metric.misses(floor: request.floor, accuracy.value) {
                return "\(request.metric.rawValue) \(Self.text(accuracy.value, 4)) misses the floor of "
                    + Self.text(request.floor ?? 0, 4)
            }
        }
        if let limit = request.latencyLimit, measured.latencyP99Milliseconds > limit {
            return "p99 latency \(Self.text(measured.latencyP99Milliseconds, 3)) ms, \(Self.text(limit, 3)) ms allowed"
        }
        return nil
    }

    /// The fastest; among those within 5 % of it the smallest.
    private static func best(_ candidates: [Candidate]) -> Candidate? {
        guard let fastest = candidates.map(\.measurement.latencyMilliseconds).min() else { return nil }
        return candidates.filter { $0.measurement.latencyMilliseconds <= fastest * 1.05 }
            .min { $0.measurement.bytes < $1.measurement.bytes }
    }

    /// What a validation sample was used for besides judging.
    private func caution() throws(CompressError) -> String? {
        guard let validation = request.validation else { return nil }
        var parts: [String] = []
        for (data, use) in [(request.training, "train"), (request.calibration, "calibrate")] {
            guard let data else { continue }
            let count = try validation.samplesShared(with: data)
            if count > 0 { parts.append("\(count) of \(validation.count) also serve to \(use)") }
        }
        return parts.isEmpty ? nil : "of the validation samples, " + parts.joined(separator: " and ")
    }

    private func reason(_ picked: Candidate, _ tried: [Report.Candidate], isAuto: Bool) -> String {
        var parts: [String] = []
        if isAuto {
            let good = tried.filter { $0.refusal == nil }.count
            parts.append("the fastest of \(good) that keep what was asked for (\(tried.count) tried)")
        } else {
            parts.append("asked for")
        }
        if picked.measurement.accuracy == nil {
            parts.append("accuracy is UNVERIFIED: no validation data were given")
        }
        let profile = request.profile
        if let budget = profile.power?.budget, let watts = profile.watts(threads: options.threads) {
            parts.append(
                profile.oneThreadExceedsBudget
                    ? "even one thread takes an estimated \(Self.text(watts, 1)) W, over the budget of \(Self.text(budget, 1)) W"
                    : "\(options.threads) thread\(options.threads == 1 ? "" : "s") fit the power budget: an estimated "
                        + "\(Self.text(watts, 1)) of \(Self.text(budget, 1)) W")
        }
        return parts.joined(separator: "; ")
    }

    /// A number with a fixed count of decimals.
    package static func text(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        let factor = (0..<decimals).reduce(1.0) { factor, _ in factor * 10 }
        let scaled = Int((abs(value) * factor).rounded())
        let whole = "\(scaled / Int(factor))"
        let sign = value < 0 && scaled != 0 ? "-" : ""
        guard decimals > 0 else { return sign + whole }
        let fraction = String(scaled % Int(factor))
        return sign + whole + "." + String(repeating: "0", count: decimals - fraction.count) + fraction
    }

    // MARK: The artifact

    private func provenance(_ recipe: Recipe) -> Provenance {
        Provenance(
            ounceVersion: Ounce.version, modelName: request.model.graph.name, modelHash: request.model.hash,
            profileName: request.profile.name, profileHash: request.profile.canonicalHash, recipeName: recipe.name,
            recipeHash: recipe.canonicalHash, calibrationHash: request.calibration?.hash,
            validationHash: request.validation?.hash)
    }

    private func finished(_ picked: Candidate, report: Report) throws(CompressError) -> Artifact {
        var artifact = picked.artifact
        let model = try CompressError.wrapping(.recipe) { try Model(graph: artifact.graph, options: options) }
        var checks: [SelfCheck] = []
        let stream = try CompressError.wrapping(.recipe) { try model.makeStream() }
        for inputs in try selfCheckInputs(model) {
            let outputs = try CompressError.wrapping(.recipe) { try model.run(inputs, stream: stream) }
            checks.append(SelfCheck(inputs: inputs, outputs: outputs))
        }
        var report = report
        // The report states the size of the file that it is in: a few digits more or less settle in a second round.
        for _ in 0..<3 {
            let bytes = try CompressError.wrapping(.recipe) {
                try artifact.set(report, selfChecks: checks)
                return try artifact.byteCount()
            }
            if report.after.bytes == bytes { break }
            report.after.bytes = bytes
        }
        try CompressError.wrapping(.recipe) { try artifact.set(report, selfChecks: checks) }
        return artifact
    }

    /// Inputs with more bytes are checked by made-up numbers alone, most of them zeros, which take little room in the artifact.
    private static let largeInputs = 1 << 16

    /// A real sample where there are data, and one of made-up numbers.
    private func selfCheckInputs(_ model: Model) throws(CompressError) -> [[Tensor]] {
        let bytes = model.inputs.reduce(0) { $0 + ($1.shape.smallest.elementCount ?? 0) * $1.dtype.byteSize }
        if bytes > Self.largeInputs, model.states.isEmpty {
            return [SyntheticInput.sample(for: model.inputs, seed: 1, sparsity: 16)]
        }
        var samples: [[Tensor]] = []
        if let data = request.calibration ?? request.validation { samples.append(try data.sample(0)) }
        // What a model with states gives from the second run on shows what it keeps.
        for seed in 1...(model.states.isEmpty ? 1 : 3) as ClosedRange<UInt64> {
            samples.append(SyntheticInput.sample(for: model.inputs, seed: seed))
        }
        return samples
    }
}
