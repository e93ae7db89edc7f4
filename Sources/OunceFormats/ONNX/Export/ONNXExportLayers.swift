import OunceGraph

// Layers with weights, windows and reductions.
extension ONNXExport {
    mutating func convolution(_ node: Node, _ x: ValueID, _ conv: Convolution) throws(FormatError) {
        let weights = try second(node)
        guard numberType(x).isFloat else {
            throw FormatError(.unsupported, "\(node.name): a convolution of \(graph[x].dtype) numbers without a scale")
        }
        let order = Self.channelsFirst(rank(x))
        var inputs = [try tensor(x, order: order), try tensor(weights, order: order)]
        if let bias = try bias(node) { inputs.append(bias) }
        let attributes: [String: ONNXAttribute] = [
            "kernel_shape": .integers(Array(graph[weights].shape.dims[1..<rank(weights) - 1])),
            "strides": .integers(conv.strides), "dilations": .integers(conv.dilations),
            "pads": .integers(conv.padBefore + conv.padAfter), "group": .integer(conv.groups),
        ]
        try finish(node, "Conv", inputs, attributes, activation: conv.activation, order: order)
    }

    /// A matrix input goes to Gemm, which has weights `[O, I]` and a bias; others to MatMul and Add.
    mutating func fullyConnected(_ node: Node, _ x: ValueID, _ activation: Activation) throws(FormatError) {
        let weights = try second(node)
        let identity = Array(0..<rank(x))
        let source = try tensor(x, order: identity)
        if rank(x) == 2 {
            var inputs = [source]
            if let (shape, order) = flattened[x] {
                inputs.append(try columns(of: weights, shape, order))
            } else {
                inputs.append(try tensor(weights, order: [0, 1]))
            }
            if let bias = try bias(node) { inputs.append(bias) }
            return try finish(node, "Gemm", inputs, ["transB": .integer(1)], activation: activation, order: identity)
        }
        let inputs = [source, try tensor(weights, order: [1, 0])]
        let order = Array(0..<rank(node.outputs[0]))
        guard let bias = try bias(node) else {
            return try finish(node, "MatMul", inputs, activation: activation, order: order)
        }
        let product = emit(
            "MatMul", inputs, name: node.name, output: "\(graph[node.outputs[0]].name)_product")
        try finish(
            Node(name: "\(node.name)_bias", op: node.op, inputs: [], outputs: node.outputs), "Add", [product, bias],
            activation: activation, order: order)
    }

    /// The weights `[O, K]` for an input whose K elements, of `shape`, were flattened in `order`.
    private mutating func columns(of id: ValueID, _ shape: Shape, _ order: [Int]) throws(FormatError) -> String {
        guard let constant = graph[id].constant,
            let moved = constant.reshaped(Shape([constant.shape[0]] + shape.dims.dropFirst()))?.transposed(order)?
                .reshaped(constant.shape)
        else { throw FormatError(.invalidArgument, "\(graph[id].name) is not of \(shape)") }
        return try dequantize(initializer(moved, name: graph[id].name), id, order: [0, 1])
    }

    mutating func pooling(_ node: Node, _ x: ValueID, _ pool: Pooling) throws(FormatError) {
        let order = Self.channelsFirst(rank(x))
        var attributes: [String: ONNXAttribute] = [
            "kernel_shape": .integers(pool.kernel), "strides": .integers(pool.strides),
            "pads": .integers(pool.padBefore + pool.padAfter),
        ]
        if pool.dilations.contains(where: { $0 != 1 }) { attributes["dilations"] = .integers(pool.dilations) }
        if pool.kind == .average {
            attributes["count_include_pad"] = .integer(pool.countIncludesPadding ? 1 : 0)
        }
        try finish(
            node, pool.kind == .max ? "MaxPool" : "AveragePool", [try input(x, of: node, order)], attributes,
            activation: pool.activation, order: order)
    }

    mutating func reduce(
        _ node: Node, _ x: ValueID, _ reduction: Reduction, _ axes: [Int], _ keepDims: Bool
    ) throws(FormatError) {
        let rank = rank(x)
        let reduced = Set(axes.compactMap { graph[x].shape.normalized(axis: $0) })
        if keepDims, rank >= 3, reduced == Set(1..<rank - 1), reduction == .mean || reduction == .max {
            let order = Self.channelsFirst(rank)
            let type = reduction == .mean ? "GlobalAveragePool" : "GlobalMaxPool"
            return try finish(node, type, [try tensor(x, order: order)], order: order)
        }
        let order = order(x)
        var after = order
        if !keepDims {
            let kept = order.filter { !reduced.contains($0) }
            after = kept.map { axis in kept.count { $0 < axis } }
        }
        let places = order.indices.filter { reduced.contains(order[$0]) }
        var inputs = [try tensor(x, order: order)]
        var attributes: [String: ONNXAttribute] = ["keepdims": .integer(keepDims ? 1 : 0)]
        let type: String
        switch reduction {
        case .mean: type = "ReduceMean"
        case .sum: type = "ReduceSum"
        case .max: type = "ReduceMax"
        case .min: type = "ReduceMin"
        case .product: type = "ReduceProd"
        }
        if reduction == .sum || opset >= 18 {
            inputs.append(integers(places, name: "\(node.name)_axes"))
            attributes["noop_with_empty_axes"] = .integer(1)
        } else if places.isEmpty {
            return try finish(node, "Identity", inputs, order: after)
        } else {
            attributes["axes"] = .integers(places)
        }
        try finish(node, type, inputs, attributes, order: after)
    }

    mutating func batchNormalization(
        _ node: Node, _ x: ValueID, axis: Int, _ epsilon: Float
    ) throws(FormatError) {
        guard let axis = graph[x].shape.normalized(axis: axis), rank(x) >= 2 else {
            throw FormatError(.unsupported, "\(node.name): ONNX normalises tensors of two axes or more")
        }
        let others = (0..<rank(x)).filter { $0 != axis }
        let order = [others[0], axis] + others.dropFirst()
        var inputs = [try tensor(x, order: order)]
        for id in node.inputs.dropFirst().compactMap({ $0 }) { inputs.append(try tensor(id, order: [0])) }
        try finish(node, "BatchNormalization", inputs, ["epsilon": .float(epsilon)], order: order)
    }

    /// ONNX wants a scale.
    mutating func layerNormalization(
        _ node: Node, _ x: ValueID, axes: Int, _ epsilon: Float
    ) throws(FormatError) {
        let rank = rank(x)
        let identity = Array(0..<rank)
        var inputs = [try tensor(x, order: identity)]
        if node.inputs.count > 1, let scale = node.inputs[1] {
            inputs.append(try tensor(scale, order: Array(0..<axes)))
        } else {
            let shape = Shape(Array(graph[x].shape.dims.suffix(axes)))
            guard let count = shape.elementCount,
                let ones = Tensor([Float](repeating: 1, count: count), shape: shape)
            else { throw FormatError(.unsupported, "\(node.name): normalisation of axes of unknown extents") }
            inputs.append(initializer(ones, name: "\(node.name)_scale"))
        }
        if node.inputs.count > 2, let shift = node.inputs[2] {
            inputs.append(try tensor(shift, order: Array(0..<axes)))
        }
        try finish(
            node, "LayerNormalization", inputs, ["axis": .integer(rank - axes), "epsilon": .float(epsilon)],
            order: identity)
    }
}
