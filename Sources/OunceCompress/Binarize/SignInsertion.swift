import OunceGraph

/// Puts signs before layers of a float graph: `sign(x - threshold)`, a threshold for each channel.
///
/// Layers are named by their outputs, which stay as they are.
struct SignInsertion {
    private(set) var graph: Graph

    init(_ graph: Graph) { self.graph = graph }

    /// - Parameters:
    ///   - layers: those whose input becomes a sign.
    ///   - thresholds: for each of their inputs.
    mutating func insert(
        before layers: Set<ValueID>, thresholds: [ValueID: [Float]]
    ) throws(CompressError) {
        let consumers = graph.consumers()
        let nodes = graph.nodes
        let known = Set(nodes.filter(Self.isSign).flatMap(\.outputs))
        var signs: [ValueID: ValueID] = [:]
        var order: [Node] = []
        for var node in nodes {
            if let output = node.outputs.first, layers.contains(output), let x = node.inputs[0], !known.contains(x) {
                if signs[x] == nil, let threshold = thresholds[x] {
                    let isAlone =
                        !graph.outputs.contains(x)
                        && (consumers[x] ?? []).allSatisfy { layers.contains(nodes[$0].outputs[0]) }
                    graph.nodes = []
                    signs[x] = try makeSign(of: x, threshold, node.name, isAlone: isAlone, &order, consumers)
                    order += graph.nodes
                }
                node.inputs[0] = signs[x] ?? x
            }
            order.append(node)
        }
        graph.nodes = order
    }

    static func isSign(_ node: Node) -> Bool {
        if case .unary(.function(.sign)) = node.op { true } else { false }
    }

    private mutating func makeSign(
        of x: ValueID, _ threshold: [Float], _ name: String, isAlone: Bool, _ before: inout [Node],
        _ consumers: ValueMap<[Int]>
    ) throws(CompressError) -> ValueID {
        var source = x
        if !(isAlone && absorb(threshold, into: x, &before, consumers)), threshold.contains(where: { $0 != 0 }) {
            let constant = graph.addConstant(Tensor(threshold), name: "\(name)/threshold")
            source = try append(.binary(.subtract, .none), [x, constant], "\(name)/minus_threshold")
        }
        return try append(.unary(.function(.sign)), [source], "\(name)/sign")
    }

    private mutating func append(_ op: Op, _ inputs: [ValueID], _ name: String) throws(CompressError) -> ValueID {
        do {
            return try graph.append(op, inputs, name: name)
        } catch {
            throw CompressError(.recipe, error.description)
        }
    }

    /// The layer that makes `x` for nobody else. Pooling by the maximum between is the same before the sign as after.
    private func producer(of x: ValueID, _ nodes: [Node], _ consumers: ValueMap<[Int]>) -> Int? {
        var value = x
        while let index = nodes.lastIndex(where: { $0.outputs.first == value }) {
            let node = nodes[index]
            switch node.op {
            case .pool(let pool) where pool.kind == .max && pool.activation == .none:
                guard let source = node.inputs[0], consumers[source]?.count == 1, !graph.outputs.contains(source) else {
                    return nil
                }
                value = source
            case .conv, .fullyConnected:
                let hasFloatBias = node.inputs.count < 3 || node.inputs[2].map { graph[$0].constant != nil } ?? true
                return graph[node.inputs[1] ?? x].constant?.dtype == .float32 && hasFloatBias ? index : nil
            default: return nil
            }
        }
        return nil
    }

    /// Takes the threshold from the bias of the layer that makes `x`, and drops its activation, which makes no difference
    /// for the sign: a threshold lies within its bounds.
    private mutating func absorb(
        _ threshold: [Float], into x: ValueID, _ nodes: inout [Node], _ consumers: ValueMap<[Int]>
    ) -> Bool {
        guard let index = producer(of: x, nodes, consumers) else { return false }
        var node = nodes[index]
        let bounds: (low: Float, high: Float)
        switch node.op {
        case .conv(var conv):
            bounds = conv.activation.bounds
            conv.activation = .none
            node.op = .conv(conv)
        case .fullyConnected(let activation):
            bounds = activation.bounds
            node.op = .fullyConnected(.none)
        default: return false
        }
        let old = node.inputs.count > 2 ? node.inputs[2].flatMap { graph[$0].constant?.elements(Float.self) } : nil
        // A channel that is always at a bound has its threshold there, and its sign counts for nothing.
        guard threshold.allSatisfy({ bounds.low <= $0 && $0 <= bounds.high }),
            graph[node.inputs[1] ?? x].constant?.shape.dims.first == threshold.count,
            old == nil || old?.count == threshold.count
        else { return false }
        let bias = threshold.enumerated().map { (old?[$0] ?? 0) - $1 }
        node.inputs = Array(node.inputs.prefix(2)) + [graph.addConstant(Tensor(bias), name: "\(node.name)/bias")]
        nodes[index] = node
        return true
    }
}
