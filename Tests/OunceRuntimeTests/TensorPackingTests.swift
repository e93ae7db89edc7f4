import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// How artifacts store constants.
@Suite struct TensorPackingTests {
    private func storage(_ bytes: [UInt8]) -> TensorStorage {
        TensorStorage(byteCount: bytes.count) { $0.copyBytes(from: bytes) }
    }

    private func values(_ kind: String, _ count: Int, _ random: inout RandomSource) -> [Int8] {
        var values = (0..<count).map { index -> Int8 in
            switch kind {
            case "signs": random.int(0...1) == 0 ? 1 : -1
            case "4 bits": Int8(random.int(-8...7))
            case "4 bits in groups": Int8(random.int(-7...7) * (index / 32 % 15 + 1))
            case "4 bits in groups of 16": Int8(random.int(-7...7) * (index / 16 % 15 + 1))
            case "2 bits": Int8(random.int(-2...1))
            default: Int8(random.int(-128...127))
            }
        }
        if kind == "blocks" {
            for block in stride(from: 0, to: count, by: 4) where random.int(0...9) < 8 {
                for index in block..<(block + 4) { values[index] = 0 }
            }
        }
        if kind == "single" { for index in values.indices where random.int(0...9) < 8 { values[index] = 0 } }
        return values
    }

    /// What is stored is what was given, in as many bytes as the kind of numbers takes.
    @Test(arguments: [
        ("signs", 0.125), ("4 bits", 0.54), ("4 bits in groups", 0.54), ("4 bits in groups of 16", 0.57),
        ("2 bits", 0.29), ("blocks", 0.26), ("single", 0.35), ("any", 1.0),
    ])
    func size(kind: String, share: Double) throws {
        print("seed 12")
        var random = RandomSource(seed: 12)
        for shape: Shape in [[64, 64], [16, 3, 3, 96], [4096], [256, 96]] {
            let count = shape.dims.reduce(1, *)
            let tensor = try #require(Tensor(values(kind, count, &random), shape: shape))
            let packed = TensorPacking.pack(tensor)
            #expect((packed == nil) == (kind == "any"))
            guard let packed else { continue }
            #expect(Double(packed.bytes.count) <= share * Double(count) * 1.02, "\(packed.packing)")
            let unpacked = packed.packing.unpacked(storage(packed.bytes), dtype: .int8, shape: shape)
            for _ in 0..<5 {
                let first = random.int(0...(count - 1))
                let range = first..<random.int((first + 1)...count)
                let expected = Array(tensor.byteArray[range])
                let isEqual = unpacked?.withBytes(range) { Array($0) == expected }
                #expect(isEqual == true, "\(kind) \(shape) \(packed.packing) \(range)")
            }
            #expect(unpacked?.bytes.elementsEqual(tensor.bytes) == true, "\(kind) \(shape) \(packed.packing)")
        }
    }

    @Test func raggedRows() throws {
        print("seeds 40..<80")
        for seed in UInt64(40)..<80 {
            var random = RandomSource(seed: seed)
            let shape: Shape = [random.int(1...40), random.int(1...5), random.int(1...70)]
            let kind = ["signs", "4 bits", "2 bits", "blocks", "single"][random.int(0...4)]
            let numbers = values(kind == "blocks" ? "single" : kind, shape.dims.reduce(1, *), &random)
            let tensor = try #require(Tensor(numbers, shape: shape))
            guard let packed = TensorPacking.pack(tensor) else { continue }
            let unpacked = packed.packing.unpacked(storage(packed.bytes), dtype: .int8, shape: shape)
            #expect(unpacked?.bytes.elementsEqual(tensor.bytes) == true, "\(seed) \(kind) \(shape) \(packed.packing)")
        }
    }

    /// All numbers of half precision but infinities and what is no number, over several units of unpacking.
    @Test func halfPrecision() throws {
        let floats = (0...UInt16.max).map { Float(Float16(bitPattern: $0)) }.filter(\.isFinite)
        let tensor = try #require(Tensor(floats, shape: [floats.count / 2, 2]))
        let packed = try #require(TensorPacking.pack(tensor))
        #expect(packed.packing == .half && packed.bytes.count == 2 * floats.count)
        let unpacked = packed.packing.unpacked(storage(packed.bytes), dtype: .float32, shape: tensor.shape)
        #expect(unpacked?.bytes.elementsEqual(tensor.bytes) == true)
        for other in [Float(1).nextUp, 70000, .infinity, .nan, 0x1p-30] {
            let mixed = try #require(Tensor(floats + [other, 1], shape: [floats.count / 2 + 1, 2]))
            #expect(TensorPacking.pack(mixed)?.packing != .half, "\(other)")
        }
    }

    @Test func sparseFloats() throws {
        var random = RandomSource(seed: 3)
        var floats = random.floats(4096)
        for index in floats.indices where random.int(0...9) < 8 { floats[index] = 0 }
        floats[7] = -0.0
        let tensor = try #require(Tensor(floats, shape: [64, 64]))
        let packed = try #require(TensorPacking.pack(tensor))
        #expect(packed.bytes.count < tensor.byteCount / 4)
        let unpacked = packed.packing.unpacked(storage(packed.bytes), dtype: .float32, shape: [64, 64])
        #expect(unpacked?.bytes.elementsEqual(tensor.bytes) == true)
    }

    /// Bytes that packing never wrote: as many numbers as the shape says, or nothing.
    @Test func hostile() {
        print("seed 99")
        var random = RandomSource(seed: 99)
        for _ in 0..<3000 {
            let packing = TensorPacking(rawValue: UInt8(random.int(1...8))) ?? .signs
            let shape = Shape((0..<random.int(0...3)).map { _ in random.int(0...20) })
            let bytes = (0..<random.int(0...300)).map { _ in UInt8(random.int(0...255)) }
            let dtype: DType = [.int8, .float32, .int64, .bool][random.int(0...3)]
            let storage = packing.unpacked(self.storage(bytes), dtype: dtype, shape: shape)
            if let storage { #expect(storage.bytes.count == shape.dims.reduce(1, *) * dtype.byteSize) }
        }
    }

    @Test func artifactsAreSmaller() throws {
        var random = RandomSource(seed: 5)
        var sizes: [Int] = []
        for kind in ["any", "4 bits", "blocks", "signs"] {
            var graph = Graph(name: "g")
            let x = graph.add(
                Value(
                    name: "x", type: TensorType(.int8, [1, 256]),
                    encoding: .affine(AffineQuantization(scale: 0.1, zeroPoint: 3))))
            graph.inputs = [x]
            let tensor = try #require(Tensor(values(kind, 256 * 256, &random), shape: [256, 256]))
            let w = graph.addConstant(
                tensor, name: "w", encoding: .affine(AffineQuantization(scale: 0.1, zeroPoint: 0)))
            graph.outputs = [
                try graph.append(
                    .fullyConnected(.none), [x, w], name: "y",
                    encoding: .affine(AffineQuantization(scale: 10, zeroPoint: 0)))
            ]
            let bytes = try ArtifactTests.artifact(of: graph).encoded()
            let file = try TemporaryFile(bytes)
            let read = try Artifact.open(path: file.path)
            #expect(read.graph[w].constant?.bytes.elementsEqual(tensor.bytes) == true)
            sizes.append(bytes.count)
        }
        #expect(sizes == sizes.sorted(by: >) && sizes[3] * 5 < sizes[0])
    }
}
