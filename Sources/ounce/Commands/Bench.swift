import ArgumentParser
import OunceCompress
import OunceRuntime

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
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
        var bytes: Int
        var medianMs: Double
        var share: Double
        var gops: Double
        /// The least time that the machine could need, and its share of the time taken.
        var limitMs: Double?
        var ofLimit: Double?
        var candidates: [KernelTiming]
    }

    /// What one core can do at most.
    struct Machine: Encodable {
        var int8Gops: Double?
        var float32Gops: Double?
        /// Reading as many bytes as the model takes.
        var readGbS: Double
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
        /// The least time that the machine could need for all steps, over the median.
        var shareOfPeak: Double?
        /// Read and written by all steps, each input, weight and output once.
        var bytesMoved: Int
        var memoryBytes: Int
        var instructionSets: [String]
        var machine: Machine
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
                    node: $0.node, kernel: $0.kernel, threads: $0.threads, macs: $0.macs, bytes: $0.bytes,
                    medianMs: $0.medianMilliseconds, share: total > 0 ? $0.medianMilliseconds / total : 0,
                    gops: Self.gops($0.macs, $0.medianMilliseconds), limitMs: $0.limitMilliseconds,
                    ofLimit: Self.ofLimit($0), candidates: $0.candidates)
            }
            let result = Result(
                medianMs: latency.medianMilliseconds, p10Ms: latency.p10Milliseconds,
                p90Ms: latency.p90Milliseconds, p99Ms: latency.p99Milliseconds, runs: latency.runs,
                threads: latency.threads, macs: macs, gops: Self.gops(macs, latency.medianMilliseconds),
                shareOfPeak: Self.shareOfPeak(steps, latency), bytesMoved: steps.reduce(0) { $0 + $1.bytes },
                memoryBytes: model.memoryBytes, instructionSets: model.instructionSets,
                machine: Machine(
                    int8Gops: model.peakGops(isFloat: false), float32Gops: model.peakGops(isFloat: true),
                    readGbS: MachineLimits.readGigabytesPerSecond(of: model.memoryBytes)),
                layers: layers ? table : nil)
            options.json ? try JSONOutput.write(result) : write(result)
        }
    }

    private static func gops(_ macs: Int, _ milliseconds: Double) -> Double {
        milliseconds > 0 ? Double(2 * macs) / (milliseconds * 1e6) : 0
    }

    /// A step that finds in a faster cache what the limit has come from memory may beat it.
    private static func ofLimit(_ step: StepTiming) -> Double? {
        guard let limit = step.limitMilliseconds, step.medianMilliseconds > 0 else { return nil }
        return min(1, limit / step.medianMilliseconds)
    }

    /// nil where a step has no known limit.
    private static func shareOfPeak(_ steps: [StepTiming], _ latency: LatencyStatistics) -> Double? {
        guard latency.medianMilliseconds > 0 else { return nil }
        var least = 0.0
        for step in steps where step.macs > 0 {
            guard let limit = step.limitMilliseconds else { return nil }
            least += min(limit, step.medianMilliseconds)
        }
        return min(1, least / latency.medianMilliseconds)
    }

    private func write(_ result: Result) {
        print(
            "median \(Text.milliseconds(result.medianMs))  p10 \(Text.milliseconds(result.p10Ms))  "
                + "p90 \(Text.milliseconds(result.p90Ms))  p99 \(Text.milliseconds(result.p99Ms))  "
                + "(\(result.runs) runs, \(result.threads) thread\(result.threads == 1 ? "" : "s"))")
        print(
            "\(Text.count(result.macs)) MACs, \(Text.number(result.gops, 1)) GOP/s"
                + (result.shareOfPeak.map { ", \(Text.number($0 * 100, 0)) % of what the machine could do" } ?? "")
                + "; \(Text.bytes(result.bytesMoved)) moved, memory \(Text.bytes(result.memoryBytes))")
        let machine = result.machine
        let peaks = [
            machine.int8Gops.map { "int8 \(Text.number($0, 0)) GOP/s" },
            machine.float32Gops.map { "float32 \(Text.number($0, 0)) GOP/s" },
            "reads \(Text.number(machine.readGbS, 0)) GB/s",
        ]
        print(
            "one core: \(peaks.compactMap(\.self).joined(separator: ", ")); kernels may use "
                + result.instructionSets.joined(separator: ", "))
        guard let layers = result.layers else { return }
        print()
        var table = Table(header: [
            "step", "kernel", "threads", "MACs", "bytes", "time", "share", "GOP/s", "of limit", "bound by",
            "measured against",
        ])
        for layer in layers {
            table.add([
                String(layer.node.suffix(48)), layer.kernel, "\(layer.threads)", Text.count(layer.macs),
                Text.bytes(layer.bytes), Text.milliseconds(layer.medianMs), Text.number(layer.share * 100, 1) + " %",
                layer.macs > 0 ? Text.number(layer.gops, 1) : "",
                layer.ofLimit.map { Text.number($0 * 100, 0) + " %" } ?? "", bound(layer, result.machine),
                layer.candidates.dropFirst().map { "\($0.kernel) \(Text.milliseconds($0.microseconds / 1e3))" }
                    .joined(separator: ", "),
            ])
        }
        table.write()
    }

    /// Which side of the roofline a step is on.
    private func bound(_ layer: Layer, _ machine: Machine) -> String {
        guard let limit = layer.limitMs else { return "" }
        let moving = Double(layer.bytes) / (machine.readGbS * Double(layer.threads)) / 1e6
        return limit > moving * 1.0001 ? "arithmetic" : "memory"
    }
}
