import Logging

/// Each kind of event that the journal can be asked for, with its 128-bit id (`journalctl MESSAGE_ID=…`).
///
/// docs/protocol.md explains them. An id is never changed or used again.
package enum EventID: String, Sendable, CaseIterable {
    case started = "acd14a6b174d4e70af2a484c2432e8cd"
    case stopping = "81d7ab40096a4b5d9609b5a04b10b693"
    case configurationRefused = "4b89b3acb0684c9182f30af689bdaae4"
    case reloadStarted = "ed2a94cbf62d4b16b3513aff5a36c5bf"
    case reloadFinished = "966d5aaf7def433d8835cd4106107c5d"
    case reloadRefused = "2e83d8c2631040a19c973254151873d7"
    case modelReady = "d654d26db38c4706b20dce476d8b60aa"
    case modelFailed = "6725b2bc28544516b20bf1ec1c156678"
    case modelRemoved = "615d7c1c7ae048909f579589299c33eb"
    case compressStarted = "c6eeba80d1e64facb7aa542ce9407f36"
    case compressFinished = "acdded5512f24077bef939000538c6be"
    case compressFailed = "b43589d3aaa84b83a5e3e86e7779a0f9"
    case requestFailed = "9f0e3a6c7d5b4c21a84e1b6f2d90c753"
}

extension Logger {
    /// Logs an event with its id and journal fields.
    ///
    /// - Parameter fields: journal field names (upper case, digits and `_`) with their values.
    package func log(
        _ event: EventID, _ level: Logger.Level, _ message: String, _ fields: [String: String] = [:],
        file: String = #fileID, function: String = #function, line: UInt = #line
    ) {
        guard logLevel <= level else { return }
        var metadata: Logger.Metadata = fields.mapValues { .string($0) }
        metadata["MESSAGE_ID"] = .string(event.rawValue)
        log(
            level: level, "\(message)", metadata: metadata, source: nil, file: file, function: function, line: line)
    }
}

extension Logger.Level {
    /// The priority of syslog(3).
    var priority: Int {
        switch self {
        case .critical: 2
        case .error: 3
        case .warning: 4
        case .notice: 5
        case .info: 6
        case .debug, .trace: 7
        }
    }
}
