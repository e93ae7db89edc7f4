import COunceKernels
import OunceGraph

/// The pieces of attention on int8 numbers that run as one step; see `AttentionWeights`.
struct IntegerAttentionPieces {
    let q: MatrixView
    /// Keys as columns.
    let k: MatrixView
    let v: MatrixView
    /// Of a shape that spreads over the scores.
    let mask: ValueID?
    let scores: Shape
    /// Where the last node's output holds the results.
    let output: MatrixView
    /// The nodes that the step of the last one stands for.
    let absorbed: [Int]
}

/// Matrices with leading axes whose rows lie within another value, as before or after a transposition.
struct MatrixView {
    /// The value whose bytes they are, and the one whose grid they are on.
    let (value, gridded): (ValueID, ValueID)
    /// Of the matrices.
    let shape: Shape
    /// Elements between neighbours along each axis; 1 for the last.
    let strides: [Int]

    var row: Int { strides[strides.count - 2] }

    /// Steps from matrix to matrix where leading axes spread over `batch`.
    func matrixStrides(batch: Shape) -> [Int] {
        let missing = batch.rank - (shape.rank - 2)
        return batch.dims.indices.map { axis in
            axis < missing || shape[axis - missing] == 1 ? 0 : strides[axis - missing]
        }
    }
}

extension Lowering {
    /// All attentions on int8 numbers, by the index of their last node: the division, or the rounding of its result.
    func integerAttentions() -> [Int: IntegerAttentionPieces] {
        func isLast(_ axes: [Int], _ id: ValueID) -> Bool {
            axes.count == 1 && graph[id].shape.normalized(axis: axes[0]) == graph[id].shape.rank - 1
        }
        /// The permutation of a node that only moves rows.
        func rowMove(_ index: Int) -> [Int]? {
            guard case .transpose(let axes) = graph.nodes[index].op, axes.last == axes.count - 1, axes.count > 1,
                let x = graph.nodes[index].inputs[0], let y = graph.nodes[index].outputs.first,
                graph[x].encoding == graph[y].encoding
            else { return nil }
            return axes
        }
        /// Reads what a transposition would move where it lies, whatever number it was multiplied with; and these nodes.
        func reading(_ id: ValueID) -> (view: MatrixView, skipped: [Int]) {
            var (value, skipped) = (id, [Int]())
            if let scaling = flow.maker(id), keepsIntegers(graph.nodes[scaling]), let x = graph.nodes[scaling].inputs[0]
            {
                (value, skipped) = (x, [scaling])
            }
            let shape = graph[id].shape
            guard let move = flow.maker(value), let axes = rowMove(move), let x = graph.nodes[move].inputs[0] else {
                return (MatrixView(value: value, gridded: id, shape: shape, strides: shape.strides), skipped)
            }
            let strides = graph[x].shape.strides
            return (
                MatrixView(value: x, gridded: id, shape: shape, strides: axes.map { strides[$0] }), skipped + [move]
            )
        }
        func inputs(_ index: Int) -> [ValueID] { graph.nodes[index].inputs.compactMap { $0 } }

        var found: [Int: IntegerAttentionPieces] = [:]
        for (division, node) in graph.nodes.enumerated() where node.op == .binary(.divide, .none) {
            let parts = inputs(division)
            guard parts.count == 2, let product = flow.maker(parts[0]), graph.nodes[product].op == .matMul,
                multipliesIntegers(graph.nodes[product]), let total = flow.maker(parts[1]),
                case .reduce(.sum, let sumAxes, true) = graph.nodes[total].op,
                let real = flow.maker(inputs(total).first), graph.nodes[real].op == .dequantize
            else { continue }
            let (weights, v) = (inputs(product)[0], inputs(product)[1])
            guard inputs(real).first == weights, isLast(sumAxes, weights),
                let rounding = flow.maker(weights, readers: 2), graph.nodes[rounding].op == .quantize,
                graph[weights].encoding == .affine(AttentionWeights.grid),
                let exponential = flow.maker(inputs(rounding).first), graph.nodes[exponential].op == .unary(.exp),
                let difference = flow.maker(inputs(exponential).first),
                graph.nodes[difference].op == .binary(.subtract, .none), inputs(difference).count == 2
            else { continue }
            let logits = inputs(difference)[0]
            guard let top = flow.maker(inputs(difference)[1]),
                case .reduce(.max, let topAxes, true) = graph.nodes[top].op,
                inputs(top) == [logits], isLast(topAxes, logits), let before = flow.maker(logits, readers: 2)
            else { continue }
            var absorbed = [product, total, real, rounding, exponential, difference, top, before]
            var (first, mask) = (before, ValueID?.none)
            if graph.nodes[before].op == .binary(.add, .none) {
                let operands = inputs(before)
                guard operands.count == 2,
                    let place = operands.firstIndex(where: { id in
                        graph[id].shape == graph[logits].shape
                            && flow.maker(id).map { graph.nodes[$0].op == .matMul } ?? false
                    }), let index = flow.maker(operands[place])
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
            /// The one node that reads what the step gives so far.
            func reader() -> Int? {
                let id = graph.nodes[last].outputs[0]
                guard !flow.kept.contains(id), let readers = flow.consumers[id], readers.count == 1 else { return nil }
                return readers[0]
            }
            if let next = reader(), graph.nodes[next].op == .quantize, isQuantized(graph.nodes[next].outputs[0]),
                graph[graph.nodes[next].outputs[0]].encoding.affine?.isPerTensor == true
            {
                absorbed.append(last)
                last = next
            }
            let shape = graph[output].shape
            var strides = shape.strides
            if let next = reader(), let axes = rowMove(next) {
                absorbed.append(last)
                last = next
                let moved = graph[graph.nodes[next].outputs[0]].shape.strides
                for (place, axis) in axes.enumerated() { strides[axis] = moved[place] }
            }
            let result = graph.nodes[last].outputs[0]
            let views = [inputs(first)[0], inputs(first)[1], v].map(reading)
            absorbed += views.flatMap(\.skipped)
            found[last] = IntegerAttentionPieces(
                q: views[0].view, k: views[1].view, v: views[2].view, mask: mask, scores: graph[sum].shape,
                output: MatrixView(value: result, gridded: result, shape: shape, strides: strides),
                absorbed: absorbed)
        }
        return found
    }

    mutating func lowerIntegerAttention(_ node: Node, _ pieces: IntegerAttentionPieces) throws(RuntimeError) {
        let (output, views) = (node.outputs[0], [pieces.q, pieces.k, pieces.v])
        for id in views.map(\.value) + [output] + (pieces.mask.map { [$0] } ?? []) { try checkExtents(id) }
        let scores = pieces.scores
        let (m, n) = (scores[scores.rank - 2], scores[scores.rank - 1])
        let (k, v) = (pieces.q.shape.dims.last ?? 1, pieces.output.shape.dims.last ?? 1)
        let batch = Shape(Array(scores.dims.dropLast(2)))
        let mask = pieces.mask.map { Self.broadcastStrides(graph[$0].shape, to: scores) } ?? scores.dims.map { _ in 0 }
        let offsets = Tensor(
            Self.offsets(
                batch,
                views.map { $0.matrixStrides(batch: batch) }
                    + [Array(mask.dropLast(2)), pieces.output.matrixStrides(batch: batch)]))
        let grids = try views.map { (view) throws(RuntimeError) in try grid(graph[view.gridded]) }
        var parameters = ounce_attention_s8_params()
        parameters.batch = Int64(batch.dims.reduce(1, *))
        (parameters.m, parameters.n, parameters.k, parameters.v) = (Int64(m), Int64(n), Int64(k), Int64(v))
        (parameters.q_row, parameters.k_row) = (Int64(pieces.q.row), Int64(pieces.k.row))
        (parameters.v_row, parameters.out_row) = (Int64(pieces.v.row), Int64(pieces.output.row))
        (parameters.mask_row, parameters.mask_column) = (Int64(mask[mask.count - 2]), Int64(mask[mask.count - 1]))
        parameters.offsets = offsets.bytes.baseAddress?.assumingMemoryBound(to: Int64.self)
        (parameters.q_zero, parameters.k_zero) = (grids[0].zeroPoint, grids[1].zeroPoint)
        parameters.v_zero = grids[2].zeroPoint
        parameters.score_scale = try factor(Double(grids[0].scale) * Double(grids[1].scale))
        parameters.value_scale = try factor(Double(AttentionWeights.grid.scale) * Double(grids[2].scale))
        if isQuantized(output) {
            let result = try grid(graph[output])
            (parameters.out_scale, parameters.out_zero) = (result.scale, result.zeroPoint)
        } else {
            (parameters.out_scale, parameters.real_out) = (1, 1)
        }
        let inputs: [Operand?] = [
            try operand(pieces.q.value), try operand(pieces.k.value), try operand(pieces.v.value),
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
