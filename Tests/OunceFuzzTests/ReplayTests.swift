import Foundation
import OunceFuzzTargets
import Testing

/// Inputs that once crashed or stalled a reader (`Tests/Golden/fuzz/TARGET`): the readers live on and answer in time.
@Suite(.serialized) struct ReplayTests {
    private static let golden = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Golden/fuzz")

    @Test(.timeLimit(.minutes(5)), arguments: FuzzTarget.allCases)
    func inputsOnceFound(_ target: FuzzTarget) throws {
        let folder = Self.golden.appending(path: target.rawValue)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        for name in names.sorted() {
            let bytes = try Data(contentsOf: folder.appending(path: name))
            let elapsed = ContinuousClock().measure { bytes.withUnsafeBytes { target.run($0) } }
            #expect(elapsed < .seconds(60), "\(target.rawValue)/\(name)")
        }
    }
}
