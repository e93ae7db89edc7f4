import Crypto
import FoundationEssentials
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Artifacts that are damaged on purpose, checksum and all: an error, or a model that runs or is refused; nothing else.
@Suite(.timeLimit(.minutes(20))) struct HostileArtifactTests {
    /// OUNCE_FUZZ_ROUNDS and OUNCE_FUZZ_SEED replace these.
    static let roundsPerOperator = number("OUNCE_FUZZ_ROUNDS") ?? 300
    static let seed = UInt64(number("OUNCE_FUZZ_SEED") ?? 31)

    private static func number(_ variable: String) -> Int? {
        ProcessInfo.processInfo.environment[variable].flatMap { Int($0) }
    }

    private static let headerSize = 64

    /// Sets size and checksum in the header to what the body is.
    private func repaired(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        guard bytes.count >= Self.headerSize else { return bytes }
        let digest = SHA256.hash(data: bytes[Self.headerSize...])
        bytes.replaceSubrange(16..<24, with: withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { Array($0) })
        bytes.replaceSubrange(24..<56, with: Array(digest))
        return bytes
    }

    /// Where the section of the graph lies: the first entry of the table.
    private func graphSection(_ bytes: [UInt8]) -> Range<Int> {
        func word(_ place: Int) -> Int { bytes[place..<(place + 8)].reversed().reduce(0) { $0 << 8 | Int($1) } }
        let start = word(Self.headerSize + 8)
        return start..<(start + word(Self.headerSize + 16))
    }

    private static let absurd: [Int64] = [
        0, 1, -1, -2, 2, 3, 8, 127, 128, 1 << 16, 1 << 20, 1 << 20 + 1, 1 << 31, 1 << 31 - 1, 1 << 40, .max, .min,
        .max - 1, .min + 1,
    ]

    private func damage(_ bytes: [UInt8], _ random: inout RandomSource) -> [UInt8] {
        var damaged = bytes
        let section = random.int(0...9) == 0 ? Self.headerSize..<bytes.count : graphSection(bytes)
        for _ in 0..<random.int(1...3) {
            let place = random.int(section.lowerBound...(section.upperBound - 1))
            switch random.int(0...3) {
            case 0: damaged[place] ^= 1 << UInt8(random.int(0...7))
            case 1: damaged[place] = UInt8(random.int(0...255))
            case 2:
                let value = Self.absurd[random.int(0...(Self.absurd.count - 1))]
                withUnsafeBytes(of: value.littleEndian) {
                    for (offset, byte) in $0.enumerated() where place + offset < section.upperBound {
                        damaged[place + offset] = byte
                    }
                }
            default:
                let value: Float = [.nan, .infinity, -.infinity, 0, -1, .leastNonzeroMagnitude, 1e38][random.int(0...6)]
                withUnsafeBytes(of: value.bitPattern.littleEndian) {
                    for (offset, byte) in $0.enumerated() where place + offset < section.upperBound {
                        damaged[place + offset] = byte
                    }
                }
            }
        }
        return repaired(damaged)
    }

    private enum Outcome { case unreadable, refused, ran, tooLong }

    private func open(_ file: TemporaryFile) throws -> Outcome {
        let artifact: Artifact
        do {
            artifact = try Artifact.open(path: file.path)
        } catch {
            #expect(error.code == .corrupt)
            return .unreadable
        }
        do {
            let model = try Model(graph: artifact.graph, options: RuntimeOptions(threads: 2, memoryLimit: 1 << 24))
            // Where extents of 1 do not fit, the run says so.
            if let bound = try? artifact.graph.bound(to: [:]), work(bound) >= 20_000_000 { return .tooLong }
            _ = try model.run(model.inputs.map(Self.anything))
            do {
                try model.verify(artifact.selfChecks)
            } catch {
                #expect([.selfCheck, .invalidInput, .memory].contains(error.code))
            }
            return .ran
        } catch let error as RuntimeError {
            #expect([.unsupported, .memory, .invalidInput].contains(error.code), "\(error)")
            return .refused
        }
    }

    /// A tensor of arbitrary bits.
    private static func anything(_ info: TensorInfo) throws -> Tensor {
        let shape = Shape(info.shape.dims.map { $0 < 0 ? 1 : $0 })
        let count = try #require(shape.elementCount)
        let storage = TensorStorage(byteCount: count * info.dtype.byteSize) { bytes in
            for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index &* 167 &+ index >> 7) }
        }
        return try #require(Tensor(dtype: info.dtype, shape: shape, storage: storage))
    }

    /// Roughly the operations of a run.
    private func work(_ graph: Graph) -> Int {
        graph.nodes.reduce(0) { total, node in
            var window = 1
            if case .pool(let pool) = node.op { window = pool.kernel.reduce(1) { min($0 &* $1, 1 << 24) } }
            let elements = graph[node.outputs[0]].shape.elementCount ?? 0
            return total.addingReportingOverflow(graph.macs(of: node)).partialValue &+ elements &* window
        }
    }

    @Test(arguments: Set(RandomGraph.floatOperators).sorted()) func float(_ kind: String) throws {
        try damageOperator(kind, .float32)
    }

    @Test(arguments: Set(RandomGraph.int8Operators + ["reduce", "matMul"]).sorted()) func int8(_ kind: String) throws {
        try damageOperator(kind, .int8)
    }

    private func damageOperator(_ kind: String, _ dtype: DType) throws {
        print("\(kind) \(dtype): seed \(Self.seed)")
        let file = try TemporaryFile()
        var outcomes: [Outcome: Int] = [:]
        var random = RandomSource(seed: Self.seed)
        for round in 0..<3 {
            var maker = RandomGraph(seed: Self.seed &+ UInt64(round))
            let graph = try maker.single(kind, dtype)
            let inputs = maker.inputs(of: graph)
            let outputs = try Model(graph: graph, options: RuntimeOptions()).run(inputs)
            let check = SelfCheck(inputs: inputs, outputs: outputs)
            let bytes = try ArtifactTests.artifact(of: graph, checks: [check]).encoded()
            try file.write(repaired(bytes))
            #expect(try open(file) == .ran)
            for _ in 0..<(Self.roundsPerOperator / 3) {
                try file.write(damage(bytes, &random))
                outcomes[try open(file), default: 0] += 1
            }
        }
        #expect(outcomes[.unreadable, default: 0] > 0)
        #expect(outcomes[.ran, default: 0] > 0)
    }

    /// Every prefix of the body with a header that vouches for it.
    @Test func truncatedBodies() throws {
        var maker = RandomGraph(seed: 1)
        let graph = try maker.single("conv2d", .int8)
        let bytes = try ArtifactTests.artifact(of: graph).encoded()
        let file = try TemporaryFile()
        for count in Self.headerSize..<bytes.count {
            try file.write(repaired(Array(bytes.prefix(count))))
            #expect(try open(file) == .unreadable, "\(count) of \(bytes.count) bytes")
        }
    }
}
