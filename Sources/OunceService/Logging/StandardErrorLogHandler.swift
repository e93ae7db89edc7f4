import Glibc
import Logging

/// Writes each message to stderr behind its priority, one write for a message, so that lines never mix.
package struct StandardErrorLogHandler: LogHandler {
    package var logLevel: Logger.Level = .info
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let descriptor: Int32

    package init(descriptor: Int32 = STDERR_FILENO) { self.descriptor = descriptor }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let prefix = "<\(event.level.priority)>"
        var text = "\(event.message)"
        let merged = metadata.merging(metadataProvider?.get() ?? [:]) { $1 }.merging(event.metadata ?? [:]) { $1 }
        for (key, value) in merged.sorted(by: { $0.key < $1.key }) where key != "MESSAGE_ID" {
            text += " \(key)=\(value)"
        }
        // Each line needs its own priority, or the journal takes the rest for another level.
        var bytes: [UInt8] = []
        for line in text.split(separator: "\n") {
            bytes += prefix.utf8
            bytes += line.utf8.map { $0 < 32 || $0 == 127 ? UInt8(ascii: "?") : $0 }
            bytes.append(UInt8(ascii: "\n"))
        }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(descriptor, $0.baseAddress?.advanced(by: written), $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            written += count
        }
    }
}
