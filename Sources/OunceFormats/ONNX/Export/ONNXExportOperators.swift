import OunceGraph

extension ONNXExport {
    mutating func translate(_ node: Node) throws(FormatError) {
        guard let output = node.outputs.first, let x = node.inputs.first ?? nil else {
            throw FormatError(.invalidArgument, "\(node.name) has no input or no output")
        }
        let identity = Array(0..<rank(x))
        switch node.op {
        case .conv(let conv): try convolution(node, x, conv)
        case .fullyConnected(let activation): try fullyConnected(node, x, activation)
        case .matMul:
            let y = try second(node)
            let inputs = [try tensor(x, order: identity), try tensor(y, order: Array(0..<rank(y)))]
            try finish(node, "MatMul", inputs, order: Array(0..<rank(output)))
        case .pool(let pool): try pooling(node, x, pool)
        case .reduce(let reduction, let axes, let keepDims): try reduce(node, x, reduction, axes, keepDims)
        case .binary(let op, let activation): try binary(node, x, op, activation)
        case .unary(let op): try unary(node, x, op)
        case .softmax(let axis):
            let place = try self.place(axis, of: x, node)
            try inOrderOfInput(node, x, "Softmax", ["axis": .integer(place)])
        case .layerNormalization(let axes, let epsilon): try layerNormalization(node, x, axes: axes, epsilon)
        case .batchNormalization(let axis, let epsilon): try batchNormalization(node, x, axis: axis, epsilon)
        case .reshape(let dimensions): try reshape(node, x, dimensions)
        case .transpose(let permutation):
            if graph[x].encoding == graph[output].encoding, unquantized.contains(x) == unquantized.contains(output) {
                alias(output, of: x, permutation)
            } else {
                let source = try input(x, of: node, identity)
                try finish(
                    node, "Transpose", [source], ["perm": .integers(permutation)], order: Array(0..<rank(output)))
            }
        case .concat(let axis): try concat(node, x, axis: axis)
        case .slice(let ranges): try slice(node, x, ranges)
        case .pad(let before, let after, let value): try pad(node, x, before, after, value)
        case .quantize, .quantizeAs: try requantize(node, x)
        case .dequantize:
            guard graph[x].encoding.affine != nil else {
                throw FormatError(.unsupported, "\(node.name): its input has no scale")
            }
            alias(output, of: x, identity, form: .real)
        case .cast(let dtype):
            let source = try tensor(x, .stored, order: order(x))
            let cast = emit(
                "Cast", [source], name: node.name, output: graph[output].name,
                ["to": .integer(Int(dtype.onnxCode))])
            try define(output, as: cast, order: order(x))
        case .compare(let comparison): try compare(node, x, comparison)
        case .select: try select(node, x)
        case .expand(let extents): try expand(node, x, extents)
        case .reverse(let axes): try reverse(node, x, axes)
        case .reverseSequence(let batchAxis, let timeAxis):
            try reverseSequence(node, x, batchAxis: batchAxis, timeAxis: timeAxis)
        case .gather(let gathering): try gather(node, x, gathering)
        case .scatter(let scattering): try scatter(node, x, scattering)
        case .argReduce(let reduction): try argReduce(node, x, reduction)
        case .topK(let top): try topK(node, x, top)
        case .cumulativeSum(let axis, let exclusive, let reverse):
            let place = integer(try place(axis, of: x, node), name: "\(node.name)_axis")
            try finish(
                node, "CumSum", [try tensor(x, order: order(x)), place],
                ["exclusive": .integer(exclusive ? 1 : 0), "reverse": .integer(reverse ? 1 : 0)], order: order(x))
        case .poolIndices(let pool, let columnMajor): try poolIndices(node, x, pool, columnMajor: columnMajor)
        case .resample(let axis): try resample(node, x, axis)
        case .recurrent(let layer): try recurrent(node, x, layer)
        case .sampleAt(let sampling): try sampleAt(node, x, sampling)
        case .roiAlign(let align): try roiAlign(node, x, align)
        case .determinant:
            try finish(node, "Det", [try tensor(x, order: identity)], order: Array(0..<rank(output)))
        case .nonMaxSuppression(let suppression): try nonMaxSuppression(node, x, suppression)
        case .nonZero: try nonZero(node, x)
        case .distinct(let distinct): try self.distinct(node, x, distinct)
        case .cut(let axis): try cut(node, x, axis: axis)
        case .roundToDynamicGrid(let grid): try roundToDynamicGrid(node, x, grid)
        case .treeEnsemble, .integerLSTM:
            throw FormatError(
                .unsupported, "\(node.name): \(node.op.name) cannot be written as ONNX; export the model without it")
        }
    }

    // MARK: What operators share

    func second(_ node: Node) throws(FormatError) -> ValueID {
        guard node.inputs.count > 1, let id = node.inputs[1] else {
            throw FormatError(.invalidArgument, "\(node.name) has no second input")
        }
        return id
    }

    /// The permutation to channels-first.
    static func channelsFirst(_ rank: Int) -> [Int] {
        rank < 3 ? Array(0..<rank) : [0, rank - 1] + Array(1..<rank - 1)
    }

    /// Where an axis of `id` lies in the ONNX tensor.
    func place(_ axis: Int, of id: ValueID, _ node: Node) throws(FormatError) -> Int {
        guard let normal = graph[id].shape.normalized(axis: axis), let place = order(id).firstIndex(of: normal) else {
            throw FormatError(.invalidArgument, "\(node.name): axis \(axis) of \(graph[id].shape)")
        }
        return place
    }

    /// Emits the operator and its activation and defines the node's output.
    mutating func finish(
        _ node: Node, _ type: String, _ inputs: [String], _ attributes: [String: ONNXAttribute] = [:],
        activation: Activation = .none, order: [Int]
    ) throws(FormatError) {
        let output = node.outputs[0]
        let name = graph[output].name
        guard activation != .none else {
            let made = emit(type, inputs, name: node.name, output: name, attributes)
            return try define(output, as: made, isExact: movesNumbers(node), order: order)
        }
        let linear = emit(type, inputs, name: node.name, output: "\(name)_linear", attributes)
        let clipped = try clip(
            linear, activation.bounds, numberType(output), name: "\(node.name)_activation", output: name)
        try define(output, as: clipped, order: order)
    }

    /// An operator of one input that works in any order of axes.
    mutating func inOrderOfInput(
        _ node: Node, _ x: ValueID, _ type: String, _ attributes: [String: ONNXAttribute] = [:]
    ) throws(FormatError) {
        try finish(node, type, [try tensor(x, order: order(x))], attributes, order: order(x))
    }

    /// A quantise node; in the order that a spatial operator behind it wants.
    private mutating func requantize(_ node: Node, _ x: ValueID) throws(FormatError) {
        let output = node.outputs[0]
        guard grid(output) != nil else { return alias(output, of: x, Array(0..<rank(x)), form: .real) }
        let isSpatial = (consumers[output] ?? []).contains { index in
            switch graph.nodes[index].op {
            case .conv, .pool: graph.nodes[index].inputs[0] == output
            default: false
            }
        }
        let order = isSpatial ? Self.channelsFirst(rank(x)) : order(x)
        try define(output, as: try tensor(x, order: order), order: order)
    }
}
