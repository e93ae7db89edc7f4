import ArgumentParser
import OunceConfig

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Checks YAML files: settings (and all that they name), device profiles, recipes. Ends with 0, or 78.")

    @Argument(help: "YAML files of any kind.")
    var files: [String]
    @Flag(help: "Print JSON.")
    var json = false

    struct Result: Encodable {
        var ok: Bool
        var errors: [Diagnostic]
    }

    func run() throws {
        let diagnostics = Device.loader.check(files)
        if json {
            try JSONOutput.write(Result(ok: diagnostics.isEmpty, errors: diagnostics))
        } else if diagnostics.isEmpty {
            print("\(files.count) file\(files.count == 1 ? "" : "s") ok")
        } else {
            diagnostics.forEach { Failure.say($0.description) }
        }
        if !diagnostics.isEmpty { throw ExitCode(Failure.configuration) }
    }
}
