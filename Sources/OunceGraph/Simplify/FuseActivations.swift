/// Makes clips part of the operator that computes their input.
struct FuseActivations: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        if let clip = clip(by: node, in: sweep) { return .node(clip.op, clip.inputs, for: node) }
        guard case .unary(.clip(let low, let high)) = node.op, low <= high, let output = sweep.output(node),
            let x = sweep.input(node, 0), x.dtype == output.dtype,
            x.dtype == .float32 || (x.dtype == .int8 && output.encoding.affine != nil)
        else { return nil }
        let same = x.encoding == output.encoding
        guard let before = same ? clipOrSoleProducer(node, in: sweep) : sweep.soleProducer(node, 0) else { return nil }
        let op: Op
        switch before.op {
        case .conv(var conv):
            conv.activation = conv.activation.clipped(low, high)
            op = .conv(conv)
        case .fullyConnected(let activation): op = .fullyConnected(activation.clipped(low, high))
        case .binary(let binary, let activation): op = .binary(binary, activation.clipped(low, high))
        case .pool(var pool):
            // A maximum keeps its encoding.
            guard same || pool.kind == .average else { return nil }
            pool.activation = pool.activation.clipped(low, high)
            op = .pool(pool)
        case .unary(.clip(let first, let second)) where same && first <= second:
            let bounds = Activation.clip(first, second).clipped(low, high).bounds
            op = .unary(.clip(bounds.low, bounds.high))
        default: return nil
        }
        return .node(op, before.inputs, for: node)
    }

    private func clipOrSoleProducer(_ node: Node, in sweep: Sweep) -> Node? {
        if let before = sweep.producer(node, 0), case .unary(.clip) = before.op,
            sweep.input(before, 0)?.encoding == sweep.input(node, 0)?.encoding
        {
            return before
        }
        return sweep.soleProducer(node, 0)
    }

    /// The minimum or maximum of a float and one constant number, as a clip.
    private func clip(by node: Node, in sweep: Sweep) -> (op: Op, inputs: [ValueID?])? {
        guard case .binary(let binary, .none) = node.op, binary == .maximum || binary == .minimum else { return nil }
        for index in 0...1 {
            guard let numbers = sweep.floats(node, index), numbers.count == 1, let bound = numbers.first,
                !bound.isNaN, sweep.input(node, 1 - index)?.shape == sweep.output(node)?.shape,
                sweep.constant(node, 1 - index) == nil
            else { continue }
            let range: (Float, Float) = binary == .maximum ? (bound, .infinity) : (-.infinity, bound)
            return (.unary(.clip(range.0, range.1)), [node.inputs[1 - index]])
        }
        return nil
    }
}

extension Activation {
    /// This clamp and after it another.
    package func clipped(_ low: Float, _ high: Float) -> Activation {
        func clamp(_ bound: Float) -> Float { min(max(bound, low), high) }
        switch (clamp(bounds.low), clamp(bounds.high)) {
        case (-.infinity, .infinity): return .none
        case (0, .infinity): return .relu
        case (0, 6): return .relu6
        case (let low, let high): return .clip(low, high)
        }
    }
}
