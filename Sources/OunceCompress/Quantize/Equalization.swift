import OunceGraph

/// Evens out the ranges of channels between layers that follow each other, so that one grid for a tensor fits all of its
/// channels better.
///
/// What a channel gives is divided by `s` in the first layer, and the weights that read it are multiplied by `s` in the
/// second; a ReLU between them does not mind. With `s = sqrt(r1 / r2)`, where `r1` and `r2` are the largest weights of the
/// channel in the two, both ranges become the same: arXiv 1906.04721, section 4.1. Here `r1` takes the bias in: a channel
/// that is next to constant keeps its size.
enum Equalization {
    private static let rounds = 20
    /// Factors nearer to 1 than this change nothing that matters.
    private static let tolerance: Float = 1e-3
    private static let factors: ClosedRange<Float> = 0x1p-10...0x1p10

    /// - Throws: `.recipe` where the graph is not valid afterwards.
    static func equalized(_ graph: Graph) throws(CompressError) -> Graph {
        let pairs = pairs(in: graph)
        guard !pairs.isEmpty else { return graph }
        var constants: [ValueID: [Float]] = [:]
        for id in pairs.flatMap({ [$0.weights, $0.bias, $0.nextWeights].compactMap { $0 } }) {
            constants[id] = graph[id].constant?.elements(Float.self)
        }
        for _ in 0..<rounds {
            var change: Float = 0
            for pair in pairs { change = max(change, even(pair, &constants)) }
            if change < tolerance { break }
        }
        var result = graph
        for (id, numbers) in constants where numbers.allSatisfy(\.isFinite) {
            if let tensor = Tensor(numbers, shape: graph[id].shape) { result[id].constant = tensor }
        }
        return try CompressError.wrapping(.recipe) { try result.applying(GraphPatch(for: result)) }
    }

    private struct Pair {
        let channels: Int
        let weights: ValueID
        let bias: ValueID?
        let nextWeights: ValueID
        /// The second layer is depthwise: its weights are `[channels * multiplier, kernel..., 1]`.
        let isDepthwise: Bool
    }

    /// Layers with nothing between them but what treats channels alike and keeps factors.
    private static func pairs(in graph: Graph) -> [Pair] {
        let consumers = graph.consumers()
        let outputs = Set(graph.outputs)
        var pairs: [Pair] = []
        func own(_ id: ValueID?) -> ValueID? {
            guard let id, graph[id].constant?.dtype == .float32, consumers[id]?.count == 1 else { return nil }
            return id
        }
        for node in graph.nodes {
            guard let weights = layerWeights(node), let w = own(weights), isHomogeneous(node.op),
                let channels = graph[w].shape.dims.first
            else { continue }
            let bias = node.inputs.count > 2 ? node.inputs[2] : nil
            if bias != nil, own(bias) == nil { continue }
            var value = node.outputs[0]
            while let users = consumers[value], users.count == 1, !outputs.contains(value) {
                let next = graph.nodes[users[0]]
                if let nextWeights = layerWeights(next), next.inputs[0] == value {
                    if let other = own(nextWeights), other != w,
                        let depthwise = isDepthwise(next, graph, channels: channels, weights: other)
                    {
                        pairs.append(
                            Pair(
                                channels: channels, weights: w, bias: bias, nextWeights: other, isDepthwise: depthwise))
                    }
                    break
                }
                guard keepsFactors(next.op, rank: graph[value].shape.rank) else { break }
                value = next.outputs[0]
            }
        }
        return pairs
    }

    private static func layerWeights(_ node: Node) -> ValueID? {
        switch node.op {
        case .conv, .fullyConnected: node.inputs.count > 1 ? node.inputs[1] : nil
        default: nil
        }
    }

    private static func isHomogeneous(_ op: Op) -> Bool {
        switch op {
        case .conv(let conv): conv.activation == .none || conv.activation == .relu
        case .fullyConnected(let activation): activation == .none || activation == .relu
        default: false
        }
    }

    private static func keepsFactors(_ op: Op, rank: Int) -> Bool {
        switch op {
        case .pool(let pool): pool.activation == .none || pool.activation == .relu
        case .pad(_, _, let value): value == 0
        case .reduce(let reduction, let axes, _):
            reduction == .mean && !axes.contains(-1) && !axes.contains(rank - 1) && !axes.contains(0)
        default: false
        }
    }

    /// Whether the second layer is depthwise; nil where it does not read these channels one by one.
    private static func isDepthwise(_ node: Node, _ graph: Graph, channels: Int, weights: ValueID) -> Bool? {
        let dims = graph[weights].shape.dims
        guard case .conv(let conv) = node.op, conv.groups > 1 else { return dims.last == channels ? false : nil }
        return conv.groups == channels && dims.last == 1 && (dims.first ?? 0) % channels == 0 ? true : nil
    }

    /// - Returns: how far the factors are from 1.
    private static func even(_ pair: Pair, _ constants: inout [ValueID: [Float]]) -> Float {
        guard var first = constants[pair.weights], var second = constants[pair.nextWeights] else { return 0 }
        var bias = pair.bias.flatMap { constants[$0] }
        let (channels, width) = (pair.channels, first.count / max(pair.channels, 1))
        let multiplied = second.count / max(channels, 1)
        func channel(_ index: Int) -> Int { pair.isDepthwise ? index / multiplied : index % channels }
        var own = (0..<channels).map { c in
            first[c * width..<(c + 1) * width].reduce(Float(0)) { max($0, abs($1)) }
        }
        if let bias { for c in 0..<channels { own[c] = max(own[c], abs(bias[c])) } }
        var next = [Float](repeating: 0, count: channels)
        for (index, weight) in second.enumerated() { next[channel(index)] = max(next[channel(index)], abs(weight)) }
        var change: Float = 0
        let scales = (0..<channels).map { c -> Float in
            guard own[c] > 0, next[c] > 0 else { return 1 }
            let scale = (own[c] / next[c]).squareRoot()
            return scale.isFinite ? min(max(scale, factors.lowerBound), factors.upperBound) : 1
        }
        for c in 0..<channels {
            change = max(change, abs(scales[c] - 1))
            for index in c * width..<(c + 1) * width { first[index] /= scales[c] }
            bias?[c] /= scales[c]
        }
        for index in second.indices { second[index] *= scales[channel(index)] }
        constants[pair.weights] = first
        constants[pair.nextWeights] = second
        if let id = pair.bias { constants[id] = bias }
        return change
    }
}
