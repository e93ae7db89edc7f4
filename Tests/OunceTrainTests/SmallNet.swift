import OunceGraph
import OunceTestSupport
import Testing

@testable import OunceTrain

/// A small convolutional classifier and a task that it can learn: which of four patterns lies under noise.
struct SmallNet {
    static let classes = 4

    static func graph(seed: UInt64, flattens: Bool = false) throws -> Graph {
        var random = RandomSource(seed: seed)
        var graph = Graph(name: "small")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 8, 8, 2])))
        graph.inputs = [x]
        func conv(_ from: ValueID, _ inputs: Int, _ outputs: Int, stride: Int, groups: Int = 1) throws -> ValueID {
            let reach = (3 / Float(9 * inputs / groups)).squareRoot()
            let w = graph.addConstant(
                random.tensor([outputs, 3, 3, inputs / groups], in: -reach...reach), name: "w\(graph.values.count)")
            let b = graph.addConstant(random.tensor([outputs], in: -0.1...0.1), name: "b\(graph.values.count)")
            let attributes = Convolution(
                strides: [stride, stride], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1], groups: groups,
                activation: .relu)
            return try graph.append(.conv(attributes), [from, w, b], name: "conv\(graph.nodes.count)")
        }
        let first = try conv(x, 2, 12, stride: 1)
        let second = try conv(first, 12, 12, stride: 1, groups: 12)
        let sum = try graph.append(.binary(.add, .relu), [first, second], name: "sum")
        var y = try conv(sum, 12, 16, stride: 2)
        if flattens {
            // As exporters write it: a batch of 1 as a literal.
            y = try graph.append(.reshape([.literal(1), .infer]), [y], name: "flatten")
        } else {
            y = try graph.append(.reduce(.mean, axes: [1, 2], keepDims: false), [y], name: "mean")
        }
        let width = graph[y].shape[1]
        let reach = (3 / Float(width)).squareRoot()
        let w = graph.addConstant(random.tensor([classes, width], in: -reach...reach), name: "w")
        let b = graph.addConstant(random.tensor([classes], in: -0.1...0.1), name: "b")
        y = try graph.append(.fullyConnected(.none), [y, w, b], name: "scores")
        graph.outputs = [try graph.append(.softmax(axis: 1), [y], name: "softmax")]
        return graph
    }

    static func data(count: Int, seed: UInt64) throws -> TrainingData {
        var patterns = RandomSource(seed: 77)
        let shapes = (0..<classes).map { _ in patterns.floats(128) }
        var random = RandomSource(seed: seed)
        var (numbers, labels): ([Float], [Int32]) = ([], [])
        for index in 0..<count {
            labels.append(Int32(index % classes))
            numbers += zip(shapes[index % classes], random.floats(128)).map { $0 + $1 }
        }
        let x = try #require(Tensor(numbers, shape: [count, 8, 8, 2]))
        return try TrainingData(inputs: [x], labels: labels)
    }

    /// Every constant as bits.
    static func bits(_ graph: Graph) -> [[UInt32]] {
        graph.values.compactMap { $0.constant?.floats().map(\.bitPattern) }
    }

    static func settings(_ change: (inout TrainingSettings) -> Void = { _ in }) -> TrainingSettings {
        var settings = TrainingSettings(
            loss: .crossEntropy, optimizer: .adamW, learningRate: 0.01, epochs: 4, batchSize: 16, seed: 5, threads: 2)
        change(&settings)
        return settings
    }
}
