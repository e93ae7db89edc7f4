import COunceKernels
import OunceGraph

/// The pieces of attention on int8 numbers that run as one step; see `AttentionWeights`.
struct IntegerAttentionPieces {
    let q: ValueID
    /// Keys as columns.
    let k: ValueID
    let v: ValueID
    /// Of a shape that spreads over the scores.
    let mask: ValueID?
    let scores: Shape
    /// The nodes that the step of the last one stands for.
    let absorbed: [Int]
}

extension Lowering {
    /// All attentions on int8 numbers, by the index of their last node: the division, or the rounding of its result.
    func integerAttentions() -> [Int: IntegerAttentionPieces] {
        let consumers = graph.consumers()
        let producers = graph.producers()
        let kept = Set(graph.outputs + graph.outputCuts.compactMap { $0?.count })
        /// The node that makes a value that so many nodes read and nothing else.
        func maker(_ id: ValueID?, readers: Int = 1) -> Int? {
            guard let id, !kept.contains(id), consumers[id]?.count == readers else { return nil }
            return producers[id]
        }
        func isLast(_ axes: [Int], _ id: ValueID) -> Bool {
            axes.count == 1 && graph[id].shape.normalized(axis: axes[0]) == graph[id].shape.rank - 1
        }
        func inputs(_ index: Int) -> [ValueID] { graph.nodes[index].inputs.compactMap { $0 } }

        var found: [Int: IntegerAttentionPieces] = [:]
        for (division, node) in graph.nodes.enumerated() where node.op == .binary(.divide, .none) {
            let parts = inputs(division)
            guard parts.count == 2, let product = maker(parts[0]), graph.nodes[product].op == .matMul,
                multipliesIntegers(graph.nodes[product]), let total = maker(parts[1]),
                case .reduce(.sum, let sumAxes, true) = graph.nodes[total].op,
                let real = maker(inputs(total).first), graph.nodes[real].op == .dequantize
            else { continue }
            let (weights, v) = (inputs(product)[0], inputs(product)[1])
            guard inputs(real).first == weights, isLast(sumAxes, weights),
                let rounding = maker(weights, readers: 2), graph.nodes[rounding].op == .quantize,
                graph[weights].encoding == .affine(AttentionWeights.grid),
                let exponential = maker(inputs(rounding).first), graph.nodes[exponential].op == .unary(.exp),
                let difference = maker(inputs(exponential).first),
                graph.nodes[difference].op == .binary(.subtract, .none), inputs(difference).count == 2
            else { continue }
            let logits = inputs(difference)[0]
            guard let top = maker(inputs(difference)[1]), case .reduce(.max, let topAxes, true) = graph.nodes[top].op,
                inputs(top) == [logits], isLast(topAxes, logits), let before = maker(logits, readers: 2)
            else { continue }
            var absorbed = [product, total, real, rounding, exponential, difference, top, before]
            var (first, mask) = (before, ValueID?.none)
            if graph.nodes[before].op == .binary(.add, .none) {
                let operands = inputs(before)
                guard operands.count == 2,
                    let place = operands.firstIndex(where: { id in
                        graph[id].shape == graph[logits].shape
                            && maker(id).map { graph.nodes[$0].op == .matMul } ?? false
                    }), let index = maker(operands[place])
                else { continue }
                (first, mask) = (index, operands[1 - place])
                absorbed.append(index)
            }
            guard graph.nodes[first].op == .matMul, multipliesIntegers(graph.nodes[first]),
                let sum = graph.nodes[first].outputs.first, let output = node.outputs.first,
                mask.map({ graph[$0].dtype == .float32 && graph[$0].encoding == .plain }) ?? true,
                ([sum, logits] + parts + [output]).allSatisfy({ graph[$0].dtype == .float32 }),
                graph[output].shape == graph[parts[0]].shape,
                graph[output].shape.dims.dropLast(2) == graph[sum].shape.dims.dropLast(2),
                (inputs(first) + [v, output, sum]).allSatisfy({ elementCount($0) > 0 })
            else { continue }
            var last = division
            if !kept.contains(output), let readers = consumers[output], readers.count == 1,
                graph.nodes[readers[0]].op == .quantize, isQuantized(graph.nodes[readers[0]].outputs[0]),
                graph[graph.nodes[readers[0]].outputs[0]].encoding.affine?.isPerTensor == true
            {
                last = readers[0]
                absorbed.append(division)
            }
            found[last] = IntegerAttentionPieces(
                q: inputs(first)[0], k: inputs(first)[1], v: v, mask: mask, scores: graph[sum].shape,
                absorbed: absorbed)
        }
        return found
    }

    mutating func lowerIntegerAttention(_ node: Node, _ pieces: IntegerAttentionPieces) throws(RuntimeError) {
        let output = node.outputs[0]
        for id in [pieces.q, pieces.k, pieces.v, output] + (pieces.mask.map { [$0] } ?? []) { try checkExtents(id) }
        let scores = pieces.scores
        let (m, n) = (scores[scores.rank - 2], scores[scores.rank - 1])
        let (k, v) = (graph[pieces.q].shape.dims.last ?? 1, graph[output].shape.dims.last ?? 1)
        let batch = Shape(Array(scores.dims.dropLast(2)))
        var strides = [pieces.q, pieces.k, pieces.v].map { matrixStrides(graph[$0].shape, batch: batch) }
        let mask = pieces.mask.map { Self.broadcastStrides(graph[$0].shape, to: scores) } ?? scores.dims.map { _ in 0 }
        strides.append(Array(mask.dropLast(2)))
        strides.append(matrixStrides(graph[output].shape, batch: batch))
        let offsets = Tensor(Self.offsets(batch, strides))
        let (q, keys, values) = (try grid(graph[pieces.q]), try grid(graph[pieces.k]), try grid(graph[pieces.v]))
        var parameters = ounce_attention_s8_params()
        parameters.batch = Int64(batch.dims.reduce(1, *))
        (parameters.m, parameters.n, parameters.k, parameters.v) = (Int64(m), Int64(n), Int64(k), Int64(v))
        (parameters.q_row, parameters.k_row) = (Int64(k), Int64(n))
        (parameters.v_row, parameters.out_row) = (Int64(v), Int64(v))
        (parameters.mask_row, parameters.mask_column) = (Int64(mask[mask.count - 2]), Int64(mask[mask.count - 1]))
        parameters.offsets = offsets.bytes.baseAddress?.assumingMemoryBound(to: Int64.self)
        (parameters.q_zero, parameters.k_zero, parameters.v_zero) = (q.zeroPoint, keys.zeroPoint, values.zeroPoint)
        parameters.score_scale = try factor(Double(q.scale) * Double(keys.scale))
        parameters.value_scale = try factor(Double(AttentionWeights.grid.scale) * Double(values.scale))
        if isQuantized(output) {
            let result = try grid(graph[output])
            (parameters.out_scale, parameters.out_zero) = (result.scale, result.zeroPoint)
        } else {
            (parameters.out_scale, parameters.real_out) = (1, 1)
        }
        let inputs: [Operand?] = [
            try operand(pieces.q), try operand(pieces.k), try operand(pieces.v),
            try pieces.mask.map { (id) throws(RuntimeError) in try operand(id) },
        ]
        let macs = (scores.elementCount ?? 0) * (k + v)
        let index = outputOf(node)
        emit(
            LoweredStep(
                node: node.name, work: .kernel(OUNCE_ATTENTION_S8),
                parameters: StepParameters(parameters, owning: [offsets]), weights: nil, inputs: inputs, output: index,
                cost: macs / 4 + (scores.elementCount ?? 0), macs: macs, packingKey: ""))
    }
}
