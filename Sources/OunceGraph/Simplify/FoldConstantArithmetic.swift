/// Folds additions and multiplications of constants, one number or one for each channel, into the layer before them.
struct FoldConstantArithmetic: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard case .binary(let binary, let activation) = node.op, let y = sweep.output(node), y.dtype == .float32 else {
            return nil
        }
        for index in 0...1 {
            guard let constant = sweep.constant(node, 1 - index), let numbers = sweep.floats(node, 1 - index),
                let x = sweep.input(node, index), x.shape == y.shape,
                let layer = LinearLayer(before: node, input: index, in: sweep),
                constant.shape.dims.dropLast().allSatisfy({ $0 == 1 }),
                numbers.count == 1 || numbers.count == layer.outputs, let first = numbers.first
            else { continue }
            let full = numbers.count == 1 ? Array(repeating: first, count: layer.outputs) : numbers
            guard let map = map(binary, full.map { Double($0) }, constantFirst: index == 1) else { return nil }
            return layer.mapped(scale: map.scale, shift: map.shift, activation: activation, for: node, in: &sweep)
        }
        return nil
    }

    private func map(
        _ binary: BinaryOperator, _ numbers: [Double], constantFirst: Bool
    ) -> (scale: [Double], shift: [Double])? {
        let (zeros, ones) = (numbers.map { _ in 0.0 }, numbers.map { _ in 1.0 })
        switch binary {
        case .add: return (ones, numbers)
        case .subtract: return constantFirst ? (ones.map { -$0 }, numbers) : (ones, numbers.map { -$0 })
        case .multiply: return (numbers, zeros)
        case .divide: return constantFirst ? nil : (numbers.map { 1 / $0 }, zeros)
        default: return nil
        }
    }
}
