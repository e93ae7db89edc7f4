import ArgumentParser
import OunceCompress
import OunceRuntime
import OunceSystem

struct Sensitivity: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sensitivity",
        abstract: "Shows what each layer costs in accuracy when it alone is compressed.",
        discussion: """
            Each layer in turn is rounded, pruned or made binary while the others stay float, without training. Layers \
            that lose much are those to keep wider ('keep' in recipes).
            """)

    @Argument(help: "A float model (.onnx, .tflite).")
    var model: String
    @Option(help: "Samples that judge, with 'labels' for a metric that needs them (.npz).")
    var data: String
    @Option(help: "Samples that tell the ranges of activations (.npz). Without it weights alone are changed.")
    var calibration: String?
    @Option(help: "top1, auc, mse or fidelity. Default: top1 where there are labels, else fidelity.")
    var metric: String?
    @Option(help: "Use only the first so many samples of --data.")
    var limit: Int = 256
    @Option(name: .customLong("only"), help: "Names of changes to try, with commas between; all where it is left out.")
    var only: String?
    @Option(help: "Where to draw the result (.svg).")
    var plot: String?
    @OptionGroup var options: ModelOptions

    func validate() throws {
        guard limit > 0 else { throw ValidationError("--limit takes a number from 1") }
    }

    func run() throws {
        try Failure.reporting {
            let transforms = try chosen()
            let loaded = try options.inputs.load(model, data: data)
            let dataset = try Dataset(path: data, inputs: loaded.inputs, limit: limit)
            let name = metric ?? (dataset.labels == nil ? "fidelity" : "top1")
            guard let metric = Metric(rawValue: name) else {
                throw ValidationError("--metric is top1, auc, mse or fidelity, not '\(name)'")
            }
            let progress = ProgressLine(isSilent: options.json)
            let analysis = SensitivityAnalysis(
                graph: loaded.graph, data: dataset,
                calibration: try calibration.map { try Dataset(path: $0, inputs: loaded.inputs) }, metric: metric,
                options: try options.runtimeOptions(), transforms: transforms
            ) { progress.show(.working("change layers one by one", $0)) }
            let result = try analysis.run()
            progress.finish()
            if let plot {
                let drawing = SensitivityPlot(result: result, metric: metric, title: loaded.graph.name)
                try AtomicFile.write(Array(drawing.svg.utf8), to: plot)
            }
            if options.json { return try JSONOutput.write(result) }
            write(result, metric, transforms)
            if let plot { print("\nwrote \(plot)") }
        }
    }

    private func chosen() throws -> [LayerTransform] {
        guard let only else { return LayerTransform.all }
        return try only.split(separator: ",").map { name in
            guard let transform = LayerTransform.all.first(where: { $0.name == name }) else {
                throw ValidationError(
                    "--only: '\(name)' is none of " + LayerTransform.all.map(\.name).joined(separator: ", "))
            }
            return transform
        }
    }

    private func write(_ result: SensitivityAnalysis.Result, _ metric: Metric, _ transforms: [LayerTransform]) {
        var line = "float: \(result.metric) \(Text.accuracy(metric, result.float.value))"
        if let range = result.float.confidence {
            line += ", 95 % between \(Text.accuracy(metric, range.low)) and \(Text.accuracy(metric, range.high))"
        }
        print(line + " (\(result.float.samples) samples)")
        print((metric == .mse ? "per cent of more error" : "points lost") + " when one layer is\n")
        for transform in transforms { print("  \(transform.name): \(transform.summary)") }
        print()
        let largest = result.layers.flatMap(\.changes).map(\.drop).filter(\.isFinite).max() ?? 0
        var table = Table(header: ["layer", "kind", "parameters", "MACs"] + transforms.map { $0.name + "      " })
        for layer in result.layers {
            let cells = transforms.map { transform -> String in
                guard let change = layer.changes.first(where: { $0.transform == transform.name }) else { return "" }
                return Text.number(change.drop, 2) + " " + Self.bar(change.drop, of: largest)
            }
            table.add(
                [String(layer.name.suffix(40)), layer.kind, Text.count(layer.parameters), Text.count(layer.macs)]
                    + cells)
        }
        table.write()
    }

    /// Five places wide, in eighths.
    private static func bar(_ value: Double, of largest: Double) -> String {
        guard value > 0, largest > 0, value.isFinite else { return "     " }
        let eighths = Int((min(1, value / largest) * 40).rounded())
        let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
        let text = String(repeating: "█", count: eighths / 8) + parts[eighths % 8]
        return text + String(repeating: " ", count: 5 - text.count)
    }
}
