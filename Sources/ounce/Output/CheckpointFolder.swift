import Glibc
import OunceCompress
import OunceGraph
import OunceSystem
import Synchronization

/// Checkpoints beside the artifact that is being made: `OUTPUT.NAME.checkpoint`.
final class CheckpointFolder: Sendable {
    private let output: String
    private let used = Mutex<Set<String>>([])
    /// A larger file is none of ours.
    private static let maximumBytes = 1 << 34

    init(output: String) { self.output = output }

    var files: CheckpointFiles {
        CheckpointFiles(load: { self.load($0) }, save: { try self.save($0, $1) })
    }

    private func path(_ name: String) -> String {
        let path = "\(output).\(name).checkpoint"
        used.withLock { _ = $0.insert(path) }
        return path
    }

    private func load(_ name: String) -> [UInt8]? {
        guard let file = try? MappedFile(path: path(name)), file.bytes.count <= Self.maximumBytes else { return nil }
        return withExtendedLifetime(file) { Array(file.bytes) }
    }

    private func save(_ name: String, _ bytes: [UInt8]) throws { try AtomicFile.write(bytes, to: path(name)) }

    /// Once the artifact is there.
    func remove() {
        for path in used.withLock({ $0 }) { unlink(path) }
    }
}
