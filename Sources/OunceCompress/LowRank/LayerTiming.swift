import OunceGraph
import OunceRuntime

/// Milliseconds of a layer and of the product that may stand for it.
struct TimePair: Sendable {
    let before: Double
    let after: Double
    var ratio: Double { after / max(before, 1e-9) }
}

/// Measures layers and their factors on this device, each as a graph of its own.
struct LayerTiming {
    let options: RuntimeOptions
    /// Whether the layers will be int8 when they run.
    let isInt8: Bool

    private static let rounds = 6
    private static let roundSeconds = 0.004
    /// Times nearer to each other than this are measured longer.
    private static let closeness = 0.1

    /// How long both take; nil where they cannot run.
    ///
    /// Both run in turns, so that a disturbance meets both, and the fastest round counts.
    func measure(_ graph: Graph, _ other: Graph) -> TimePair? {
        guard let first = model(graph), let second = model(other) else { return nil }
        var best = TimePair(before: .infinity, after: .infinity)
        for attempt in 0..<3 {
            for _ in 0..<Self.rounds {
                guard let a = try? first.measureLatency(seconds: Self.roundSeconds),
                    let b = try? second.measureLatency(seconds: Self.roundSeconds)
                else { return nil }
                best = TimePair(
                    before: min(best.before, a.p10Milliseconds), after: min(best.after, b.p10Milliseconds))
            }
            if attempt == 2 || abs(best.after / max(best.before, 1e-9) - 1) > Self.closeness { break }
        }
        return best
    }

    private func model(_ graph: Graph) -> Model? {
        var options = options
        options.selection = .measured
        options.memoryLimit = nil
        return try? Model(graph: isInt8 ? Self.int8(graph) ?? graph : graph, options: options)
    }

    /// The nodes, which are convolutions and fully connected layers in a chain, as a graph of their own for one sample.
    static func chain(_ nodes: [Node], values: (ValueID) -> Value) throws(GraphError) -> Graph? {
        guard let first = nodes.first?.inputs.first ?? nil else { return nil }
        var graph = Graph(name: "layer")
        var type = values(first).type
        type.shape = type.shape.smallest
        var x = graph.add(Value(name: "x", type: type))
        graph.inputs = [x]
        for node in nodes {
            let constants = node.inputs.dropFirst().map { id in
                id.flatMap { values($0).constant }.map { graph.addConstant($0, name: "c") }
            }
            x = try graph.append(node.op, [x] + constants, name: node.name)
        }
        graph.outputs = [x]
        return graph
    }

    /// The same with int8 values and weights on made-up grids: times do not depend on them.
    static func int8(_ graph: Graph) -> Graph? {
        let grid = Encoding.affine(AffineQuantization(scale: 1.0 / 32, zeroPoint: 0))
        guard let input = graph.inputs.first else { return nil }
        var result = Graph(name: graph.name)
        var x = result.add(
            Value(name: "x", type: TensorType(.int8, graph[input].shape), encoding: grid))
        result.inputs = [x]
        for node in graph.nodes {
            guard node.inputs.count > 1, let weights = node.inputs[1].flatMap({ graph[$0].constant }),
                let quantized = WeightQuantizer.quantize(weights, perChannel: true)
            else { return nil }
            let bias = [Int32](repeating: 1, count: weights.shape[0])
            let inputs = [
                x, result.addConstant(quantized.weights, name: "w", encoding: quantized.encoding),
                result.addConstant(Tensor(bias), name: "b"),
            ]
            guard let output = try? result.append(node.op, inputs, name: node.name, encoding: grid) else { return nil }
            x = output
        }
        result.outputs = [x]
        return result
    }
}
