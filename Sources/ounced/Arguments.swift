import Glibc
import OunceRuntime

/// What the command line asks for.
enum Arguments: Equatable {
    case serve(configuration: String)
    case version
    case help
    case wrong(String)

    static let usage = """
        Usage: ounced [--config FILE]

        Serves neural networks over a Unix socket, as FILE says.

          --config FILE  settings; default: /etc/ounce/ounce.yaml
          --version      print the version
          --help         print this

        """

    /// - Parameter arguments: with the program's name first.
    init(_ arguments: [String]) {
        var configuration = "/etc/ounce/ounce.yaml"
        var rest = arguments.dropFirst()
        while let argument = rest.popFirst() {
            switch argument {
            case "--version":
                self = .version
                return
            case "--help", "-h":
                self = .help
                return
            case "--config":
                guard let value = rest.popFirst() else {
                    self = .wrong("--config wants a file")
                    return
                }
                configuration = value
            case _ where argument.hasPrefix("--config="): configuration = String(argument.dropFirst(9))
            default:
                self = .wrong("there is no argument '\(argument)'")
                return
            }
        }
        self = .serve(configuration: configuration)
    }
}

/// Runs until a signal ends it. Returns the exit status: 64 for a wrong command line, 78 for wrong settings.
func runDaemon(_ arguments: [String]) -> Int32 {
    switch Arguments(arguments) {
    case .serve(let configuration): return Daemon.run(configuration: configuration)
    case .version:
        print("ounced \(Ounce.version)")
        return 0
    case .help:
        print(Arguments.usage, terminator: "")
        return 0
    case .wrong(let message):
        writeToStandardError("ounced: \(message)\n\(Arguments.usage)")
        return 64
    }
}

/// For people who start the daemon by hand; the log may go elsewhere.
func writeToStandardError(_ text: String) {
    let bytes = Array(text.utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}
