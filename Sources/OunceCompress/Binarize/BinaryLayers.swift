import OunceConfig
import OunceGraph

extension Graph {
    /// Longest reduction that the kernels for signs take.
    private static let maximumBinaryReduction = 32_000

    /// Whether signs could stand for the node's weights.
    func canBeBinary(_ node: Node) -> Bool {
        switch node.op {
        case .conv(let conv): guard conv.groups == 1 else { return false }
        case .fullyConnected: break
        default: return false
        }
        guard node.inputs.count > 1, let x = node.inputs[0], let w = node.inputs[1], self[x].constant == nil,
            self[x].dtype == .float32, let weights = self[w].constant, weights.dtype == .float32,
            self[w].encoding == .plain,
            node.inputs.dropFirst(2).allSatisfy({ $0.map { self[$0].constant != nil } ?? true })
        else { return false }
        return weights.count > 0 && weights.count / max(weights.shape[0], 1) <= Self.maximumBinaryReduction
    }

    /// Indices of the layers with weights that read the model's input, and of those that make its output.
    func endLayers() -> Set<Int> {
        var ends: Set<Int> = []
        /// Values that no layer with weights has had a part in.
        var early = Set(inputs)
        for (index, node) in nodes.enumerated() {
            let given = node.inputs.compactMap { $0 }.filter { self[$0].constant == nil }
            guard given.allSatisfy({ early.contains($0) }) else { continue }
            if layerKind(node) != nil { ends.insert(index) } else { early.formUnion(node.outputs) }
        }
        let consumers = consumers()
        /// Values that no layer with weights has a part in any more.
        var late: Set<ValueID> = []
        for (index, node) in nodes.enumerated().reversed() {
            let isLate = node.outputs.allSatisfy { output in
                (consumers[output] ?? []).allSatisfy { reader in
                    layerKind(nodes[reader]) == nil && nodes[reader].outputs.allSatisfy(late.contains)
                }
            }
            guard isLate else { continue }
            if layerKind(node) != nil { ends.insert(index) } else { late.formUnion(node.outputs) }
        }
        return ends
    }

    /// The constants that are weights of layers and have one size in each output channel, more than one number in each.
    func binaryWeights() -> [ValueID] {
        var found: [ValueID] = []
        for node in nodes where canBeBinary(node) {
            guard let id = node.inputs[1], !found.contains(id), let weights = self[id].constant,
                weights.count > weights.shape[0], let values = weights.elements(Float.self)
            else { continue }
            let inner = values.count / weights.shape[0]
            let isBinary = stride(from: 0, to: values.count, by: inner).allSatisfy { start in
                let size = abs(values[start])
                return size > 0 && values[start..<start + inner].allSatisfy { abs($0) == size }
            }
            if isBinary { found.append(id) }
        }
        return found
    }
}
