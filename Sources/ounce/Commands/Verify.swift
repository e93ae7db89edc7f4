import ArgumentParser
import OunceCompress
import OunceFormats
import OunceGraph

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs models on given inputs and compares their outputs with what is expected.",
        discussion: """
            Either folders of ONNX test cases (model.onnx, test_data_set_N/input_K.pb and output_K.pb), at any depth, or one \
            model with --inputs and --expected. The exit status is 0 where nothing failed. A model that is refused, because \
            it asks for what this version does not do, counts as a failure with --strict only.

            The arrays for a model that keeps states between runs may be [steps, …]: the steps run in order, and all of \
            their outputs are compared.

            Inputs that decide about shapes, such as the target of a Reshape, are bound as constants.
            """)

    @Argument(help: "Folders of test cases, or one model or artifact.")
    var paths: [String]
    @Option(parsing: .upToNextOption, help: "Inputs of the one model in order, as .npy.")
    var inputs: [String] = []
    @Option(parsing: .upToNextOption, help: "Its outputs in order, as .npy.")
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
                    for folder in try ModelVerifier.cases(below: path) {
                        add(folder, verifier.verify(folder: folder), to: &report)
                    }
                }
            } else {
                verifier.states = try options.inputs.bindings().states
                let outcome = verifier.verify(
                    model: paths[0], inputs: try inputs.map { try NumPyFile.read(path: $0) },
                    expected: try expected.map { try NumPyFile.read(path: $0) })
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
