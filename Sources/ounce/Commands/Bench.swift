import ArgumentParser
import OunceCompress
import OunceRuntime

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures the latency of a model or artifact on this machine.")

    @Argument(help: "A model (.onnx, .tflite) or an artifact (.ounce).")
    var file: String
    @Flag(help: "Time each step: its kernel and its share.")
    var layers = false
    @Option(help: "How long to measure.")
    var seconds: Double = 1
    @Flag(
        help: ArgumentHelp(
            "Answer a script that compares engines: a JSON line about loading, then one for each line of seconds read.",
            visibility: .hidden))
    var worker = false
    @Option(help: ArgumentHelp("For --worker: the input as .npy.", visibility: .hidden))
    var input: String?
    @Option(help: ArgumentHelp("For --worker: the output that is expected, as .npy.", visibility: .hidden))
    var reference: String?
    @OptionGroup var options: ModelOptions

    struct Layer: Encodable {
        var node: String
        var kernel: String
        var threads: Int
        var macs: Int
        var medianMs: Double
        var share: Double
        var candidates: [KernelTiming]
    }

    struct Result: Encodable {
        var medianMs: Double
        var p10Ms: Double
        var p90Ms: Double
        var p99Ms: Double
        var runs: Int
        var threads: Int
        var macs: Int
        var gops: Double
        var memoryBytes: Int
        var instructionSets: [String]
        var layers: [Layer]?
    }

    func run() throws {
        try Failure.reporting {
            guard seconds > 0, seconds <= 3600 else { throw ValidationError("--seconds takes a number up to 3600") }
            if worker { return try BenchWorker.serve(file, input: input, reference: reference, options) }
            let model = try options.inputs.load(file).model(try options.runtimeOptions())
            let inputs = SyntheticInput.sample(for: model.inputs, seed: 1)
            let latency = try model.measureLatency(inputs: inputs, seconds: seconds)
            let steps = try model.measureSteps(inputs: inputs, seconds: layers ? seconds : 0)
            let total = steps.reduce(0) { $0 + $1.medianMilliseconds }
            let macs = steps.reduce(0) { $0 + $1.macs }
            let table = steps.map {
                Layer(
                    node: $0.node, kernel: $0.kernel, threads: $0.threads, macs: $0.macs,
                    medianMs: $0.medianMilliseconds, share: total > 0 ? $0.medianMilliseconds / total : 0,
                    candidates: $0.candidates)
            }
            let result = Result(
                medianMs: latency.medianMilliseconds, p10Ms: latency.p10Milliseconds,
                p90Ms: latency.p90Milliseconds, p99Ms: latency.p99Milliseconds, runs: latency.runs,
                threads: latency.threads, macs: macs, gops: Double(2 * macs) / (latency.medianMilliseconds * 1e6),
                memoryBytes: model.memoryBytes, instructionSets: model.instructionSets, layers: layers ? table : nil)
            options.json ? try JSONOutput.write(result) : write(result)
        }
    }

    private func write(_ result: Result) {
        print(
            "median \(Text.milliseconds(result.medianMs))  p10 \(Text.milliseconds(result.p10Ms))  "
                + "p90 \(Text.milliseconds(result.p90Ms))  p99 \(Text.milliseconds(result.p99Ms))  "
                + "(\(result.runs) runs, \(result.threads) thread\(result.threads == 1 ? "" : "s"))")
        print(
            "\(Text.count(result.macs)) MACs, \(Text.number(result.gops, 1)) GOP/s, memory "
                + "\(Text.bytes(result.memoryBytes)), kernels may use \(result.instructionSets.joined(separator: ", "))"
        )
        guard let layers = result.layers else { return }
        print()
        var table = Table(header: ["step", "kernel", "threads", "MACs", "time", "share", "GOP/s", "measured against"])
        for layer in layers {
            table.add([
                String(layer.node.suffix(48)), layer.kernel, "\(layer.threads)", Text.count(layer.macs),
                Text.milliseconds(layer.medianMs), Text.number(layer.share * 100, 1) + " %",
                layer.macs > 0 ? Text.number(Double(2 * layer.macs) / (layer.medianMs * 1e6), 1) : "",
                layer.candidates.dropFirst().map { "\($0.kernel) \(Text.milliseconds($0.microseconds / 1e3))" }
                    .joined(separator: ", "),
            ])
        }
        table.write()
    }
}
