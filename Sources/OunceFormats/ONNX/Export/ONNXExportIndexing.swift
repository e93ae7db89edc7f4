import OunceGraph

// Operators that choose and order numbers by index.
extension ONNXExport {
    private func natural(_ id: ValueID) -> [Int] { Array(0..<rank(id)) }

    /// Indices as ONNX's operators take them; `onlyWide` where they take int64 only.
    private mutating func indices(_ node: Node, onlyWide: Bool) throws(FormatError) -> String {
        let id = try second(node)
        let name = try tensor(id, .stored, order: natural(id))
        if graph[id].dtype == .int64 || (graph[id].dtype == .int32 && !onlyWide) { return name }
        return emit(
            "Cast", [name], name: "\(graph[id].name)_Cast", output: "\(graph[id].name)_int64",
            ["to": .integer(Int(DType.int64.onnxCode))])
    }

    mutating func gather(_ node: Node, _ x: ValueID, _ gathering: Gathering) throws(FormatError) {
        let type: String
        let attributes: [String: ONNXAttribute]
        switch gathering {
        case .slices(let axis): (type, attributes) = ("Gather", ["axis": .integer(axis)])
        case .elements(let axis): (type, attributes) = ("GatherElements", ["axis": .integer(axis)])
        case .tuples(let batchAxes): (type, attributes) = ("GatherND", ["batch_dims": .integer(batchAxes)])
        }
        let isTuples = if case .tuples = gathering { true } else { false }
        let inputs = [try tensor(x, order: natural(x)), try indices(node, onlyWide: isTuples)]
        try finish(node, type, inputs, attributes, order: natural(node.outputs[0]))
    }

    mutating func scatter(_ node: Node, _ x: ValueID, _ scattering: Scattering) throws(FormatError) {
        guard node.inputs.count > 2, let updates = node.inputs[2] else {
            throw FormatError(.invalidArgument, "\(node.name) has no updates")
        }
        var attributes: [String: ONNXAttribute] = [:]
        switch scattering.reduction {
        case .none: break
        case .add: attributes["reduction"] = .string("add")
        case .multiply: attributes["reduction"] = .string("mul")
        case .maximum: attributes["reduction"] = .string("max")
        case .minimum: attributes["reduction"] = .string("min")
        }
        if let axis = scattering.axis { attributes["axis"] = .integer(axis) }
        let inputs = [
            try tensor(x, order: natural(x)), try indices(node, onlyWide: scattering.axis == nil),
            try tensor(updates, order: natural(updates)),
        ]
        let type = scattering.axis == nil ? "ScatterND" : "ScatterElements"
        try finish(node, type, inputs, attributes, order: natural(node.outputs[0]))
    }

    mutating func argReduce(_ node: Node, _ x: ValueID, _ reduction: ArgReduction) throws(FormatError) {
        try finish(
            node, reduction.isMaximum ? "ArgMax" : "ArgMin", [try tensor(x, order: natural(x))],
            [
                "axis": .integer(reduction.axis), "keepdims": .integer(reduction.keepDims ? 1 : 0),
                "select_last_index": .integer(reduction.selectsLast ? 1 : 0),
            ], order: natural(node.outputs[0]))
    }

    /// Numbers and places of one TopK are two nodes of the graph and one of ONNX.
    mutating func topK(_ node: Node, _ x: ValueID, _ top: TopK) throws(FormatError) {
        let source = try tensor(x, order: natural(x))
        let key = "\(source) \(top.axis) \(top.k) \(top.isLargest)"
        let output = node.outputs[0]
        let names: [String]
        if let known = sorted[key] {
            names = known
        } else {
            let pair = consumers[x, default: []].map { graph.nodes[$0] }
            func name(_ indices: Bool) -> String {
                let twin = pair.first { other in
                    if case .topK(var wanted) = other.op, wanted.givesIndices == indices {
                        wanted.givesIndices = top.givesIndices
                        return wanted == top
                    }
                    return false
                }
                return twin.map { graph[$0.outputs[0]].name } ?? "\(node.name)_\(indices ? "indices" : "values")"
            }
            names = emit(
                "TopK", [source, integers([top.k], name: "\(node.name)_k")], name: node.name,
                outputs: [name(false), name(true)],
                ["axis": .integer(top.axis), "largest": .integer(top.isLargest ? 1 : 0)])
            sorted[key] = names
        }
        try define(output, as: names[top.givesIndices ? 1 : 0], isExact: true, order: natural(output))
    }

    mutating func reverse(_ node: Node, _ x: ValueID, _ axes: [Int]) throws(FormatError) {
        var places: [Int] = []
        for axis in axes { places.append(try place(axis, of: x, node)) }
        let source = try tensor(x, order: order(x))
        guard !places.isEmpty else { return try finish(node, "Identity", [source], order: order(x)) }
        let inputs = [
            source, integers(places.map { _ in -1 }, name: "\(node.name)_starts"),
            integers(places.map { _ in Int(Int32.min) }, name: "\(node.name)_ends"),
            integers(places, name: "\(node.name)_axes"), integers(places.map { _ in -1 }, name: "\(node.name)_steps"),
        ]
        try finish(node, "Slice", inputs, order: order(x))
    }

    /// ONNX takes batch and time as the first two axes.
    mutating func reverseSequence(
        _ node: Node, _ x: ValueID, batchAxis: Int, timeAxis: Int
    ) throws(FormatError) {
        guard let batch = graph[x].shape.normalized(axis: batchAxis),
            let time = graph[x].shape.normalized(axis: timeAxis)
        else { throw FormatError(.invalidArgument, "\(node.name): axes \(batchAxis) and \(timeAxis)") }
        let first = [min(batch, time), max(batch, time)]
        let order = first + (0..<rank(x)).filter { !first.contains($0) }
        let inputs = [try tensor(x, order: order), try indices(node, onlyWide: true)]
        try finish(
            node, "ReverseSequence", inputs,
            ["batch_axis": .integer(batch < time ? 0 : 1), "time_axis": .integer(batch < time ? 1 : 0)], order: order)
    }
}
