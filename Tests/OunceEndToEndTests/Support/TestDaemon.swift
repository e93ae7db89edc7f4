import Foundation
import Glibc

/// `ounced` with a service manager and, where mount namespaces are permitted, a journal of the test's own.
final class TestDaemon {
    let folder: Folder
    let settings: String
    private let manager: Datagrams
    private let journal: Datagrams?
    private let variables: [String: String]
    private(set) var program: RunningProgram

    var socket: String { folder.file("ounce.sock") }
    var state: String { folder.file("state") }

    /// `unshare` puts a mount namespace around a command, with root's rights or those of a user namespace.
    private static let namespace: [String]? = {
        let options = geteuid() == 0 ? "-m" : "-rm"
        let isPermitted =
            (try? run("/usr/bin/unshare", [options, "mount", "-t", "tmpfs", "none", "/run"]))?.status == 0
        if !isPermitted { print("notice: no mount namespace here; logs are read from stderr in place of a journal") }
        return isPermitted ? [options] : nil
    }()

    /// - Parameters:
    ///   - models: the lines below `models:`, each `  - {…}`.
    ///   - more: further lines of the settings.
    convenience init(models: [String], more: String = "", variables: [String: String] = [:]) throws {
        let folder = try Folder()
        try folder.write(Self.yaml(folder, models, more), to: "ounce.yaml")
        try self.init(folder: folder, variables: variables)
    }

    /// Starts a daemon on the settings `ounce.yaml` in `folder`.
    init(folder: Folder, variables: [String: String] = [:]) throws {
        self.folder = folder
        settings = folder.file("ounce.yaml")
        manager = try Datagrams(path: folder.file("notify-\(UUID().uuidString.prefix(8))"))
        journal = try Self.namespace.map { _ in
            try Datagrams(path: folder.file("journal-\(UUID().uuidString.prefix(8))"))
        }
        self.variables = variables.merging(["NOTIFY_SOCKET": manager.path, "OUNCE_JOURNAL": "1"]) { $1 }
        program = try Self.start(settings, journal, self.variables)
    }

    static func yaml(_ folder: Folder, _ models: [String], _ more: String = "") -> String {
        """
        profile: {name: test, cores: 1, memory: 256MiB, simd: auto}
        state: \(folder.file("state"))
        models:
        \(models.joined(separator: "\n"))
        server: {socket: \(folder.file("ounce.sock")), mode: "0600"}
        \(more)
        """
    }

    func rewrite(models: [String], more: String = "") throws {
        try folder.write(Self.yaml(folder, models, more), to: "ounce.yaml")
    }

    private static func start(
        _ settings: String, _ journal: Datagrams?, _ variables: [String: String]
    ) throws -> RunningProgram {
        guard let journal, let namespace else {
            return try RunningProgram(Programs.ounced, ["--config", settings], variables)
        }
        let script = """
            mount -t tmpfs none /run && mkdir -p /run/systemd/journal && : >/run/systemd/journal/socket &&
            mount --bind "$1" /run/systemd/journal/socket && shift && exec "$@"
            """
        let command = ["/bin/sh", "-c", script, "sh", journal.path, Programs.ounced, "--config", settings]
        return try RunningProgram("/usr/bin/unshare", namespace + command, variables)
    }

    // MARK: What it tells

    /// What it told the service manager, one datagram each.
    var notifications: [String] { manager.texts }

    var log: [LogEntry] {
        if let journal { return journal.all.map(LogEntry.init(datagram:)) }
        return program.errorSoFar.split(separator: "\n").compactMap(LogEntry.init(line:))
    }

    var hasJournal: Bool { journal != nil }

    func logged(_ text: String) -> [LogEntry] { log.filter { $0.message.contains(text) } }

    /// For a failed expectation: what it said last.
    var story: String {
        (log.suffix(20).map(\.message) + [String(program.errorSoFar.suffix(2000))]).joined(separator: "\n")
    }

    // MARK: What it is told

    func curl(_ target: String, _ arguments: [String] = [], body: Data? = nil) throws -> Curl {
        try Curl(socket, target, arguments, body: body)
    }

    /// Waits until READY=1 was sent and every model is ready or failed.
    func waitUntilSettled() throws {
        let isSettled = try eventually {
            guard program.isRunning else { throw TestFailure("ounced ended early: \(story)") }
            guard notifications.contains(where: { $0.contains("READY=1") }) else { return false }
            let states = try models().values.compactMap { $0["state"] as? String }
            return !states.contains("loading")
        }
        if !isSettled { throw TestFailure("ounced does not settle: \(story)") }
    }

    /// The status of each model by its name.
    func models() throws -> [String: [String: Any]] {
        let entries = try curl("/v2/ounce/status").json["models"] as? [[String: Any]] ?? []
        return Dictionary(uniqueKeysWithValues: entries.map { ($0["name"] as? String ?? "", $0) })
    }

    func model(_ name: String) throws -> [String: Any] { try models()[name] ?? [:] }

    func reload() throws -> Ending { try ounce("reload", "--wait", "--socket", socket) }

    /// Ends it by SIGTERM.
    func stop() throws -> Ending {
        program.send(SIGTERM)
        return try program.wait()
    }

    func kill() throws {
        program.send(SIGKILL)
        _ = try program.wait()
    }

    /// Starts it again in the same place.
    func startAgain() throws { program = try Self.start(settings, journal, variables) }

    /// Names of what is in the artifact cache.
    var artifacts: [String] { Folder.names(in: state + "/artifacts") }
}
