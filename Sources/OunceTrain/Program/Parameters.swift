import OunceGraph

extension Graph {
    /// The constants that training may change, in the order in which nodes use them: weights and biases of layers,
    /// recurrent weights, scales and shifts of normalisations, constant factors of matrix products, tables that are
    /// looked up, and constants of elementwise operators behind the first layer.
    package var trainableConstants: [ValueID] {
        var found: [ValueID] = []
        var known: Set<ValueID> = []
        /// Values that depend on a parameter.
        var reached: Set<ValueID> = []
        for node in nodes {
            for index in parameterInputs(of: node, reached: reached) {
                guard index < node.inputs.count, let id = node.inputs[index], let constant = self[id].constant,
                    constant.dtype == .float32, self[id].encoding == .plain, known.insert(id).inserted
                else { continue }
                found.append(id)
            }
            if node.inputs.contains(where: { $0.map { known.contains($0) || reached.contains($0) } ?? false }) {
                reached.formUnion(node.outputs)
            }
        }
        return found
    }

    private func parameterInputs(of node: Node, reached: Set<ValueID>) -> [Int] {
        func constant(_ index: Int) -> Tensor? {
            index < node.inputs.count ? node.inputs[index].flatMap { self[$0].constant } : nil
        }
        func isReached(_ index: Int) -> Bool { node.inputs[index].map(reached.contains) ?? false }
        switch node.op {
        case .conv, .fullyConnected, .batchNormalization, .layerNormalization: return [1, 2]
        case .recurrent: return [1, 2, 3]
        case .matMul: return [0, 1].filter { (constant($0)?.shape.rank ?? 0) >= 2 }
        case .gather: return constant(1) == nil ? [0] : []
        case .binary: return [0, 1].filter { (constant($0)?.count ?? 0) > 1 && isReached(1 - $0) }
        case .concat: return node.inputs.indices.filter { (constant($0)?.count ?? 0) > 1 && reachesAny(node, reached) }
        default: return []
        }
    }

    private func reachesAny(_ node: Node, _ reached: Set<ValueID>) -> Bool {
        node.inputs.contains { $0.map(reached.contains) ?? false }
    }
}

/// A tensor that training changes.
package final class TrainingParameter {
    package let name: String
    /// Of the graph; nil: a learned scale of a quantiser.
    package let id: ValueID?
    /// The value that a quantiser belongs to; then this is the factor of its scales to what they were at first.
    package let quantizes: ValueID?
    let slot: Slot
    /// Biases, scales and shifts are not decayed.
    package let decays: Bool
    /// Multiplied into the weights after every step; nil: nothing is masked.
    package var mask: [Float]?
    /// Steps of the optimiser are what they would be for the parameter in these units, one for each index along the first
    /// axis or one for all; nil: 1.
    package var units: [Float]?

    init(name: String, id: ValueID?, quantizes: ValueID? = nil, slot: Slot) {
        self.name = name
        self.id = id
        self.quantizes = quantizes
        self.slot = slot
        decays = id != nil && slot.shape.rank >= 2
    }

    package var count: Int { slot.count }
    package var values: [Float] { Array(UnsafeBufferPointer(start: slot.x, count: slot.count)) }
    package var shape: Shape { slot.shape }

    /// For each slice along an axis the sum of weight times gradient: how the loss changes, to first order, when the slice
    /// is scaled.
    package func products(along axis: Int) -> [Float] {
        let (extent, inner) = (shape[axis], shape.dims[(axis + 1)...].reduce(1, *))
        var sums = [Float](repeating: 0, count: extent)
        let (w, g) = (slot.x, slot.dx)
        var place = 0
        for _ in 0..<shape.dims[..<axis].reduce(1, *) {
            for index in 0..<extent {
                var sum: Float = 0
                for i in place..<place + inner { sum += w[i] * g[i] }
                sums[index] += sum
                place += inner
            }
        }
        return sums
    }

    /// Adds `|weight · gradient|` of every weight.
    package func addImportance(to sums: inout [Float]) {
        if sums.count != count { sums = [Float](repeating: 0, count: count) }
        let (w, g) = (slot.x, slot.dx)
        for index in 0..<count { sums[index] += abs(w[index] * g[index]) }
    }

    package var gradient: [Float] { Array(UnsafeBufferPointer(start: slot.dx, count: slot.count)) }
}
