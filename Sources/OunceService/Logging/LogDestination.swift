import Glibc
import Logging

/// Where log lines go.
package enum LogDestination: Sendable, Hashable {
    /// To journald's socket, with structured fields.
    case journal
    /// To stderr, each line behind its `<priority>` (sd-daemon(3)).
    case stderr

    static let journalSocket = "/run/systemd/journal/socket"

    /// The journal where stderr is connected to it, as `$JOURNAL_STREAM` says, or where `OUNCE_JOURNAL=1`; and only
    /// while its socket exists, because without it messages would be dropped silently.
    package static func detect(environment variable: (String) -> String? = Self.variable) -> LogDestination {
        guard access(journalSocket, F_OK) == 0 else { return .stderr }
        if variable("OUNCE_JOURNAL") == "1" { return .journal }
        guard let stream = variable("JOURNAL_STREAM") else { return .stderr }
        var status = stat()
        guard fstat(STDERR_FILENO, &status) == 0 else { return .stderr }
        return stream == "\(status.st_dev):\(status.st_ino)" ? .journal : .stderr
    }

    package func handler() -> any LogHandler {
        switch self {
        case .journal: JournalLogHandler()
        case .stderr: StandardErrorLogHandler()
        }
    }

    package static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}
