import OunceGraph

// Operators whose number of results depends on the data: the graph has room for as many as there can be, ONNX as many as
// there are.
extension ONNXExport {
    private func natural(_ id: ValueID) -> [Int] { Array(0..<rank(id)) }

    /// Says that the ONNX tensor of `id` has, along one axis, only what counts; `source` tells such extents apart.
    private mutating func define(
        _ id: ValueID, as name: String, shortenedAlong axis: Int, by source: ValueID
    ) throws(FormatError) {
        shortened[id] = RunTimeExtent(axis: axis, count: source)
        try define(id, as: name, isExact: true, order: natural(id))
    }

    /// What the output inherits of the shortened inputs.
    mutating func noteExtent(_ node: Node) {
        let extents = node.inputs.map { id in id.flatMap { shortened[$0] } }
        guard extents.contains(where: { $0 != nil }), let output = node.outputs.first else { return }
        // Where slices are mixed, as in sums that count them, the result has one extent.
        let extent = try? graph.runTimeExtent(
            of: node.op, node.inputs, extents, output: graph[output].shape, node: node.name)
        if let extent { shortened[output] = extent }
    }

    mutating func nonMaxSuppression(
        _ node: Node, _ boxes: ValueID, _ suppression: NonMaxSuppression
    ) throws(FormatError) {
        let scores = try second(node)
        guard numberType(boxes) == .float32, numberType(scores) == .float32 else {
            throw FormatError(.unsupported, "\(node.name): ONNX selects among boxes of float32 only")
        }
        var inputs = [
            try tensor(boxes, order: natural(boxes)), try tensor(scores, order: natural(scores)),
            integers([suppression.limit], name: "\(node.name)_limit"),
            initializer(Tensor([suppression.overlap]), name: "\(node.name)_overlap"),
        ]
        if suppression.leastScore > -.infinity {
            inputs.append(initializer(Tensor([suppression.leastScore]), name: "\(node.name)_least_score"))
        }
        let output = node.outputs[0]
        let rows = emit(
            "NonMaxSuppression", inputs, name: node.name, output: graph[output].name,
            ["center_point_box": .integer(suppression.isCentred ? 1 : 0)])
        try define(output, as: rows, shortenedAlong: 0, by: output)
    }

    mutating func nonZero(_ node: Node, _ x: ValueID) throws(FormatError) {
        let output = node.outputs[0]
        let places = emit(
            "NonZero", [try tensor(x, order: natural(x))], name: node.name, output: graph[output].name)
        try define(output, as: places, shortenedAlong: 1, by: x)
    }

    /// The parts of one Unique are several nodes of the graph.
    mutating func distinct(_ node: Node, _ x: ValueID, _ distinct: Distinct) throws(FormatError) {
        let source = try tensor(x, order: natural(x))
        let key = "Unique \(source) \(distinct.axis ?? -1) \(distinct.isSorted)"
        let name = node.name
        let names: [String]
        if let known = severalOutputs[key] {
            names = known
        } else {
            var attributes: [String: ONNXAttribute] = ["sorted": .integer(distinct.isSorted ? 1 : 0)]
            if let axis = distinct.axis { attributes["axis"] = .integer(axis) }
            names = emit(
                "Unique", [source], name: name,
                outputs: ["\(name)_slices", "\(name)_first", "\(name)_inverse", "\(name)_counts"], attributes)
            severalOutputs[key] = names
        }
        let output = node.outputs[0]
        switch distinct.part {
        case .first: try define(output, as: names[1], shortenedAlong: 0, by: x)
        case .inverse: try define(output, as: names[2], isExact: true, order: natural(output))
        case .counts: try define(output, as: names[3], shortenedAlong: 0, by: x)
        }
    }

    mutating func cut(_ node: Node, _ x: ValueID, axis: Int) throws(FormatError) {
        guard let axis = graph[x].shape.normalized(axis: axis) else {
            throw FormatError(.invalidArgument, "\(node.name): axis \(axis) of \(graph[x].shape)")
        }
        let output = node.outputs[0]
        if let extent = shortened[x], extent.axis == axis {
            shortened[output] = extent
            return alias(output, of: x, natural(x))
        }
        let count = try second(node)
        let end = emit(
            "Reshape", [try tensor(count, order: natural(count)), integers([1], name: "\(node.name)_one")],
            name: "\(node.name)_Reshape", output: "\(node.name)_end")
        let inputs = [
            try tensor(x, order: natural(x)), integers([0], name: "\(node.name)_start"), end,
            integers([axis], name: "\(node.name)_axis"),
        ]
        shortened[output] = RunTimeExtent(axis: axis, count: count)
        try finish(node, "Slice", inputs, order: natural(output))
    }

    mutating func expand(_ node: Node, _ x: ValueID, _ extents: [Int]) throws(FormatError) {
        var extents = extents
        let output = node.outputs[0]
        if let axis = shortened[output]?.axis {
            // 1 leaves the extent as it is.
            let place = axis - (rank(output) - extents.count)
            if extents.indices.contains(place) { extents[place] = 1 }
        }
        let inputs = [try tensor(x, order: natural(x)), integers(extents, name: "\(node.name)_shape")]
        try finish(node, "Expand", inputs, order: natural(output))
    }
}
