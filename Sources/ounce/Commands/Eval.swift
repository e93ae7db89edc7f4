import ArgumentParser
import OunceCompress
import OunceRuntime

struct Eval: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval",
        abstract: "Measures the accuracy of a model or artifact on data.",
        discussion: """
            A model that keeps states between runs starts anew with each sample. Where a sample is a sequence \
            ([samples, steps, …]) its steps run in order and the output of the last one counts; fidelity is the mean over \
            all steps.
            """)

    @Argument(help: "A model (.onnx, .tflite) or an artifact (.ounce).")
    var file: String
    @Option(help: "Samples: .npz with arrays named by input (and 'labels'), or .npy.")
    var data: String
    @Option(help: "Labels as .npy, in place of 'labels' in the data.")
    var labels: String?
    @Option(help: "top1, auc, mse or fidelity.")
    var metric: String = "top1"
    @Option(help: "The model that fidelity compares with.")
    var reference: String?
    @Option(help: "Use only the first so many samples.")
    var limit: Int?
    @OptionGroup var options: ModelOptions

    struct Result: Encodable {
        var metric: String
        var value: Double
        var samples: Int
        var standardError: Double
        /// Where the value over all such samples lies with a confidence of 95 %.
        var confidence: Report.Confidence?
    }

    func run() throws {
        try Failure.reporting {
            guard let metric = Metric(rawValue: metric) else {
                throw ValidationError("--metric is top1, auc, mse or fidelity, not '\(metric)'")
            }
            let runtime = try options.runtimeOptions()
            let model = try options.inputs.load(file, data: data).model(runtime)
            let dataset = try Dataset(path: data, inputs: model.inputs, labelsPath: labels, limit: limit)
            let progress = ProgressLine(isSilent: options.json)
            let evaluator = Evaluator(metric: metric, dataset: dataset) { progress.show(.working("evaluate", $0)) }
            let accuracy = try evaluator.evaluate(
                model, reference: try reference.map { try options.inputs.load($0, data: data).model(runtime) })
            progress.finish()
            if options.json {
                try JSONOutput.write(
                    Result(
                        metric: accuracy.metric, value: accuracy.value, samples: accuracy.samples,
                        standardError: accuracy.standardError, confidence: accuracy.confidence))
            } else {
                func text(_ value: Double) -> String { Text.accuracy(metric, value) }
                var line = "\(accuracy.metric) \(text(accuracy.value)) ± \(text(accuracy.standardError)) "
                line += "(\(accuracy.samples) samples, one standard error"
                if let range = accuracy.confidence { line += "; 95 %: \(text(range.low)) to \(text(range.high))" }
                print(line + ")")
            }
        }
    }
}
