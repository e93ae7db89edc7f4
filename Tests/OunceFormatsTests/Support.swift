import Foundation
import OunceFormats
import OunceGraph
import Testing

/// Files that the tests read.
enum Fixture {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static func golden(_ name: String) -> String { root.appending(path: "Tests/Golden/formats/\(name)").path }

    static func goldenBytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(filePath: golden(name))))
    }

    static func decode<T: Decodable>(_ type: T.Type, from path: String) throws -> T {
        try JSONDecoder().decode(type, from: Data(contentsOf: URL(filePath: path)))
    }

    /// The folder of shared models; nil, with a notice, where it is absent.
    static func shared() -> String? {
        let path =
            ProcessInfo.processInfo.environment["OUNCE_SHARED_DATA"]
            ?? root.deletingLastPathComponent().appending(path: "shared/data").path
        if FileManager.default.fileExists(atPath: path + "/manifest.json") { return path }
        print("skipped: no shared data at \(path); set OUNCE_SHARED_DATA")
        return nil
    }

    static func temporary(_ name: String) -> String {
        FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString)-\(name)").path
    }
}

/// A small generator whose seed the tests print (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

/// Gives `parse` every prefix of `content`; each must fail or succeed in an orderly way.
func tryPrefixes(of content: [UInt8], step: Int = 1, _ parse: ([UInt8]) throws -> Void) -> Int {
    var accepted = 0
    for count in stride(from: 0, to: content.count, by: step) {
        if (try? parse(Array(content.prefix(count)))) != nil { accepted += 1 }
    }
    return accepted
}

/// Gives `parse` copies of `content` with a few random changes; each must fail or succeed in an orderly way. OUNCE_SEED
/// gives another seed.
func tryDamaged(_ content: [UInt8], rounds: Int, seed: UInt64, _ parse: ([UInt8]) throws -> Void) -> Int {
    let seed = ProcessInfo.processInfo.environment["OUNCE_SEED"].flatMap { UInt64($0) } ?? seed
    print("seed \(seed)")
    var generator = SeededGenerator(seed: seed)
    var accepted = 0
    for _ in 0..<rounds {
        var damaged = content
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let place = Int.random(in: 0..<damaged.count, using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: damaged[place] = .random(in: 0...255, using: &generator)
            case 1: damaged[place] = [0, 0x7F, 0x80, 0xFF][Int.random(in: 0..<4, using: &generator)]
            default: damaged[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            }
        }
        if (try? parse(damaged)) != nil { accepted += 1 }
    }
    return accepted
}
