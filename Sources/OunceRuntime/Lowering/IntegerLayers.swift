import OunceGraph

extension Graph {
    /// Layers on dequantised numbers that sum integers nevertheless: by a layer's output, the int8 value that it reads.
    ///
    /// Such a layer has int8 weights and a bias of int32 in units of the input's scale times the weights'. Its sum of
    /// products is exact, and the only numbers that are rounded are the results: `Float(sum) * scale`. A bias of floats says
    /// that the layer computes in float32.
    func integerLayers(_ flow: ValueFlow, largestReduction: Int) -> ValueMap<ValueID> {
        var found = ValueMap<ValueID>(over: self)
        for node in nodes {
            switch node.op {
            case .conv, .fullyConnected: break
            default: continue
            }
            guard node.inputs.count == 3, let x = node.inputs[0], let w = node.inputs[1], let b = node.inputs[2],
                let index = flow.producers[x], nodes[index].op == .dequantize, let source = nodes[index].inputs[0],
                self[source].dtype == .int8, let grid = self[source].encoding.affine, grid.isPerTensor,
                let weights = self[w].constant, weights.dtype == .int8, let scales = self[w].encoding.affine,
                scales.zeroPoints.allSatisfy({ $0 == 0 }), scales.axis == nil || scales.axis == 0,
                weights.shape.rank > 1, weights.count / max(weights.shape[0], 1) <= largestReduction,
                self[b].constant?.dtype == .int32, self[b].encoding == .affine(scales.ofSums(input: grid.scale))
            else { continue }
            found[node.outputs[0]] = source
        }
        return found
    }

    /// Dequantised values that only these layers read.
    func unreadDequantizations(_ flow: ValueFlow, _ layers: ValueMap<ValueID>) -> ValueSet {
        var found = ValueSet(over: self)
        for node in nodes where node.op == .dequantize && !flow.kept.contains(node.outputs[0]) {
            let readers = (flow.consumers[node.outputs[0]] ?? []).map { nodes[$0] }
            if !readers.isEmpty, readers.allSatisfy({ layers[$0.outputs[0]] != nil }) { found.insert(node.outputs[0]) }
        }
        return found
    }
}
