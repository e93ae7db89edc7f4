import COunceKernels
import OunceGraph

/// Operators that are never hot in the models that Ounce serves: plain loops over elements, one unit, the same operations in
/// the same order everywhere.
extension Lowering {
    mutating func emitGeneric<Parameters>(
        _ name: String, _ parameters: Parameters, inputs: [Operand], output: Int, cost: Int, node: String,
        _ run: @escaping GenericStep
    ) {
        emit(
            LoweredStep(
                node: node, work: .generic(name: name, run: run), parameters: StepParameters(parameters), weights: nil,
                inputs: inputs, output: output, cost: cost, macs: 0, packingKey: ""))
    }

    // MARK: matMul

    mutating func lowerMatMul(_ node: Node) throws(RuntimeError) {
        let (a, b) = (try input(node, 0), try input(node, 1))
        let shape = graph[node.outputs[0]].shape
        let operands = [try dequantized(a, node: node.name), try dequantized(b, node: node.name)]
        guard [a, b].allSatisfy({ graph[$0].dtype == .float32 || isQuantized($0) }) else {
            throw RuntimeError(.unsupported, "a matrix product of \(graph[a].dtype) and \(graph[b].dtype)")
        }
        let batch = Shape(Array(shape.dims.dropLast(2)))
        let (m, n) = (shape[shape.rank - 2], shape[shape.rank - 1])
        let k = graph[a].shape[graph[a].shape.rank - 1]
        let quantized = graph[node.outputs[0]].dtype == .int8
        let output = quantized ? newBuffer(byteCount: elementCount(node.outputs[0]) * 4) : outputOf(node)
        let table = Tensor(Self.offsets(batch, [a, b].map { matrixStrides(graph[$0].shape, batch: batch) }))
        let parameters = ounce_matmul_params(
            batch: Int64(table.count / 2), m: Int64(m), n: Int64(n), k: Int64(k),
            offsets: table.bytes.baseAddress?.assumingMemoryBound(to: Int64.self))
        emit(
            LoweredStep(
                node: node.name, work: .kernel(OUNCE_MATMUL_F32),
                parameters: StepParameters(parameters, owning: [table]), weights: nil, inputs: operands,
                output: output, cost: elementCount(node.outputs[0]) * k, macs: graph.macs(of: node), packingKey: ""))
        if quantized { try emitQuantize(.buffer(output), node) }
    }

    /// Calls `body` with the running number and the index of each element of a box, row-major.
    static func forEachIndex(_ dims: [Int], _ body: (Int, [Int]) -> Void) {
        var index = [Int](repeating: 0, count: dims.count)
        for position in 0..<dims.reduce(1, *) {
            body(position, index)
            for axis in dims.indices.reversed() {
                index[axis] += 1
                if index[axis] < dims[axis] { break }
                index[axis] = 0
            }
        }
    }

    // MARK: reduce

    private struct Reduce {
        var reduction: Reduction
        var (kept, reduced): ([Int], [Int])
        var (keptStrides, reducedStrides): ([Int], [Int])
        /// The last axes: numbers that lie side by side.
        var isTrailing: Bool
    }

    /// In the same order as the loop over any axes.
    private static func reduced(_ x: UnsafePointer<Float>, _ count: Int, _ reduction: Reduction) -> Float {
        guard count > 0 else { return 0 }
        var result = x[0]
        switch reduction {
        case .mean, .sum: for i in 1..<count { result += x[i] }
        case .max: for i in 1..<count { result = result > x[i] ? result : x[i] }
        case .min: for i in 1..<count { result = result < x[i] ? result : x[i] }
        case .product: for i in 1..<count { result *= x[i] }
        }
        return reduction == .mean ? result / Float(count) : result
    }

    mutating func emitReduction(
        _ reduction: Reduction, shape: Shape, axes: Set<Int>, source: Operand, output: Int, node: String
    ) {
        let kept = shape.dims.indices.filter { !axes.contains($0) }
        let reduced = axes.sorted()
        let parameters = Reduce(
            reduction: reduction, kept: kept.map { shape[$0] }, reduced: reduced.map { shape[$0] },
            keptStrides: kept.map { shape.strides[$0] }, reducedStrides: reduced.map { shape.strides[$0] },
            isTrailing: reduced == Array(shape.rank - reduced.count..<shape.rank))
        emitGeneric(
            "reduce_f32", parameters, inputs: [source], output: output, cost: shape.elementCount ?? 0, node: node
        ) { call, _, _ in
            guard let call = call?.pointee, let p = call.params?.assumingMemoryBound(to: Reduce.self).pointee,
                let x = call.in.0?.assumingMemoryBound(to: Float.self),
                let out = call.out?.assumingMemoryBound(to: Float.self)
            else { return }
            let count = p.reduced.reduce(1, *)
            if p.isTrailing {
                for position in 0..<p.kept.reduce(1, *) {
                    out[position] = Lowering.reduced(x + position * count, count, p.reduction)
                }
                return
            }
            Lowering.forEachIndex(p.kept) { position, index in
                let start = x + zip(index, p.keptStrides).reduce(0) { $0 + $1.0 * $1.1 }
                var result: Float?
                Lowering.forEachIndex(p.reduced) { _, inner in
                    let next = start[zip(inner, p.reducedStrides).reduce(0) { $0 + $1.0 * $1.1 }]
                    guard let sofar = result else {
                        result = next
                        return
                    }
                    switch p.reduction {
                    case .mean, .sum: result = sofar + next
                    case .max: result = sofar > next ? sofar : next
                    case .min: result = sofar < next ? sofar : next
                    case .product: result = sofar * next
                    }
                }
                out[position] = p.reduction == .mean ? (result ?? 0) / Float(count) : result ?? 0
            }
        }
    }

    // MARK: Everything else

    /// A plain loop over numbers of any type. Quantised inputs and outputs pass through floats.
    mutating func lowerGeneric(_ node: Node) throws(RuntimeError) {
        guard node.inputs.count <= Self.maximumInputs else { return try lowerInParts(node) }
        let output = node.outputs[0]
        let quantized = isQuantized(output)
        func floating(_ type: TensorType, _ isQuantized: Bool) -> TensorType {
            TensorType(isQuantized ? .float32 : type.dtype, type.shape)
        }
        var operands: [Operand?] = []
        var types: [TensorType?] = []
        if keepsEncoding(node) {
            for id in node.inputs {
                operands.append(try id.map { (id) throws(RuntimeError) in try operand(id) })
                types.append(id.map { graph[$0].type })
            }
            return try emitLoop(node, operands, types, graph[output].type, to: outputOf(node))
        }
        try checkNumbers(node)
        for id in node.inputs {
            guard let id else {
                operands.append(nil)
                types.append(nil)
                continue
            }
            operands.append(try dequantized(id, node: node.name))
            types.append(floating(graph[id].type, isQuantized(id)))
        }
        let index = quantized ? newBuffer(byteCount: elementCount(output) * 4) : outputOf(node)
        try emitLoop(node, operands, types, floating(graph[output].type, quantized), to: index)
        if quantized { try emitQuantize(.buffer(index), node) }
    }

    /// Whether the stored numbers themselves are moved or converted.
    private func keepsEncoding(_ node: Node) -> Bool {
        let encoding = graph[node.outputs[0]].encoding
        switch node.op {
        case .cast, .integerLSTM: return true
        case .expand, .reverse, .reverseSequence, .gather, .reshape, .transpose, .slice, .concat:
            return node.inputs.first.flatMap { $0 }.map { graph[$0].encoding == encoding } ?? false
        default: return false
        }
    }

    private mutating func emitLoop(
        _ node: Node, _ operands: [Operand?], _ types: [TensorType?], _ output: TensorType, to index: Int
    ) throws(RuntimeError) {
        guard let loop = GenericOperator(node.op, inputs: types, output: output) else {
            throw RuntimeError(.unsupported, "no loop computes \(node.op.name)")
        }
        let cost = types.reduce(output.shape.elementCount ?? 0) { max($0, $1?.shape.elementCount ?? 0) }
        emit(
            LoweredStep(
                node: node.name, work: .generic(name: node.op.name, run: Self.runGeneric),
                parameters: StepParameters(loop), weights: nil, inputs: operands, output: index, cost: cost,
                macs: graph.macs(of: node), packingKey: ""))
    }

    /// As many inputs as a call has places for.
    private static let maximumInputs = 8

    private static let runGeneric: GenericStep = { call, _, _ in
        guard let call = call?.pointee, let out = call.out,
            let loop = call.params?.assumingMemoryBound(to: GenericOperator.self)
        else { return }
        let inputs = call.in
        loop.pointee.run(
            [inputs.0, inputs.1, inputs.2, inputs.3, inputs.4, inputs.5, inputs.6, inputs.7], out)
    }

    /// A concatenation of empty tensors is the only operator with more inputs that has no kernel.
    private mutating func lowerInParts(_ node: Node) throws(RuntimeError) {
        guard case .concat(let axis) = node.op else {
            throw RuntimeError(.unsupported, "\(node.inputs.count) inputs, at most \(Self.maximumInputs) are supported")
        }
        try lowerConcat(node, axis: axis)
    }
}
