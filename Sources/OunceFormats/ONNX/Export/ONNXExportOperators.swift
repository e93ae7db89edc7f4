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
        case .quantize: try requantize(node, x)
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
        default: throw FormatError(.unsupported, "\(node.name): \(node.op.name) cannot be written as ONNX yet")
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
        let (low, high) = activation.bounds
        try define(output, as: clip(linear, low, high, name: "\(node.name)_activation", output: name), order: order)
    }

    /// A clamp of float32 numbers; an infinite bound is none.
    mutating func clip(_ x: String, _ low: Float, _ high: Float, name: String, output: String) -> String {
        if low == 0, high == .infinity { return emit("Relu", [x], name: name, output: output) }
        var inputs = [x]
        if low > -.infinity { inputs.append(scalar(low, name: "\(name)_min")) }
        if high < .infinity {
            if inputs.count == 1 { inputs.append("") }
            inputs.append(scalar(high, name: "\(name)_max"))
        }
        return emit("Clip", inputs, name: name, output: output)
    }

    /// An operator of one input that works in any order of axes.
    mutating func inOrderOfInput(
        _ node: Node, _ x: ValueID, _ type: String, _ attributes: [String: ONNXAttribute] = [:]
    ) throws(FormatError) {
        try finish(node, type, [try tensor(x, order: order(x))], attributes, order: order(x))
    }

    // MARK: Elementwise operators

    private mutating func unary(_ node: Node, _ x: ValueID, _ op: UnaryOperator) throws(FormatError) {
        switch op {
        case .clip(let low, let high):
            let output = node.outputs[0]
            let source = try tensor(x, order: order(x))
            let made = clip(source, low, high, name: node.name, output: graph[output].name)
            try define(output, as: made, order: order(x))
        case .leakyRelu(let slope): try inOrderOfInput(node, x, "LeakyRelu", ["alpha": .float(slope)])
        case .sigmoid: try inOrderOfInput(node, x, "Sigmoid")
        case .tanh: try inOrderOfInput(node, x, "Tanh")
        case .exp: try inOrderOfInput(node, x, "Exp")
        case .log: try inOrderOfInput(node, x, "Log")
        case .sqrt: try inOrderOfInput(node, x, "Sqrt")
        case .negate: try inOrderOfInput(node, x, "Neg")
        case .abs: try inOrderOfInput(node, x, "Abs")
        case .hardSwish: try inOrderOfInput(node, x, "HardSwish")
        case .hardSigmoid(let alpha, let beta):
            try inOrderOfInput(node, x, "HardSigmoid", ["alpha": .float(alpha), "beta": .float(beta)])
        case .function(.expMinusOne):
            throw FormatError(.unsupported, "\(node.name): \(op.name) cannot be written as ONNX yet")
        // ONNX has the others under the same names.
        case .function(let function):
            try inOrderOfInput(node, x, function.name.prefix(1).uppercased() + function.name.dropFirst())
        }
    }

    private mutating func binary(
        _ node: Node, _ x: ValueID, _ op: BinaryOperator, _ activation: Activation
    ) throws(FormatError) {
        let operands = [x, try second(node)]
        let rank = rank(node.outputs[0])
        let identity = Array(0..<rank)
        // The order of the first operand that has one of its own, unless another would have to gain axes for it.
        var order = operands.map { self.order($0) }.first { $0.count == rank && $0 != identity } ?? identity
        if operands.contains(where: { graph[$0].constant == nil && (1..<rank).contains(self.rank($0)) }) {
            order = identity
        }
        var inputs: [String] = []
        for id in operands { inputs.append(try operand(id, order)) }
        let type: String
        switch op {
        case .add: type = "Add"
        case .subtract: type = "Sub"
        case .multiply: type = "Mul"
        case .divide: type = "Div"
        case .minimum: type = "Min"
        case .maximum: type = "Max"
        case .power: type = "Pow"
        default: throw FormatError(.unsupported, "\(node.name): \(op) cannot be written as ONNX yet")
        }
        try finish(node, type, inputs, activation: activation, order: order)
    }

    /// An operand of an elementwise operator; a constant gains leading axes so that it can be permuted.
    private mutating func operand(_ id: ValueID, _ order: [Int]) throws(FormatError) -> String {
        let rank = rank(id)
        if rank == order.count { return try tensor(id, order: order) }
        if rank == 0 || order == Array(order.indices) { return try tensor(id, order: Array(0..<rank)) }
        guard let constant = graph[id].constant, grid(id) == nil,
            let wide = constant.reshaped(Shape([Int](repeating: 1, count: order.count - rank) + constant.shape.dims)),
            let moved = wide.transposed(order)
        else { throw FormatError(.unsupported, "\(graph[id].name) cannot be broadcast in another order of axes") }
        return initializer(moved, name: graph[id].name)
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
