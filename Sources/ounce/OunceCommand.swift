import ArgumentParser
import OunceRuntime

@main
struct OunceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ounce",
        abstract:
            "Makes a neural network small enough for the board it runs on, and looks after the daemon that serves it.",
        version: Ounce.version,
        subcommands: [
            Compress.self, DeviceCommand.self, Inspect.self, Eval.self, Infer.self, Verify.self, Bench.self, Check.self,
            Export.self, Sensitivity.self, Status.self, Reload.self,
        ])
}
