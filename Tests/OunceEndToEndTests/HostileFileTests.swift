import Foundation
import Testing

extension EndToEndTests {
    /// Damaged files end in a message, never in a signal.
    @Suite(.serialized) struct HostileFileTests {
        private static let seed: UInt64 = 12

        /// Truncations, flipped bits, an overwritten stretch.
        private func damages(_ whole: Data, count: Int, _ random: inout Random) -> [Data] {
            var results = [Data(), whole.prefix(1), whole.dropLast()]
            for index in 0..<count {
                switch index % 4 {
                case 0: results.append(whole.prefix(Int.random(in: 1..<whole.count, using: &random)))
                // Structure stands mostly at both ends.
                case 1: results.append(whole.prefix(512).flipped(1, &random) + whole.dropFirst(512))
                case 2: results.append(whole.dropLast(512) + whole.suffix(512).flipped(3, &random))
                default:
                    var bytes = whole.flipped(4, &random)
                    let start = Int.random(in: 0..<bytes.count, using: &random)
                    let end = min(bytes.count, start + Int.random(in: 1...64, using: &random))
                    for place in start..<end { bytes[bytes.startIndex + place] = .random(in: 0...255, using: &random) }
                    results.append(bytes)
                }
            }
            return results
        }

        private func attempt(_ arguments: [String], _ name: Comment) throws -> Ending {
            let result = try run(Programs.ounce, arguments)
            #expect(result.signal == nil, "seed \(Self.seed), \(name), \(arguments): \(result.error.suffix(500))")
            #expect(result.status == 0 || !result.error.isEmpty, name)
            return result
        }

        @Test func artifacts() throws {
            let folder = try Folder()
            let input = try folder.write(Vibration.samples(1, seed: 1).encoded, to: "x.npy")
            var random = Random(seed: Self.seed)
            let whole = try Data(contentsOf: URL(fileURLWithPath: Vibration.artifact("int8")))
            for (index, bytes) in damages(whole, count: 20, &random).enumerated() {
                let path = try folder.write(bytes, to: "damaged.ounce")
                let commands = [
                    ["inspect", path], ["infer", path, "--input", input, "--output", folder.file("y.npy")],
                    ["bench", path, "--seconds", "0.01"], ["compress", path, "--output", folder.file("z.ounce")],
                ]
                let result = try attempt(commands[index % commands.count], "artifact \(index)")
                #expect(result.status != 0, "artifact \(index) is damaged but accepted")
                #expect(result.error.contains("damaged.ounce"), "\(result.error)")
            }
            #expect(folder.names == ["damaged.ounce", "x.npy"])
        }

        /// Each byte of the header, which the checksum does not cover.
        @Test func artifactHeader() throws {
            let folder = try Folder()
            var random = Random(seed: Self.seed)
            let whole = try Data(contentsOf: URL(fileURLWithPath: Vibration.artifact("int8")))
            for place in 0..<64 {
                var bytes = whole
                bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                let result = try attempt(["inspect", try folder.write(bytes, to: "damaged.ounce")], "byte \(place)")
                #expect(result.status != 0, "byte \(place)")
            }
        }

        @Test func models() throws {
            let folder = try Folder()
            let input = try folder.write(Vibration.samples(1, seed: 1).encoded, to: "x.npy")
            var random = Random(seed: Self.seed)
            let whole = try Data(contentsOf: URL(fileURLWithPath: Vibration.model))
            for (index, bytes) in damages(whole, count: 20, &random).enumerated() {
                let path = try folder.write(bytes, to: "damaged.onnx")
                let commands = [
                    ["inspect", path], ["infer", path, "--input", input, "--output", folder.file("y.npy")],
                    ["compress", path, "--recipe", "int8-weights", "--output", folder.file("z.ounce")],
                ]
                _ = try attempt(commands[index % commands.count], "model \(index)")
            }
        }

        @Test func data() throws {
            let folder = try Folder()
            var random = Random(seed: Self.seed)
            let model = try Vibration.artifact("none")
            let samples = Vibration.samples(2, seed: 1)
            let labels = NumPyArray(labels: [0, 3])
            let archive = NumPyArchive.encoded([(Vibration.input, samples), ("labels", labels)])
            let deflated = try Data(contentsOf: URL(fileURLWithPath: Vibration.calibration))
            for (index, bytes) in damages(archive, count: 16, &random).enumerated() {
                let path = try folder.write(bytes, to: "damaged.npz")
                _ = try attempt(["eval", model, "--data", path], "archive \(index)")
            }
            for (index, bytes) in damages(deflated, count: 8, &random).enumerated() {
                let path = try folder.write(bytes, to: "damaged.npz")
                _ = try attempt(
                    ["infer", model, "--input", path, "--output", folder.file("y.npy")], "deflated \(index)")
            }
            for (index, bytes) in damages(samples.encoded, count: 8, &random).enumerated() {
                let path = try folder.write(bytes, to: "damaged.npy")
                _ = try attempt(["infer", model, "--input", path, "--output", folder.file("y.npy")], "array \(index)")
            }
        }

        @Test func settings() throws {
            let folder = try Folder()
            var random = Random(seed: Self.seed)
            let whole = Data(TestDaemon.yaml(folder, [Vibration.settings(recipe: "int8")]).utf8)
            for (index, bytes) in damages(whole, count: 12, &random).enumerated() {
                let path = try folder.write(bytes, to: "damaged.yaml")
                let result = try attempt(["check", path], "settings \(index)")
                #expect(result.status == 0 || result.status == 78)
            }
        }
    }
}
