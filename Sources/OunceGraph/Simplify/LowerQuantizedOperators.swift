/// Makes an int8 operator of a float operator between dequantise and quantise nodes (the QDQ form of ONNX models).
///
/// Source: ONNX Runtime, "Quantize ONNX models", QDQ representation.
struct LowerQuantizedOperators: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard case .quantize = node.op, let encoding = sweep.output(node)?.encoding,
            encoding.affine?.axis == nil, let float = sweep.soleProducer(node, 0),
            sweep.output(float)?.dtype == .float32
        else { return nil }
        var sources = Sources()
        switch float.op {
        case .conv, .fullyConnected: return try layer(float, for: node, &sources, in: &sweep)
        case .matMul:
            guard let a = try sources.add(float, 0, in: &sweep), let b = try sources.add(float, 1, in: &sweep) else {
                return nil
            }
            return sources.rewrite(.matMul, [a, b], for: node)
        case .concat: return try concat(float, encoding, for: node, &sources, in: &sweep)
        case .binary(let binary, _) where binary == .add || binary == .subtract:
            guard let a = try sources.add(float, 0, in: &sweep), let b = try sources.add(float, 1, in: &sweep),
                sweep[a].shape == sweep[b].shape
            else { return nil }
            return sources.rewrite(float.op, [a, b], for: node)
        case .pool(let pool) where pool.kind == .average:
            return try requantizing(float, for: node, &sources, in: &sweep)
        case .reduce(.mean, _, _), .unary, .softmax: return try requantizing(float, for: node, &sources, in: &sweep)
        case .pool, .reduce(.max, _, _), .reduce(.min, _, _), .reshape, .transpose, .slice, .pad:
            return try keepingEncoding(float, encoding, for: node, &sources, in: &sweep)
        default: return nil
        }
    }

    /// The int8 values behind the inputs of a float operator, and the nodes that they take.
    private struct Sources {
        var nodes: [Node] = []
        private static let longestChain = 4

        /// The int8 value that input `index` dequantises; layout changes since then are done on it anew.
        mutating func add(_ node: Node, _ index: Int, in sweep: inout Sweep) throws(GraphError) -> ValueID? {
            var moves: [Node] = []
            var producer = sweep.producer(node, index)
            while let move = producer, moves.count < Sources.longestChain {
                guard move.isLayoutChange else { break }
                moves.append(move)
                producer = sweep.producer(move, 0)
            }
            guard let producer, case .dequantize = producer.op, var id = producer.inputs[0],
                sweep[id].dtype == .int8, sweep[id].encoding.affine?.isPerTensor == true
            else { return nil }
            for move in moves.reversed() {
                let (moved, next) = try sweep.makeNode(
                    move.op, [id], name: move.name, encoding: sweep[id].encoding)
                nodes.append(moved)
                id = next
            }
            return id
        }

        func rewrite(_ op: Op, _ inputs: [ValueID?], for old: Node) -> Rewrite {
            .nodes(nodes + [Node(name: old.name, op: op, inputs: inputs, outputs: old.outputs)])
        }
    }

    private func requantizing(
        _ float: Node, for node: Node, _ sources: inout Sources, in sweep: inout Sweep
    ) throws(GraphError) -> Rewrite? {
        guard let x = try sources.add(float, 0, in: &sweep) else { return nil }
        return sources.rewrite(float.op, [x], for: node)
    }

    /// Operators that only move or choose numbers give them in the encoding in which they get them.
    private func keepingEncoding(
        _ float: Node, _ encoding: Encoding, for node: Node, _ sources: inout Sources, in sweep: inout Sweep
    ) throws(GraphError) -> Rewrite? {
        guard let x = try sources.add(float, 0, in: &sweep) else { return nil }
        if sweep[x].encoding == encoding { return sources.rewrite(float.op, [x], for: node) }
        let (moved, id) = try sweep.makeNode(float.op, [x], name: float.name, encoding: sweep[x].encoding)
        sources.nodes.append(moved)
        return sources.rewrite(.quantize, [id], for: node)
    }

    private func concat(
        _ float: Node, _ encoding: Encoding, for node: Node, _ sources: inout Sources, in sweep: inout Sweep
    ) throws(GraphError) -> Rewrite? {
        var parts: [ValueID] = []
        for index in float.inputs.indices {
            guard let part = try sources.add(float, index, in: &sweep) else { return nil }
            parts.append(part)
        }
        for (index, part) in parts.enumerated() where sweep[part].encoding != encoding {
            let (quantize, id) = try sweep.makeNode(.quantize, [part], name: float.name, encoding: encoding)
            sources.nodes.append(quantize)
            parts[index] = id
        }
        return sources.rewrite(float.op, parts, for: node)
    }

    private func layer(
        _ float: Node, for node: Node, _ sources: inout Sources, in sweep: inout Sweep
    ) throws(GraphError) -> Rewrite? {
        guard let x = try sources.add(float, 0, in: &sweep), let input = sweep[x].encoding.affine,
            let weightsID = weights(of: float, in: sweep), let affine = sweep[weightsID].encoding.affine,
            affine.axis == nil || affine.axis == 0, affine.zeroPoints.allSatisfy({ $0 == 0 })
        else { return nil }
        let scales = affine.scales.map { Double($0) * Double(input.scale) }
        var inputs: [ValueID?] = [x, weightsID]
        if float.inputs.count > 2, let bias = float.inputs[2] {
            guard let quantized = self.bias(float, scales: scales, in: sweep) else { return nil }
            let encoding = AffineQuantization(
                scales: scales.map { Float($0) }, zeroPoints: scales.map { _ in 0 }, axis: affine.axis)
            guard encoding.scales.allSatisfy({ $0.isFinite && $0 > 0 }) else { return nil }
            inputs.append(sweep.addConstant(quantized, name: sweep[bias].name, encoding: .affine(encoding)))
        }
        return sources.rewrite(float.op, inputs, for: node)
    }

    /// The constant int8 weights, which a layer on floats reads as they are or through a dequantise node.
    private func weights(of layer: Node, in sweep: Sweep) -> ValueID? {
        var id = layer.inputs[1]
        if let dequantize = sweep.producer(layer, 1), case .dequantize = dequantize.op { id = dequantize.inputs[0] }
        guard let id, sweep[id].dtype == .int8, sweep[id].constant != nil else { return nil }
        return id
    }

    /// The bias in units of the accumulator.
    private func bias(_ layer: Node, scales: [Double], in sweep: Sweep) -> Tensor? {
        let numbers: [Double]
        if let floats = sweep.floats(layer, 2) {
            numbers = floats.map { Double($0) }
        } else if let dequantize = sweep.producer(layer, 2), case .dequantize = dequantize.op,
            let stored = sweep.input(dequantize, 0), let constant = stored.constant,
            let affine = stored.encoding.affine, !affine.scales.isEmpty
        {
            numbers = constant.doubles().enumerated().map { index, q in
                let channel = affine.axis == nil ? 0 : index
                return (q - Double(affine.zeroPoints[channel])) * Double(affine.scales[channel])
            }
        } else {
            return nil
        }
        var quantized: [Int32] = []
        for (index, number) in numbers.enumerated() {
            let units = (number / scales[scales.count == 1 ? 0 : index]).rounded(.toNearestOrEven)
            guard let exact = Int32(exactly: units) else { return nil }
            quantized.append(exact)
        }
        return Tensor(quantized)
    }
}

extension Node {
    fileprivate var isLayoutChange: Bool {
        switch op {
        case .transpose, .reshape: true
        default: false
        }
    }
}
