import OunceGraph

// Operators that move numbers.
extension ONNXExport {
    /// Whether every number of the node's output is one of an input's, on the same grid.
    func movesNumbers(_ node: Node) -> Bool {
        switch node.op {
        case .reshape, .transpose, .slice, .concat: break
        case .pad(_, _, let value): guard value == 0 else { return false }
        case .pool(let pool): guard pool.kind == .max, pool.activation == .none else { return false }
        default: return false
        }
        let encoding = graph[node.outputs[0]].encoding
        return node.inputs.allSatisfy { id in id.map { graph[$0].encoding == encoding } ?? true }
    }

    /// An input of an operator that may move numbers.
    mutating func input(_ id: ValueID, of node: Node, _ order: [Int]) throws(FormatError) -> String {
        movesNumbers(node) ? try movableTensor(id, order: order) : try tensor(id, order: order)
    }

    mutating func concat(_ node: Node, _ x: ValueID, axis: Int) throws(FormatError) {
        let parts = node.inputs.compactMap { $0 }
        let first = parts.first { graph[$0].constant == nil } ?? x
        let order = order(first)
        let place = try place(axis, of: first, node)
        var inputs: [String] = []
        for part in parts { inputs.append(try input(part, of: node, order)) }
        try finish(node, "Concat", inputs, ["axis": .integer(place)], order: order)
    }

    mutating func slice(_ node: Node, _ x: ValueID, _ ranges: [SliceRange]) throws(FormatError) {
        var ranges = ranges
        let order = order(x)
        let source: String
        if order.first == 0, let first = ranges.first, let part = recurrentSource(x, first) {
            (source, ranges[0]) = part
        } else {
            source = try input(x, of: node, order)
        }
        let cut = order.indices.filter { !ranges[order[$0]].isAll }
        guard !cut.isEmpty else { return try finish(node, "Identity", [source], order: order) }
        let taken = cut.map { ranges[order[$0]] }
        let inputs = [
            source, integers(taken.map(\.start), name: "\(node.name)_starts"),
            integers(taken.map { $0.end ?? Int(Int32.max) }, name: "\(node.name)_ends"),
            integers(cut, name: "\(node.name)_axes"), integers(taken.map(\.step), name: "\(node.name)_steps"),
        ]
        try finish(node, "Slice", inputs, order: order)
    }

    mutating func pad(
        _ node: Node, _ x: ValueID, _ before: [Int], _ after: [Int], _ value: Float
    ) throws(FormatError) {
        let order = order(x)
        var inputs = [
            try input(x, of: node, order),
            integers(order.map { before[$0] } + order.map { after[$0] }, name: "\(node.name)_pads"),
        ]
        if graph[x].dtype == .float32 || graph[x].encoding.affine != nil {
            inputs.append(scalar(value, name: "\(node.name)_value"))
        } else if value != 0 {
            inputs.append(try scalar(value, graph[x].dtype, name: "\(node.name)_value"))
        }
        try finish(node, "Pad", inputs, order: order)
    }

    mutating func reshape(_ node: Node, _ x: ValueID, _ dimensions: [ReshapeDimension]) throws(FormatError) {
        let shape = graph[x].shape
        let output = node.outputs[0]
        // Numbers in another order than the value's are as good where only axes of extent 1 are out of place, or where
        // the weights behind can follow.
        var order = order(x)
        if !order.movesOnlyUnits(of: shape) {
            if canFlatten(shape, order, to: output) {
                flattened[output] = (shape, order)
            } else {
                order = Array(order.indices)
            }
        }
        let source = try input(x, of: node, order)
        let extents = try extents(node, dimensions, of: shape, order, source)
        try finish(node, "Reshape", [source, extents], order: Array(0..<rank(output)))
    }

    /// Whether all but the first axis become one that only layers with constant weights read.
    private func canFlatten(_ shape: Shape, _ order: [Int], to output: ValueID) -> Bool {
        let target = graph[output].shape
        guard order.first == 0, target.rank == 2, target[0] == shape[0], !graph.outputs.contains(output),
            Shape(Array(shape.dims.dropFirst())).elementCount == target[1]
        else { return false }
        return (consumers[output] ?? []).allSatisfy { index in
            let node = graph.nodes[index]
            guard case .fullyConnected = node.op, node.inputs[0] == output, let weights = node.inputs[1] else {
                return false
            }
            return graph[weights].constant?.shape.rank == 2
        }
    }

    /// The name of a tensor with the extents that Reshape takes.
    private mutating func extents(
        _ node: Node, _ dimensions: [ReshapeDimension], of shape: Shape, _ order: [Int], _ source: String
    ) throws(FormatError) -> String {
        let place = order.inverted
        var canInfer = !dimensions.contains(.infer)
        var numbers: [Int?] = []
        for (axis, dimension) in dimensions.enumerated() {
            switch dimension {
            case .literal(0): throw FormatError(.unsupported, "\(node.name): a tensor without elements")
            case .literal(let extent): numbers.append(extent)
            case .infer: numbers.append(-1)
            case .copy(let from) where shape[from] > 0: numbers.append(shape[from])
            case .copy(let from) where place[from] == axis: numbers.append(0)
            case .copy:
                numbers.append(canInfer ? -1 : nil)
                canInfer = false
            }
        }
        let known = numbers.compactMap { $0 }
        if known.count == numbers.count { return integers(known, name: "\(node.name)_shape") }
        // Several unknown extents change places: the shape is computed.
        let all = emit("Shape", [source], name: "\(node.name)_Shape", output: "\(node.name)_extents")
        var parts: [String] = []
        for (dimension, number) in zip(dimensions, numbers) {
            if case .copy(let from) = dimension {
                let index = integers([place[from]], name: "\(node.name)_axis")
                parts.append(
                    emit("Gather", [all, index], name: "\(node.name)_Gather", output: "\(node.name)_extent"))
            } else {
                parts.append(integers([number ?? -1], name: "\(node.name)_extent"))
            }
        }
        return emit(
            "Concat", parts, name: "\(node.name)_Concat", output: "\(node.name)_shape", ["axis": .integer(0)])
    }
}
