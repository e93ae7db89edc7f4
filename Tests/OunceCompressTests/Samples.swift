import FoundationEssentials
import OunceCompress
import OunceFormats
import OunceGraph
import OunceRuntime
import OunceTestSupport

/// Arrays and files that the tests of this module share.
enum Samples {
    /// float32 of any shape, by a formula that Tests/Golden/compress/make.py repeats.
    static func uniform(seed: UInt32, count: Int) -> [Float] {
        (1...UInt32(count)).map { index in
            var u = index &* 2_654_435_761 &+ seed &* 2_246_822_519
            u ^= u >> 15
            u = u &* 2_246_822_519
            u ^= u >> 13
            return Float(u >> 8) * 0x1p-24
        }
    }

    static func archive(_ arrays: [(name: String, tensor: Tensor)]) throws -> TemporaryFile {
        try TemporaryFile(try NumPyArchive.serialize(arrays), name: "data.npz")
    }

    static func floats(_ shape: Shape, seed: UInt64 = 1, in range: ClosedRange<Float> = -1...1) -> Tensor {
        var random = RandomSource(seed: seed)
        return random.tensor(shape, in: range)
    }

    static func tensor<T: TensorElement>(_ numbers: [T], _ shape: Shape) throws -> Tensor {
        guard let tensor = Tensor(numbers, shape: shape) else { throw Interpreter.Failure("shape \(shape)") }
        return tensor
    }

    static func dataset(
        _ arrays: [(name: String, tensor: Tensor)], for graph: Graph, limit: Int? = nil
    ) throws -> Dataset {
        let file = try archive(arrays)
        return try withExtendedLifetime(file) {
            try Dataset(path: file.path, inputs: infos(graph), limit: limit)
        }
    }

    static func infos(_ graph: Graph) -> [TensorInfo] {
        graph.inputs.map { TensorInfo(name: graph[$0].name, dtype: graph[$0].dtype, shape: graph[$0].shape) }
    }

    /// `y = x`, as a model with input "x" of this shape.
    static func identity(_ shape: Shape, _ dtype: DType = .float32) throws -> Graph {
        var graph = Graph(name: "identity")
        let x = graph.add(Value(name: "x", type: TensorType(dtype, shape)))
        graph.inputs = [x]
        graph.outputs = [try graph.append(.reshape(shape.dims.indices.map { .copy($0) }), [x], name: "y")]
        return graph
    }

    static var root: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }

    static func golden<T: Decodable>(_ type: T.Type, _ name: String) throws -> T {
        try JSONDecoder().decode(type, from: Data(contentsOf: root.appending(path: "Tests/Golden/" + name)))
    }
}
