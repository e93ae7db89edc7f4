import ArgumentParser
import OunceCompress
import OunceServer

/// How a command finds the daemon.
struct DaemonOptions: ParsableArguments {
    @Option(help: "The daemon's socket.")
    var socket: String = "/run/ounce/ounce.sock"
    @Flag(help: "Print JSON.")
    var json = false

    var client: DaemonClient { DaemonClient(socket: socket) }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows what the daemon serves: models, recipe, accuracy, size, latency, memory.")

    @OptionGroup var options: DaemonOptions

    func run() throws {
        try Failure.reporting {
            if options.json {
                print(try options.client.statusText())
                return
            }
            let status = try options.client.status()
            var table = Table(header: [
                "model", "state", "recipe", "accuracy", "size", "p50", "p99", "requests", "memory",
            ])
            for model in status.models { table.add(row(model)) }
            table.write()
            for model in status.models {
                if let reason = model.reason ?? model.lastProblem { print("\(model.name): \(reason)") }
            }
        }
    }

    private func row(_ model: ModelStatus) -> [String] {
        let accuracy = model.report?.after.accuracy
        func time(_ microseconds: Double?) -> String { microseconds.map { Text.milliseconds($0 / 1000) } ?? "-" }
        return [
            model.name, model.state.rawValue, model.recipe ?? "-",
            accuracy.map { "\($0.metric) " + Text.accuracy(Metric(rawValue: $0.metric), $0.value) }
                ?? (model.report == nil ? "-" : "unverified"),
            model.artifactBytes.map(Text.bytes) ?? "-", time(model.latency?.p50), time(model.latency?.p99),
            "\(model.requests)", model.memoryBytes.map(Text.bytes) ?? "-",
        ]
    }
}

struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Has the daemon read its configuration again and waits until that is done.")

    @Flag(help: "Wait until every change is served. This is what reload does anyway.")
    var wait = false
    @OptionGroup var options: DaemonOptions

    func run() throws {
        try Failure.reporting {
            let result = try options.client.reload()
            options.json ? try JSONOutput.write(result) : print(result.message)
            if result.outcome == .refused || result.outcome == .partlyFailed { throw ExitCode(1) }
        }
    }
}
