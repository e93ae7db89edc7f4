import OunceGraph

/// What a graph without some channels costs: multiply-accumulates, and an estimate of the time.
struct ChannelCost: Hashable {
    var macs = 0
    /// In units of a vector multiplication.
    var time = 0.0
}

extension ChannelCoupling {
    /// Without making the graph.
    ///
    /// The time follows the int8 kernels, which are alike on all machines: a tile holds 12 pixels and up to 4 panels of 16
    /// output channels, and takes four inputs at once. Loading four inputs of a pixel costs about as much as multiplying
    /// them with two panels, so one panel alone is hardly faster than two; what a panel costs when its results are rounded
    /// and stored is that of 36 multiplications. Estimated and not measured, so that the same recipe gives the same model
    /// on every day.
    func cost(without removed: Set<Int>, ends: [Int: ValueID]) -> ChannelCost {
        var cost = ChannelCost()
        var needed = Set(graph.outputs)
        for (index, node) in graph.nodes.enumerated().reversed() {
            guard let output = node.outputs.first, needed.contains(output) else { continue }
            if let stays = ends[index] {
                needed.insert(stays)
                continue
            }
            for input in node.inputs.compactMap({ $0 }) { needed.insert(input) }
            let part = self.cost(of: node, output, removed)
            cost.macs += part.macs
            cost.time += part.time
        }
        return cost
    }

    private func cost(of node: Node, _ output: ValueID, _ removed: Set<Int>) -> ChannelCost {
        func dims(_ id: ValueID) -> [Int] { shape(id).dims.indices.map { extent(id, $0, without: removed) } }
        let made = dims(output)
        let elements = Double(made.reduce(1, *))
        guard node.inputs.count > 1, let x = node.inputs[0], let w = node.inputs[1] else {
            return ChannelCost(macs: 0, time: elements * 0.6)
        }
        switch node.op {
        case .conv(let conv):
            let weights = dims(w)
            let pixels = made.dropLast().reduce(1, *)
            let macs = pixels * weights.reduce(1, *)
            guard conv.groups == 1 else {
                let vectors = Double((made.last ?? 1) + 15) / 16
                return ChannelCost(
                    macs: macs, time: Double(pixels) * vectors * (36 + Double(weights.dropFirst().reduce(1, *))))
            }
            let rank = weights.count
            let touches = conv.dilations.last == 1
            let length = weights[rank - 1] * (touches ? weights[rank - 2] : 1)
            let segments = weights[1..<rank - 1].reduce(1, *) / (touches ? max(weights[rank - 2], 1) : 1)
            return ChannelCost(
                macs: macs, time: Double(pixels) * Self.time(outputs: weights[0], steps: segments * ((length + 3) / 4)))
        case .fullyConnected:
            let weights = dims(w)
            let rows = made.dropLast().reduce(1, *)
            return ChannelCost(
                macs: rows * weights.reduce(1, *),
                time: Double(rows) * Self.time(outputs: weights[0], steps: (weights[1] + 3) / 4))
        case .matMul:
            let macs = elements * Double(dims(x).last ?? 1)
            return ChannelCost(macs: Int(macs), time: macs / 16)
        case .recurrent:
            let steps = made.dropLast().reduce(1, *)
            let own = dims(w).reduce(1, *) + (node.inputs[2].map { dims($0).reduce(1, *) } ?? 0)
            return ChannelCost(macs: 0, time: Double(steps * own) / 16)
        default: return ChannelCost(macs: 0, time: elements * 0.6)
        }
    }

    /// Of a pixel.
    private static func time(outputs: Int, steps: Int) -> Double {
        let panels = (outputs + 15) / 16
        let rest = panels % 4
        return Double(panels) * 36 + Double(steps) * (Double(panels - rest) + (rest > 0 ? max(Double(rest), 1.75) : 0))
    }
}
