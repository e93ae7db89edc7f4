import Glibc
import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

@testable import OunceCompress

/// Cross-layer equalisation: the same numbers come out, and one scale for a tensor suffices for its channels.
@Suite struct EqualizationTests {
    private func conv(_ groups: Int, _ activation: Activation) -> Op {
        .conv(
            Convolution(
                strides: [1, 1], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1], groups: groups,
                activation: activation))
    }

    /// A factor of up to a thousand for each channel, which the layer that makes it has and the one that reads it lacks.
    private func factor(_ channel: Int, after layer: Int) -> Float { exp2f(Float((channel * 5 + layer) % 6) * 2 - 5) }

    private func weights(_ dims: [Int], layer: Int) throws -> Tensor {
        let numbers = Samples.floats(Shape(dims), seed: UInt64(layer + 1)).floats()
        let width = numbers.count / dims[0]
        return try Samples.tensor(
            numbers.enumerated().map { index, x in
                let (output, input) = (index / width, index % dims[3])
                let before = layer == 0 ? 1 : factor(layer == 1 ? output : input, after: layer - 1)
                return x / before * (layer == 2 ? 1 : factor(output, after: layer))
            }, Shape(dims))
    }

    private func network(_ activation: Activation) throws -> Graph {
        var graph = Graph(name: "net")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 8, 8, 3])))
        graph.inputs = [x]
        var value = x
        for (index, layer) in [(1, [12, 3, 3, 3]), (12, [12, 3, 3, 1]), (1, [10, 1, 1, 12])].enumerated() {
            let w = graph.addConstant(try weights(layer.1, layer: index), name: "w\(index)")
            let offsets = Samples.floats([layer.1[0]], seed: 9, in: -0.1...0.1).floats().enumerated().map {
                $1 * (index == 2 ? 1 : factor($0, after: index))
            }
            let b = graph.addConstant(Tensor(offsets), name: "b\(index)")
            value = try graph.append(conv(layer.0, activation), [value, w, b], name: "conv\(index)")
        }
        let mean = try graph.append(.reduce(.mean, axes: [1, 2], keepDims: false), [value], name: "mean")
        let w = graph.addConstant(Samples.floats([5, 10], seed: 7), name: "fc/w")
        graph.outputs = [try graph.append(.fullyConnected(.none), [mean, w, nil], name: "fc")]
        return graph
    }

    private func largest(_ graph: Graph, _ layer: Int) -> [Float] {
        guard let tensor = graph.nodes[layer].inputs[1].flatMap({ graph[$0].constant }) else { return [] }
        let width = tensor.count / tensor.shape[0]
        let numbers = tensor.floats()
        return (0..<tensor.shape[0]).map { numbers[$0 * width..<($0 + 1) * width].map(abs).max() ?? 0 }
    }

    @Test func computesTheSame() throws {
        let graph = try network(.relu)
        let equal = try Equalization.equalized(graph)
        let x = Samples.floats([1, 8, 8, 3], seed: 20)
        let (a, b) = (try Interpreter().run(graph, [x])[0].values, try Interpreter().run(equal, [x])[0].values)
        let scale = a.map(abs).max() ?? 0
        for (x, y) in zip(a, b) { #expect(abs(x - y) < 1e-4 * scale) }
        let (before, after) = (largest(graph, 0), largest(equal, 0))
        func spread(_ x: [Float]) -> Float { (x.max() ?? 1) / (x.min() ?? 1) }
        #expect(spread(after) * 10 < spread(before), "\(before) \(after)")
        // A depthwise channel is as large as what feeds it.
        #expect(spread(largest(equal, 1)) * 10 < spread(largest(graph, 1)))
    }

    @Test func oneScaleForATensorSuffices() throws {
        let graph = try network(.relu)
        let data = try Samples.dataset([("x", Samples.floats([16, 8, 8, 3], seed: 21))], for: graph)
        let recipe = Quantization(perChannel: false, minInputSQNR: 0, floatOutput: false)
        let x = Samples.floats([1, 8, 8, 3], seed: 22)
        let whole = try Interpreter().run(graph, [x])[0].values
        func noise(_ graph: Graph) throws -> Double {
            let calibrator = Calibrator(graph: graph, dataset: data, options: RuntimeOptions())
            let int8 = try QuantizePass(recipe: recipe).quantized(calibrator)
            return zip(whole, try Interpreter().run(int8, [x])[0].values).reduce(0) {
                $0 + ($1.0 - $1.1) * ($1.0 - $1.1)
            }
        }
        let (plain, even) = (try noise(graph), try noise(try Equalization.equalized(graph)))
        #expect(even * 4 < plain, "\(even), not far below \(plain)")
    }

    /// A clamp at a number does mind factors, and what two layers read serves both.
    @Test func leavesWhatMindsFactors() throws {
        let clamped = try network(.relu6)
        let after = try Equalization.equalized(clamped)
        for layer in 0..<3 { #expect(largest(after, layer) == largest(clamped, layer)) }
        var shared = try network(.relu)
        shared.outputs.append(shared.nodes[0].outputs[0])
        let kept = try Equalization.equalized(shared)
        let x = Samples.floats([1, 8, 8, 3], seed: 20)
        let (a, b) = (try Interpreter().run(shared, [x])[1].values, try Interpreter().run(kept, [x])[1].values)
        #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-6 })
    }
}
