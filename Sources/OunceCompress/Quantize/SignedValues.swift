import OunceGraph

/// What a float graph has signs for: values of which only the sign is read. In int8 they are stored as -1, 0 and 1, and what
/// makes them clamps its sums to that: no scale, no rounding.
struct SignedValues {
    /// Values that are -1, 0 or 1.
    private(set) var signs: Set<ValueID> = []
    /// Outputs of layers, and of what moves them to their signs, where nothing but the signs is read.
    private(set) var clamped: Set<ValueID> = []
    /// Outputs of subtractions of a constant for each channel, where nothing but the signs is read; and the constants.
    private(set) var thresholds: [ValueID: [Float]] = [:]

    /// Signs that nothing but layers read.
    private(set) var forLayers: Set<ValueID> = []

    init(_ graph: Graph) {
        let consumers = graph.consumers()
        for node in graph.nodes {
            guard let output = node.outputs.first, let x = node.inputs.first ?? nil else { continue }
            if SignInsertion.isSign(node) {
                signs.insert(output)
                let readers = consumers[output] ?? []
                let isForLayers = !readers.isEmpty && readers.allSatisfy { QuantizePlan.isLayer(graph.nodes[$0]) }
                if isForLayers, !graph.outputs.contains(output) { forLayers.insert(output) }
            }
            if QuantizePlan.keepsGrid(node.op), signs.contains(x) { signs.insert(output) }
        }
        /// Values of which only the sign is read.
        var read: Set<ValueID> = []
        for node in graph.nodes.reversed() {
            guard let output = node.outputs.first, !graph.outputs.contains(output) else { continue }
            let readers = (consumers[output] ?? []).map { graph.nodes[$0] }
            let isRead =
                !readers.isEmpty
                && readers.allSatisfy { reader in
                    if SignInsertion.isSign(reader) { return true }
                    guard case .pool(let pool) = reader.op, pool.kind == .max, pool.activation == .none else {
                        return false
                    }
                    return reader.outputs.allSatisfy(read.contains)
                }
            guard isRead else { continue }
            read.insert(output)
        }
        for node in graph.nodes {
            guard let output = node.outputs.first, read.contains(output) else { continue }
            switch node.op {
            case .conv(let conv) where conv.activation == .none: clamped.insert(output)
            case .fullyConnected(.none): clamped.insert(output)
            case .pool: if let x = node.inputs[0], clamped.contains(x) { clamped.insert(output) }
            case .binary(.subtract, .none):
                guard node.inputs.count == 2, let x = node.inputs[0], let b = node.inputs[1],
                    let values = graph[b].constant?.elements(Float.self), graph[b].shape.rank == 1,
                    values.count == graph[x].shape.dims.last, (2...4).contains(graph[x].shape.rank),
                    readByAllAsSign(output, graph, consumers)
                else { break }
                thresholds[output] = values
                clamped.insert(output)
            default: break
            }
        }
    }

    /// Without clamped values that are not int8, or whose signs are not.
    func limited(to int8Values: Set<ValueID>, _ graph: Graph) -> SignedValues {
        var limited = self
        let consumers = graph.consumers()
        func isInt8(_ id: ValueID) -> Bool {
            int8Values.contains(id)
                && (consumers[id] ?? []).allSatisfy { index in
                    let node = graph.nodes[index]
                    return node.outputs.allSatisfy { SignInsertion.isSign(node) ? int8Values.contains($0) : isInt8($0) }
                }
        }
        limited.clamped = clamped.filter(isInt8)
        // What moves a value that is not clamped does not clamp it.
        for node in graph.nodes {
            guard case .pool = node.op, let x = node.inputs[0], !limited.clamped.contains(x) else { continue }
            node.outputs.forEach { limited.clamped.remove($0) }
        }
        limited.thresholds = thresholds.filter { limited.clamped.contains($0.key) }
        return limited
    }

    private func readByAllAsSign(_ id: ValueID, _ graph: Graph, _ consumers: ValueMap<[Int]>) -> Bool {
        (consumers[id] ?? []).allSatisfy { SignInsertion.isSign(graph.nodes[$0]) }
    }
}
