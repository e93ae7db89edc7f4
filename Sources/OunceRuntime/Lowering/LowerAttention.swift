import COunceKernels
import OunceGraph

/// The pieces of `softmax(q · k + mask) · v` that run as one step: the scores are never written out.
package struct AttentionPieces {
    package let q: ValueID
    /// Keys as columns.
    package let k: ValueID
    package let v: ValueID
    /// Of a shape that spreads over the scores.
    package let mask: ValueID?
    let scores: Shape
    /// The nodes of `q · k` and of the softmax.
    package let (scoreNode, softmaxNode): (Int, Int)
    /// The nodes that the step of the last one stands for.
    let absorbed: [Int]
}

extension Graph {
    /// All attentions in float numbers, by the index of their last product.
    package func attentions(_ flow: ValueFlow) -> [Int: AttentionPieces] {
        func isReal(_ id: ValueID?) -> Bool {
            id.map { self[$0].dtype == .float32 && self[$0].encoding == .plain } ?? false
        }

        var found: [Int: AttentionPieces] = [:]
        for (last, product) in nodes.enumerated() where product.op == .matMul {
            guard let weights = product.inputs.first ?? nil, let softmax = flow.maker(weights),
                case .softmax(let axis) = nodes[softmax].op,
                self[weights].shape.normalized(axis: axis) == self[weights].shape.rank - 1,
                let logits = nodes[softmax].inputs.first ?? nil, let before = flow.maker(logits),
                let v = product.inputs.last ?? nil, product.inputs.count == 2
            else { continue }
            let scores = self[weights].shape
            var absorbed = [softmax, before]
            var mask: ValueID?
            var first = before
            if nodes[before].op == .binary(.add, .none) {
                let operands = nodes[before].inputs.compactMap { $0 }
                guard operands.count == 2,
                    let place = operands.firstIndex(where: { id in
                        self[id].shape == scores && flow.maker(id).map { nodes[$0].op == .matMul } ?? false
                    }), let index = flow.maker(operands[place])
                else { continue }
                mask = operands[1 - place]
                first = index
                absorbed.append(index)
            }
            guard nodes[first].op == .matMul, let q = nodes[first].inputs.first ?? nil,
                let k = nodes[first].inputs.last ?? nil,
                let output = product.outputs.first, let sum = nodes[first].outputs.first,
                self[output].shape.dims.dropLast(2) == scores.dims.dropLast(2),
                [scores, self[output].shape, self[q].shape].allSatisfy({ !$0.dims.contains(0) }),
                ([q, k, v, weights, logits, output, sum] + (mask.map { [$0] } ?? [])).allSatisfy(isReal)
            else { continue }
            found[last] = AttentionPieces(
                q: q, k: k, v: v, mask: mask, scores: scores, scoreNode: first, softmaxNode: softmax,
                absorbed: absorbed)
        }
        return found
    }
}

extension Lowering {
    mutating func lowerAttention(_ node: Node, _ pieces: AttentionPieces) throws(RuntimeError) {
        let output = node.outputs[0]
        for id in [pieces.q, pieces.k, pieces.v, output] + (pieces.mask.map { [$0] } ?? []) { try checkExtents(id) }
        let scores = pieces.scores
        let (m, n) = (scores[scores.rank - 2], scores[scores.rank - 1])
        let (k, v) = (graph[pieces.q].shape.dims.last ?? 1, graph[output].shape.dims.last ?? 1)
        let batch = Shape(Array(scores.dims.dropLast(2)))
        var strides = [pieces.q, pieces.k, pieces.v].map { matrixStrides(graph[$0].shape, batch: batch) }
        let mask = pieces.mask.map { Self.broadcastStrides(graph[$0].shape, to: scores) } ?? scores.dims.map { _ in 0 }
        strides.append(Array(mask.dropLast(2)))
        let offsets = Tensor(Self.offsets(batch, strides))
        var parameters = ounce_attention_params()
        parameters.batch = Int64(batch.dims.reduce(1, *))
        (parameters.m, parameters.n, parameters.k, parameters.v) = (Int64(m), Int64(n), Int64(k), Int64(v))
        (parameters.mask_row, parameters.mask_column) = (Int64(mask[mask.count - 2]), Int64(mask[mask.count - 1]))
        parameters.offsets = offsets.bytes.baseAddress?.assumingMemoryBound(to: Int64.self)
        let inputs: [Operand?] = [
            try operand(pieces.q), try operand(pieces.k), try operand(pieces.v),
            try pieces.mask.map { (id) throws(RuntimeError) in try operand(id) },
        ]
        let macs = (scores.elementCount ?? 0) * (k + v)
        let index = outputOf(node)
        emit(
            LoweredStep(
                node: node.name, work: .kernel(OUNCE_ATTENTION_F32),
                parameters: StepParameters(parameters, owning: [offsets]), weights: nil, inputs: inputs, output: index,
                cost: macs, macs: macs, packingKey: ""))
    }

    /// Steps from matrix to matrix of an operand whose leading axes spread over `batch`.
    func matrixStrides(_ shape: Shape, batch: Shape) -> [Int] {
        let matrix = shape[shape.rank - 2] * shape[shape.rank - 1]
        return Self.broadcastStrides(Shape(Array(shape.dims.dropLast(2))), to: batch).map { $0 * matrix }
    }

    /// For each index of `batch` the place of each operand, side by side.
    static func offsets(_ batch: Shape, _ strides: [[Int]]) -> [Int64] {
        var offsets: [Int64] = []
        forEachIndex(batch.dims) { _, index in
            for own in strides { offsets.append(Int64(zip(index, own).reduce(0) { $0 + $1.0 * $1.1 })) }
        }
        return offsets
    }
}
