import Foundation
import OunceFormats
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Small models with one operator each, damaged at random: each is refused or runs, and nothing crashes. OUNCE_SEED gives
/// another seed, OUNCE_ROUNDS another number of damaged copies of each.
@Suite struct DamagedModelTests {
    @Test func surviveTheWayToTheRuntime() throws {
        guard let root = try SharedData.found()?.folder else { return }
        let folder = try Scratch("onnx-damaged")
        try folder.unpack("\(root)/onnx_conformance/node_tests.tar.gz")
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["OUNCE_SEED"].flatMap { UInt64($0) } ?? 11
        let rounds = environment["OUNCE_ROUNDS"].flatMap { Int($0) } ?? 4
        print("seed \(seed)")
        var generator = Generator(state: seed)
        var ran = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path + "/node").sorted() {
            let path = "\(folder.path)/node/\(name)"
            let file = [UInt8](try Data(contentsOf: URL(filePath: path + "/model.onnx")))
            let constants = try constants(of: file, in: path)
            for round in 0..<rounds {
                var damaged = file
                for _ in 0...Int.random(in: 0..<3, using: &generator) {
                    let place = Int.random(in: 0..<damaged.count, using: &generator)
                    switch Int.random(in: 0..<4, using: &generator) {
                    case 0: damaged[place] = .random(in: 0...255, using: &generator)
                    case 1: damaged[place] = [0, 1, 2, 0x7F, 0x80, 0xFF].randomElement(using: &generator) ?? 0
                    default: damaged[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                    }
                }
                if environment["OUNCE_TRACE"] != nil {
                    try Data(damaged).write(to: URL(filePath: environment["OUNCE_TRACE"] ?? ""))
                    print("\(name) \(round)")
                }
                if run(damaged, round % 2 == 0 ? constants : [:]) { ran += 1 }
            }
        }
        print("\(ran) ran")
        #expect(ran > 0)
    }

    /// Values for the inputs that could decide about shapes: those of integers and single numbers.
    private func constants(of file: [UInt8], in path: String) throws -> [String: Tensor] {
        var constants: [String: Tensor] = [:]
        for (index, name) in try ONNXImporter.inputNames(path: "\(path)/model.onnx").enumerated() {
            let tensor = try ONNXTensorFile.read(path: "\(path)/test_data_set_0/input_\(index).pb")
            if tensor.dtype == .int64 || tensor.count <= 8 { constants[name] = tensor }
        }
        return constants
    }

    /// Whether the model got as far as to run, on zeros.
    private func run(_ bytes: [UInt8], _ constants: [String: Tensor]) -> Bool {
        do {
            let graph = try ONNXImporter.parse(bytes: bytes, given: InputBindings(values: constants)).simplified()
            let model = try Model(graph: graph, options: RuntimeOptions(memoryLimit: 1 << 24))
            guard graph.macs < 1 << 24 else { return false }
            let inputs = model.inputs.compactMap { info -> Tensor? in
                let shape = Shape(info.shape.dims.map { $0 < 0 ? 1 : $0 })
                guard let count = shape.elementCount else { return nil }
                let storage = TensorStorage(byteCount: count * info.dtype.byteSize) { _ in }
                return Tensor(dtype: info.dtype, shape: shape, storage: storage)
            }
            _ = try model.run(inputs)
            return true
        } catch {
            return false
        }
    }

    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
            return value ^ value >> 31
        }
    }
}
