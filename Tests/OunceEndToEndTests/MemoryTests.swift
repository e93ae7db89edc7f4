import Foundation
import Testing

extension EndToEndTests {
    /// Loading a model takes at most 1.3 times its size and 16 MiB.
    @Suite(.serialized) struct MemoryTests {
        private static let extent = 4096

        /// The most memory that the program had at once, as the kernel counts it, until shortly before its end.
        private func peak(_ arguments: [String]) throws -> Int {
            let program = try RunningProgram(Programs.ounce, arguments)
            var peak = 0
            while program.isRunning {
                peak = max(peak, program.peakMemory)
                usleep(500)
            }
            let ending = try program.wait()
            #expect(ending.status == 0, "\(arguments): \(ending.error)")
            return peak
        }

        private func expectBound(_ arguments: [String], bytes: Int) throws {
            let peak = try peak(arguments)
            print("\(arguments[0]): \(peak >> 20) MiB for \(bytes >> 20) MiB")
            #expect(peak > 0 && peak < bytes * 13 / 10 + 16 << 20, "\(arguments): \(peak) for \(bytes)")
        }

        private func field(_ number: Int, _ content: Data) -> Data {
            varint(number << 3 | 2) + varint(content.count) + content
        }
        private func varint(_ value: Int) -> Data {
            var (rest, bytes) = (value, Data())
            while rest >= 0x80 {
                bytes.append(UInt8(rest & 0x7F) | 0x80)
                rest >>= 7
            }
            return bytes + [UInt8(rest)]
        }
        private func int(_ number: Int, _ value: Int) -> Data { varint(number << 3) + varint(value) }
        private func text(_ number: Int, _ text: String) -> Data { field(number, Data(text.utf8)) }

        /// A product with a square matrix of ones and a half.
        private func model(_ op: String, _ content: Data) -> Data {
            func value(_ name: String) -> Data {
                let shape = field(1, int(1, 1)) + field(1, int(1, Self.extent))
                return text(1, name) + field(2, field(1, int(1, 1) + field(2, shape)))
            }
            let node = text(1, "x") + text(1, "w") + text(2, "y") + text(4, op)
            let tensor = int(1, Self.extent) + int(1, Self.extent) + int(2, 1) + text(8, "w") + content
            let graph = field(1, node) + field(5, tensor) + field(11, value("x")) + field(12, value("y"))
            return int(1, 8) + field(7, graph) + field(8, int(2, 17))
        }

        private var weights: Data {
            [Float](repeating: 1.5, count: Self.extent * Self.extent).withUnsafeBytes { Data($0) }
        }

        @Test func loading() throws {
            let folder = try Folder()
            let numbers = weights
            try folder.write(numbers, to: "w.bin")
            let place = int(14, 1) + field(13, text(1, "location") + text(2, "w.bin"))
            let x = NumPyArray([Float](repeating: 1, count: Self.extent), shape: [1, Self.extent])
            let input = try folder.write(x.encoded, to: "x.npy")
            var files = [
                try folder.write(model("MatMul", field(9, numbers)), to: "raw.onnx"),
                try folder.write(model("Gemm", field(4, numbers)), to: "floats.onnx"),
                try folder.write(model("MatMul", place), to: "external.onnx"),
            ]
            let artifact = folder.file("model.ounce")
            let made = try run(
                Programs.ounce, ["compress", files[0], "--recipe", "none", "--output", artifact], timeout: 400)
            #expect(made.status == 0, "\(made.error)")
            files.append(artifact)
            for file in files {
                try expectBound(["inspect", file], bytes: numbers.count)
                try expectBound(
                    ["infer", file, "--input", input, "--output", folder.file("y.npy")], bytes: numbers.count)
                #expect(try NumPyArray(contentsOf: folder.file("y.npy")).floats.first == 1.5 * Float(Self.extent))
            }
        }
    }
}
