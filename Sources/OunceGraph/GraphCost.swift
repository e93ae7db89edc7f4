extension Graph {
    /// The number of elements of all constants that nodes use, each constant counted once.
    package var parameterCount: Int {
        Set(nodes.flatMap { $0.inputs.compactMap { $0 } }).reduce(0) { $0 + (self[$1].constant?.count ?? 0) }
    }

    /// Multiply-accumulates of one inference. An extent that is not known counts as 1.
    package var macs: Int {
        nodes.reduce(0) { total, node in
            let (sum, overflow) = total.addingReportingOverflow(macs(of: node))
            return overflow ? Int.max : sum
        }
    }

    /// Multiply-accumulates of one node: those of convolutions, fully connected layers and matrix products.
    package func macs(of node: Node) -> Int {
        guard let output = node.outputs.first, node.inputs.count > 1, let x = node.inputs[0], let w = node.inputs[1]
        else { return 0 }
        switch node.op {
        case .conv, .fullyConnected: return product(self[output].shape.dims + self[w].shape.dims.dropFirst())
        case .matMul: return product(self[output].shape.dims + self[x].shape.dims.suffix(1))
        default: return 0
        }
    }

    private func product(_ extents: [Int]) -> Int {
        extents.reduce(1) { total, extent in
            let (product, overflow) = total.multipliedReportingOverflow(by: extent < 0 ? 1 : extent)
            return overflow ? Int.max : product
        }
    }
}
