import Foundation
import Testing

/// The folder of shared models and data; tests are skipped, with a notice, where it is absent.
enum SharedData {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static func folder() -> String? {
        let path =
            ProcessInfo.processInfo.environment["OUNCE_SHARED_DATA"]
            ?? root.deletingLastPathComponent().appending(path: "shared/data").path
        if FileManager.default.fileExists(atPath: path + "/manifest.json") { return path }
        print("skipped: no shared data at \(path); set OUNCE_SHARED_DATA")
        return nil
    }
}

/// A folder that goes with the test.
final class Scratch {
    let path: String

    init(_ name: String) throws {
        path = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString)-\(name)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func unpack(_ archive: String) throws {
        let tar = Process()
        tar.executableURL = URL(filePath: "/usr/bin/env")
        tar.arguments = ["tar", "xzf", archive, "-C", path]
        try tar.run()
        tar.waitUntilExit()
        #expect(tar.terminationStatus == 0)
    }
}
