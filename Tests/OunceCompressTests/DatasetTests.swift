import OunceCompress
import OunceFormats
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

@Suite struct DatasetTests {
    private let one = [TensorInfo(name: "x", dtype: .float32, shape: [-1, 2])]
    private let two = [
        TensorInfo(name: "a", dtype: .float32, shape: [1, 2]), TensorInfo(name: "b", dtype: .int8, shape: [1, 3]),
    ]

    private func refusal(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch { return "\(error)" }
    }

    @Test func arraysByName() throws {
        let a = try Samples.tensor([1, 2, 3, 4] as [Float], [2, 2])
        let b = try Samples.tensor([1, 2, 3, 4, 5, 6] as [Int8], [2, 3])
        let file = try Samples.archive([("b", b), ("other", a), ("a", a)])
        let data = try Dataset(path: file.path, inputs: two)
        #expect(data.count == 2)
        #expect(data.labels == nil && data.label(0) == nil && data.target(0) == nil)
        let sample = try data.sample(1)
        #expect(sample.map(\.shape) == [[1, 2], [1, 3]])
        #expect(sample[0].floats() == [3, 4] && sample[1].integers() == [4, 5, 6])
        #expect(data.hash.count == 64)
    }

    @Test func theOnlyArrayNeedsNoName() throws {
        let x = try Samples.tensor([1, 2, 3, 4] as [Float], [2, 2])
        let labels = Tensor([7, 9] as [UInt8])
        let file = try Samples.archive([("features", x), ("labels", labels)])
        let data = try Dataset(path: file.path, inputs: one)
        #expect(try data.sample(0)[0].floats() == [1, 2])
        #expect([data.label(0), data.label(1)] == [7, 9])
        let several = try Samples.archive([("features", x), ("more", x), ("labels", labels)])
        let reason = refusal { _ = try Dataset(path: several.path, inputs: one) }
        #expect(reason?.contains("'x'") == true && reason?.contains("'features', 'more'") == true)
    }

    @Test func plainArrays() throws {
        let x = try Samples.tensor([1, 2, 3, 4] as [Float], [2, 2])
        let file = try TemporaryFile(NumPyFile.serialize(x), name: "x.npy")
        let labels = try TemporaryFile(NumPyFile.serialize(Tensor([3, 4] as [Int64])), name: "y.npy")
        let data = try Dataset(path: file.path, inputs: one, labelsPath: labels.path)
        #expect(try data.sample(1)[0].floats() == [3, 4])
        #expect(data.label(1) == 4)
        #expect(refusal { _ = try Dataset(path: file.path, inputs: two) } != nil)
    }

    @Test func anInputMayBeCalledLabels() throws {
        let inputs = [TensorInfo(name: "labels", dtype: .float32, shape: [-1, 2])]
        let file = try Samples.archive([("labels", try Samples.tensor([1, 2, 3, 4] as [Float], [2, 2]))])
        let data = try Dataset(path: file.path, inputs: inputs)
        #expect(try data.sample(1)[0].floats() == [3, 4])
        #expect(data.labels == nil)
    }

    @Test func limits() throws {
        let file = try Samples.archive([("x", Samples.floats([5, 2]))])
        let counts = try [nil, 0, 1, 3, 5, 99].map { try Dataset(path: file.path, inputs: one, limit: $0).count }
        #expect(counts == [5, 1, 1, 3, 5, 5])
    }

    @Test func convertsWhatLosesNothing() throws {
        let bytes = try Samples.archive([("x", try Samples.tensor([0, 255, 7, 8] as [UInt8], [2, 2]))])
        #expect(try Dataset(path: bytes.path, inputs: one).sample(0)[0].elements(Float.self) == [0, 255])
        let doubles = try Samples.archive([("x", try Samples.tensor([0.5, -2, 7, 8] as [Double], [2, 2]))])
        #expect(try Dataset(path: doubles.path, inputs: one).sample(0)[0].elements(Float.self) == [0.5, -2])
        let int8 = [TensorInfo(name: "x", dtype: .int8, shape: [-1, 2])]
        let wide = try Samples.archive([("x", try Samples.tensor([-128, 127, 128, 0] as [Int64], [2, 2]))])
        let data = try Dataset(path: wide.path, inputs: int8)
        #expect(try data.sample(0)[0].integers() == [-128, 127])
        #expect(refusal { _ = try data.sample(1) } != nil)
        let real = try Samples.archive([("x", try Samples.tensor([1, 2, 3, 4] as [Float], [2, 2]))])
        #expect(refusal { _ = try Dataset(path: real.path, inputs: int8).sample(0) } != nil)
    }

    @Test func refusesOtherShapes() throws {
        for (x, labels) in [([2, 3], 2), ([2], 2), ([2, 2], 3), ([0, 2], 0), ([2, 2, 3], 2)] as [([Int], Int)] {
            let file = try Samples.archive(
                [("x", Samples.floats(Shape(x))), ("labels", Samples.floats([labels]))])
            let reason = refusal { _ = try Dataset(path: file.path, inputs: one) }
            #expect(reason?.contains(file.path) == true, "\(x), \(labels) labels")
        }
    }

    @Test func samplesTakeTheModelsShape() throws {
        // Rows lie flat in the file, the model wants an image.
        let image = [TensorInfo(name: "x", dtype: .float32, shape: [-1, 2, 2, 1])]
        let file = try Samples.archive([("x", Samples.floats([3, 4]))])
        #expect(try Dataset(path: file.path, inputs: image).sample(2)[0].shape == [1, 2, 2, 1])
        // A variable length takes the file's.
        let sequence = [TensorInfo(name: "x", dtype: .float32, shape: [-1, -1, 2])]
        let long = try Samples.archive([("x", Samples.floats([3, 5, 2]))])
        #expect(try Dataset(path: long.path, inputs: sequence).sample(0)[0].shape == [1, 5, 2])
    }

    @Test func samplesOfSeveralWindows() throws {
        let numbers = (0..<12).map { Float($0) }
        let file = try Samples.archive([("x", try Samples.tensor(numbers, [2, 3, 2]))])
        let data = try Dataset(path: file.path, inputs: one)
        #expect(data.count == 2 && data.windows == 3)
        #expect(try data.sample(1, window: 2)[0].floats() == [10, 11])
        #expect(try data.sample(1, window: 2)[0].shape == [1, 2])
    }

    @Test func refusesFilesThatCannotBeRead() throws {
        #expect(refusal { _ = try Dataset(path: "/does/not/exist.npz", inputs: one) } != nil)
        let file = try TemporaryFile(Array("PK nothing".utf8), name: "x.npz")
        #expect(refusal { _ = try Dataset(path: file.path, inputs: one) } != nil)
    }
}
