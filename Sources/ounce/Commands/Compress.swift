import ArgumentParser
import OunceCompress
import OunceConfig
import OunceRuntime
import OunceSystem

struct Compress: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compress",
        abstract: "Makes an artifact of a float model: applies a recipe, or measures all and picks the best one.")

    @Argument(help: "A float model (.onnx, .tflite).")
    var model: String
    @Option(help: "Device profile: a file, or the name of a shipped one.")
    var profile: String = "auto"
    @Option(help: "A recipe file, the name of a shipped one, or auto.")
    var recipe: String = "auto"
    @Option(help: "Folder of the recipes that auto chooses among.")
    var recipes: String?
    @Flag(help: "Int8 activations with zero point 0, for export to TensorRT without loss.")
    var symmetric = false
    @Option(help: "Samples to calibrate with (.npz or .npy).")
    var calibration: String?
    @Option(help: "Samples to train with, for recipes that fine-tune (.npz). Default: those of --calibration.")
    var data: String?
    @Option(help: "Samples with labels to measure accuracy with (.npz).")
    var validation: String?
    @Option(help: "top1, auc, mse or fidelity. Default: top1 where there are labels, else fidelity.")
    var metric: String?
    @Option(help: "Points of accuracy (per cent for mse) that may be lost.")
    var maxDrop: Double = 1
    @Option(help: "The least accuracy that is accepted, as a fraction.")
    var floor: Double?
    @Option(help: "Milliseconds that the 99th percentile of the latency may take.")
    var latency: Double?
    @Option(help: "Threads; at most what the profile allows.")
    var threads: Int?
    @Option(name: .shortAndLong, help: "Where the artifact goes (.ounce).")
    var output: String
    @OptionGroup var inputs: InputOptions
    @Flag(help: "Print JSON.")
    var json = false

    struct Result: Encodable {
        var output: String
        var provenance: Provenance
        var report: Report
    }

    func run() throws {
        try Failure.reporting {
            var request = try request()
            let checkpoints = CheckpointFolder(output: output)
            request.checkpoints = checkpoints.files
            let progress = ProgressLine(isSilent: json)
            let artifact = try Compressor(request) { progress.show($0) }.run()
            progress.finish()
            try AtomicFile.write(try artifact.encoded(), to: output)
            checkpoints.remove()
            let description = try artifact.description
            guard let report = description.report else { return }
            if json {
                try JSONOutput.write(Result(output: output, provenance: description.provenance, report: report))
            } else {
                ReportText(report: report, metric: request.metric).write(output: output)
            }
        }
    }

    private func request() throws -> CompressionRequest {
        let deviceProfile = try Device.profile(profile)
        func asWanted(_ recipe: Recipe) -> Recipe { symmetric ? recipe.withSymmetricActivations : recipe }
        let selection: ResolvedConfiguration.RecipeSelection =
            recipe == "auto"
            ? .auto(try Device.recipes(in: recipes).map(asWanted))
            : .fixed(asWanted(try Device.loader.recipe(recipe)))
        let loaded = try inputs.load(model, data: calibration ?? validation)
        let inputs = loaded.inputs
        let validationData = try validation.map { try Dataset(path: $0, inputs: inputs) }
        let calibrationData = try calibration.map { try Dataset(path: $0, inputs: inputs) }
        let chosen = metric ?? (validationData?.labels == nil ? "fidelity" : "top1")
        guard let metric = Metric(rawValue: chosen) else {
            throw ValidationError("--metric is top1, auc, mse or fidelity, not '\(chosen)'")
        }
        var request = CompressionRequest(
            model: loaded, profile: deviceProfile, recipe: selection, calibration: calibrationData,
            validation: validationData, metric: metric, maxDrop: maxDrop, floor: floor, latencyLimit: latency,
            onlineCPUs: Device.probe.onlineCores, totalMemory: Device.probe.memoryBytes, threads: threads)
        request.training = try data.map { try Dataset(path: $0, inputs: inputs) }
        return request
    }
}
