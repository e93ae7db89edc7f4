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
    @OptionGroup var options: ModelOptions

    struct Layer: Encodable {
        var node: String
        var kernel: String
        var threads: Int
        var macs: Int
        var median_ms: Double
        var share: Double
    }

    struct Result: Encodable {
        var median_ms: Double
        var p10_ms: Double
        var p90_ms: Double
        var p99_ms: Double
        var runs: Int
        var threads: Int
        var macs: Int
        var gops: Double
        var memory_bytes: Int
        var instruction_sets: [String]
        var layers: [Layer]?
    }

    func run() throws {
        try Failure.reporting {
            guard seconds > 0, seconds <= 3600 else { throw ValidationError("--seconds takes a number up to 3600") }
            let model = try LoadedModel(path: file).model(try options.runtimeOptions())
            let inputs = SyntheticInput.sample(for: model.inputs, seed: 1)
            let latency = try model.measureLatency(inputs: inputs, seconds: seconds)
            let steps = try model.measureSteps(inputs: inputs, seconds: layers ? seconds : 0)
            let total = steps.reduce(0) { $0 + $1.medianMilliseconds }
            let macs = steps.reduce(0) { $0 + $1.macs }
            let table = steps.map {
                Layer(
                    node: $0.node, kernel: $0.kernel, threads: $0.threads, macs: $0.macs,
                    median_ms: $0.medianMilliseconds, share: total > 0 ? $0.medianMilliseconds / total : 0)
            }
            let result = Result(
                median_ms: latency.medianMilliseconds, p10_ms: latency.p10Milliseconds,
                p90_ms: latency.p90Milliseconds, p99_ms: latency.p99Milliseconds, runs: latency.runs,
                threads: latency.threads, macs: macs, gops: Double(2 * macs) / (latency.medianMilliseconds * 1e6),
                memory_bytes: model.memoryBytes, instruction_sets: model.instructionSets, layers: layers ? table : nil)
            options.json ? try JSONOutput.write(result) : write(result)
        }
    }

    private func write(_ result: Result) {
        print(
            "median \(Text.milliseconds(result.median_ms))  p10 \(Text.milliseconds(result.p10_ms))  "
                + "p90 \(Text.milliseconds(result.p90_ms))  p99 \(Text.milliseconds(result.p99_ms))  "
                + "(\(result.runs) runs, \(result.threads) thread\(result.threads == 1 ? "" : "s"))")
        print(
            "\(Text.count(result.macs)) MACs, \(Text.number(result.gops, 1)) GOP/s, memory "
                + "\(Text.bytes(result.memory_bytes)), kernels may use \(result.instruction_sets.joined(separator: ", "))")
        guard let layers = result.layers else { return }
        print()
        var table = Table(header: ["step", "kernel", "threads", "MACs", "time", "share", "GOP/s"])
        for layer in layers {
            table.add([
                String(layer.node.suffix(48)), layer.kernel, "\(layer.threads)", Text.count(layer.macs),
                Text.milliseconds(layer.median_ms), Text.number(layer.share * 100, 1) + " %",
                layer.macs > 0 ? Text.number(Double(2 * layer.macs) / (layer.median_ms * 1e6), 1) : "",
            ])
        }
        table.write()
    }
}
