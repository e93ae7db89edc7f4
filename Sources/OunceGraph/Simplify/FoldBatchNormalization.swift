/// A batch normalisation with constant parameters as `y = scale · x + shift`.
struct ChannelMap {
    let scale: [Double]
    let shift: [Double]

    init?(_ node: Node, in sweep: Sweep) {
        guard case .batchNormalization(_, let epsilon) = node.op, let gamma = sweep.floats(node, 1),
            let beta = sweep.floats(node, 2), let mean = sweep.floats(node, 3), let variance = sweep.floats(node, 4)
        else { return nil }
        scale = zip(gamma, variance).map { Double($0) / (Double($1) + Double(epsilon)).squareRoot() }
        shift = zip(zip(scale, mean), beta).map { Double($1) - $0.0 * Double($0.1) }
        guard (scale + shift).allSatisfy(\.isFinite) else { return nil }
    }
}

/// Folds batch normalisation into the layer before it.
struct FoldBatchNormalization: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard case .batchNormalization(let axis, _) = node.op, let x = sweep.input(node, 0),
            x.shape.normalized(axis: axis) == x.shape.rank - 1, let layer = LinearLayer(before: node, in: sweep),
            let map = ChannelMap(node, in: sweep)
        else { return nil }
        return layer.mapped(scale: map.scale, shift: map.shift, activation: .none, for: node, in: &sweep)
    }
}

/// Makes a multiplication and an addition of batch normalisation that no layer takes in.
struct DecomposeBatchNormalization: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard case .batchNormalization(let axis, _) = node.op, let x = sweep.input(node, 0), x.dtype == .float32,
            let axis = x.shape.normalized(axis: axis), let map = ChannelMap(node, in: sweep)
        else { return nil }
        let shape = Shape([map.scale.count] + [Int](repeating: 1, count: x.shape.rank - 1 - axis))
        guard let scale = Tensor(map.scale.map { Float($0) }, shape: shape),
            let shift = Tensor(map.shift.map { Float($0) }, shape: shape)
        else { return nil }
        let scaleID = sweep.addConstant(scale, name: "\(node.name)/scale")
        let shiftID = sweep.addConstant(shift, name: "\(node.name)/shift")
        let (multiply, product) = try sweep.makeNode(
            .binary(.multiply, .none), [node.inputs[0], scaleID], name: node.name)
        let add = Node(
            name: node.name, op: .binary(.add, .none), inputs: [product, shiftID], outputs: node.outputs)
        return .nodes([multiply, add])
    }
}
