import ArgumentParser
import OunceCompress
import OunceFormats
import OunceGraph

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Runs models on given inputs and compares their outputs with what is expected.",
        discussion: """
            ounce verify DIR…             ONNX test cases (model.onnx, test_data_set_N/input_K.pb, output_K.pb) at any depth
            ounce verify MODEL --inputs x.npy --expected y.npy
            ounce verify MODEL --inputs inputs.npz --expected outputs.npz       arrays by the names of inputs and outputs
            ounce verify MODEL --inputs a=x.npy b=z.npy --expected y=y.npy

            Floats agree where |actual - expected| <= absolute + relative * |expected|; all else must be equal, and types and \
            shapes always. Of outputs given by name only those are compared.

            A case is refused where the model asks for what this version does not do; all of that is listed. The exit \
            status is 0 where nothing failed (with --strict: nothing was refused either), 1 otherwise, 64 for wrong usage.

            The arrays for a model that keeps states between runs may be [steps, …]: the steps run in order, and all of \
            their outputs are compared.

            Inputs that decide about shapes, such as the target of a Reshape, are bound as constants.
            """)

    @Argument(help: "Folders of test cases, or one model or artifact.")
    var paths: [String]
    @Option(parsing: .upToNextOption, help: "Inputs of the one model: .npy in order, .npz by name, NAME=FILE.npy.")
    var inputs: [String] = []
    @Option(parsing: .upToNextOption, help: "Its outputs, in the same forms.")
    var expected: [String] = []
    @Option(help: "Relative tolerance for floats.")
    var relative = TensorAgreement().relative
    @Option(help: "Absolute tolerance for floats.")
    var absolute = TensorAgreement().absolute
    @Option(help: "How far integers may lie apart.")
    var steps = 0
    @Flag(help: "Count refused models as failures.")
    var strict = false
    @Flag(help: "Print only what failed or was refused, and the sum.")
    var quiet = false
    @OptionGroup var options: ModelOptions

    struct Report: Encodable {
        struct Case: Encodable {
            var name: String
            var outcome: String
            var reason: String?
        }
        var passed = 0
        var failed = 0
        var refused = 0
        var cases: [Case] = []
    }

    func validate() throws {
        guard expected.isEmpty || paths.count == 1 else {
            throw ValidationError("--expected goes with one model")
        }
        guard inputs.isEmpty || !expected.isEmpty else { throw ValidationError("--inputs needs --expected") }
    }

    func run() throws {
        try Failure.reporting {
            var verifier = ModelVerifier(options: try options.runtimeOptions())
            verifier.agreement.relative = relative
            verifier.agreement.absolute = absolute
            verifier.agreement.steps = steps
            var report = Report()
            if expected.isEmpty {
                for path in paths {
                    let folders = try ModelVerifier.cases(below: path)
                    guard !folders.isEmpty else {
                        throw CompressError(
                            .input, "\(path): holds no test case; one is a folder with model.onnx and test_data_set_0")
                    }
                    for folder in folders {
                        add(folder, verifier.verify(folder: folder), to: &report)
                    }
                }
            } else {
                verifier.states = try options.inputs.bindings().states
                let outcome = verifier.verify(
                    model: paths[0], inputs: try VerifyTensors(files: inputs),
                    expected: try VerifyTensors(files: expected))
                add(paths[0], outcome, to: &report)
            }
            if options.json {
                try JSONOutput.write(report)
            } else {
                print("\(report.passed) passed, \(report.failed) failed, \(report.refused) refused")
            }
            if report.failed > 0 || (strict && report.refused > 0) { throw ExitCode(1) }
        }
    }

    private func add(_ name: String, _ outcome: VerifyOutcome, to report: inout Report) {
        switch outcome {
        case .passed:
            report.passed += 1
            report.cases.append(.init(name: name, outcome: "passed"))
            if !options.json, !quiet { print("passed  \(name)") }
        case .failed(let reason):
            report.failed += 1
            report.cases.append(.init(name: name, outcome: "failed", reason: reason))
            if !options.json { print("failed  \(name): \(reason)") }
        case .refused(let reason):
            report.refused += 1
            report.cases.append(.init(name: name, outcome: "refused", reason: reason))
            if !options.json { print("refused \(name): \(reason)") }
        }
    }
}
