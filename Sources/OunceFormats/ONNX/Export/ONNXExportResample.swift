import OunceGraph

extension ONNXExport {
    /// A sum over taps of gathered slices, each times its weights.
    mutating func resample(_ node: Node, _ x: ValueID, _ axis: Int) throws(FormatError) {
        guard let placeTensor = node.inputs.count > 2 ? node.inputs[1].flatMap({ graph[$0].constant }) : nil,
            let weightTensor = node.inputs[2].flatMap({ graph[$0].constant }), placeTensor.shape.rank == 2,
            placeTensor.shape == weightTensor.shape, let places = placeTensor.elements(Int64.self),
            let weights = weightTensor.elements(Float.self)
        else { throw FormatError(.unsupported, "\(node.name): resizing to an extent that the model computes") }
        let (outputs, taps) = (placeTensor.shape[0], placeTensor.shape[1])
        let order = order(x)
        let place = try place(axis, of: x, node)
        let source = try tensor(x, order: order)
        let name = node.name
        var terms: [String] = []
        for tap in 0..<taps {
            func column<T>(_ all: [T]) -> [T] { (0..<outputs).map { all[$0 * taps + tap] } }
            let factors = column(weights)
            if taps > 1, factors.allSatisfy({ $0 == 0 }) { continue }
            let indices = initializer(Tensor(column(places)), name: "\(name)_places")
            let isPlain = factors.allSatisfy { $0 == 1 }
            if isPlain, taps == 1 {
                return try finish(node, "Gather", [source, indices], ["axis": .integer(place)], order: order)
            }
            guard numberType(x) == .float32 else {
                throw FormatError(.unsupported, "\(name): interpolation of \(graph[x].dtype) numbers")
            }
            let gathered = emit(
                "Gather", [source, indices], name: "\(name)_Gather", output: "\(name)_gathered",
                ["axis": .integer(place)])
            let shape = Shape([outputs] + [Int](repeating: 1, count: rank(x) - 1 - place))
            let list = Tensor(factors)
            let scale = initializer(list.reshaped(shape) ?? list, name: "\(name)_weights")
            terms.append(emit("Mul", [gathered, scale], name: "\(name)_Mul", output: "\(name)_term"))
        }
        guard !terms.isEmpty else { throw FormatError(.unsupported, "\(name): a resize without taps") }
        try finish(node, terms.count == 1 ? "Identity" : "Sum", terms, order: order)
    }

    mutating func poolIndices(
        _ node: Node, _ x: ValueID, _ pool: Pooling, columnMajor: Bool
    ) throws(FormatError) {
        let order = Self.channelsFirst(rank(x))
        let output = node.outputs[0]
        let names = emit(
            "MaxPool", [try tensor(x, order: order)], name: node.name,
            outputs: ["\(graph[output].name)_values", graph[output].name],
            [
                "kernel_shape": .integers(pool.kernel), "strides": .integers(pool.strides),
                "pads": .integers(pool.padBefore + pool.padAfter), "dilations": .integers(pool.dilations),
                "storage_order": .integer(columnMajor ? 1 : 0),
            ])
        try define(output, as: names[1], order: order)
    }
}
