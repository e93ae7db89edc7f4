import FoundationEssentials

/// A file that is gone when the test is done with it.
package final class TemporaryFile: Sendable {
    package let path: String

    /// - Parameter name: how the path ends.
    package init(_ bytes: [UInt8] = [], name: String = "file") throws {
        // In memory where that can be: thousands of small files are slow on a disk.
        let memory = "/dev/shm"
        let folder =
            FileManager.default.isWritableFile(atPath: memory)
            ? memory : FileManager.default.temporaryDirectory.path
        path = folder + "/ounce-\(UUID().uuidString)-\(name)"
        try write(bytes)
    }

    package func write(_ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(filePath: path)) }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
