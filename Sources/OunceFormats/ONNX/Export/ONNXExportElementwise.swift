import OunceGraph

// Operators that work element by element.
extension ONNXExport {
    /// The type of the numbers that operators compute with: float32 where the value is quantised.
    func numberType(_ id: ValueID) -> DType { graph[id].encoding.affine == nil ? graph[id].dtype : .float32 }

    /// A clamp; an infinite bound is none.
    mutating func clip(
        _ x: String, _ bounds: (low: Float, high: Float), _ dtype: DType, name: String, output: String
    ) throws(FormatError) -> String {
        if bounds.low == 0, bounds.high == .infinity { return emit("Relu", [x], name: name, output: output) }
        var inputs = [x]
        if bounds.low > -.infinity { inputs.append(try scalar(bounds.low, dtype, name: "\(name)_min")) }
        if bounds.high < .infinity {
            if inputs.count == 1 { inputs.append("") }
            inputs.append(try scalar(bounds.high, dtype, name: "\(name)_max"))
        }
        return emit("Clip", inputs, name: name, output: output)
    }

    mutating func scalar(_ number: Float, name: String) -> String {
        let list = Tensor([number])
        return initializer(list.reshaped([]) ?? list, name: name)
    }

    /// A scalar of another type than float32; integers saturate.
    mutating func scalar(_ number: Float, _ dtype: DType, name: String) throws(FormatError) -> String {
        func whole<T: FixedWidthInteger & TensorElement>(_: T.Type) -> Tensor {
            let nearest = Double(number).rounded(.toNearestOrEven)
            return Tensor([T(exactly: nearest) ?? (nearest < 0 ? T.min : nearest > 0 ? T.max : 0)])
        }
        let list: Tensor
        switch dtype {
        case .float32: list = Tensor([number])
        case .float64: list = Tensor([Double(number)])
        case .int8: list = whole(Int8.self)
        case .uint8: list = whole(UInt8.self)
        case .int16: list = whole(Int16.self)
        case .uint16: list = whole(UInt16.self)
        case .int32: list = whole(Int32.self)
        case .uint32: list = whole(UInt32.self)
        case .int64: list = whole(Int64.self)
        case .uint64: list = whole(UInt64.self)
        case .bool: list = Tensor([number != 0])
        case .float16:
            return emit(
                "Cast", [scalar(number, name: "\(name)_float32")], name: "\(name)_Cast", output: name,
                ["to": .integer(Int(dtype.onnxCode))])
        }
        return initializer(list.reshaped([]) ?? list, name: name)
    }

    /// An int64 scalar.
    mutating func integer(_ number: Int, name: String) -> String {
        let list = Tensor([Int64(number)])
        return initializer(list.reshaped([]) ?? list, name: name)
    }

    mutating func unary(_ node: Node, _ x: ValueID, _ op: UnaryOperator) throws(FormatError) {
        switch op {
        case .clip(let low, let high):
            let output = node.outputs[0]
            let source = try tensor(x, order: order(x))
            let made = try clip(source, (low, high), numberType(output), name: node.name, output: graph[output].name)
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
            let power = emit(
                "Exp", [try tensor(x, order: order(x))], name: "\(node.name)_Exp", output: "\(node.name)_power")
            let one = try scalar(1, numberType(x), name: "\(node.name)_one")
            try finish(node, "Sub", [power, one], order: order(x))
        case .function(.gelu): try gelu(node, x, isTanh: false)
        case .function(.geluTanh): try gelu(node, x, isTanh: true)
        case .function(.not) where graph[x].dtype != .bool: try inOrderOfInput(node, x, "BitwiseNot")
        // ONNX has the others under the same names.
        case .function(let function):
            try inOrderOfInput(node, x, function.name.prefix(1).uppercased() + function.name.dropFirst())
        }
    }

    /// By its parts, which every opset has.
    private mutating func gelu(_ node: Node, _ x: ValueID, isTanh: Bool) throws(FormatError) {
        let (name, source, dtype) = (node.name, try tensor(x, order: order(x)), numberType(x))
        var parts = 0
        func part(_ type: String, _ inputs: [String], _ export: inout ONNXExport) -> String {
            parts += 1
            return export.emit(type, inputs, name: "\(name)_\(type)_\(parts)", output: "\(name)_part_\(parts)")
        }
        var argument = source
        if isTanh {
            let square = part("Mul", [source, source], &self)
            let third = try scalar(0.044715, dtype, name: "\(name)_third")
            let cubic = part("Mul", [part("Mul", [square, source], &self), third], &self)
            argument = part("Add", [source, cubic], &self)
        }
        let factor: Float = isTanh ? 0.797_884_561 : 0.707_106_781
        argument = part("Mul", [argument, try scalar(factor, dtype, name: "\(name)_factor")], &self)
        let bell = part(isTanh ? "Tanh" : "Erf", [argument], &self)
        let weight = part("Add", [bell, try scalar(1, dtype, name: "\(name)_one")], &self)
        let half = part("Mul", [source, try scalar(0.5, dtype, name: "\(name)_half")], &self)
        try finish(node, "Mul", [half, weight], order: order(x))
    }

    mutating func binary(
        _ node: Node, _ x: ValueID, _ op: BinaryOperator, _ activation: Activation
    ) throws(FormatError) {
        let (inputs, order) = try operands(node)
        let type: String
        var attributes: [String: ONNXAttribute] = [:]
        let dtype = numberType(x)
        switch op {
        case .add: type = "Add"
        case .subtract: type = "Sub"
        case .multiply: type = "Mul"
        case .divide: type = "Div"
        case .minimum: type = "Min"
        case .maximum: type = "Max"
        case .power: type = "Pow"
        case .modulo where dtype.isFloat: return try floatModulo(node, inputs, order)
        case .modulo: type = "Mod"
        case .remainder: (type, attributes) = ("Mod", ["fmod": .integer(1)])
        case .and: type = dtype == .bool ? "And" : "BitwiseAnd"
        case .or: type = dtype == .bool ? "Or" : "BitwiseOr"
        case .xor: type = dtype == .bool ? "Xor" : "BitwiseXor"
        case .shiftLeft, .shiftRight:
            guard [.uint8, .uint16, .uint32, .uint64].contains(dtype) else {
                throw FormatError(.unsupported, "\(node.name): ONNX shifts unsigned integers only, this is \(dtype)")
            }
            (type, attributes) = ("BitShift", ["direction": .string(op == .shiftLeft ? "LEFT" : "RIGHT")])
        }
        try finish(node, type, inputs, attributes, activation: activation, order: order)
    }

    /// `a - floor(a / b) * b`: ONNX's Mod of floats has the sign of the dividend only.
    private mutating func floatModulo(_ node: Node, _ inputs: [String], _ order: [Int]) throws(FormatError) {
        let name = node.name
        let ratio = emit("Div", inputs, name: "\(name)_Div", output: "\(name)_ratio")
        let whole = emit("Floor", [ratio], name: "\(name)_Floor", output: "\(name)_whole")
        let product = emit("Mul", [whole, inputs[1]], name: "\(name)_Mul", output: "\(name)_multiple")
        try finish(node, "Sub", [inputs[0], product], order: order)
    }

    mutating func compare(_ node: Node, _ x: ValueID, _ comparison: Comparison) throws(FormatError) {
        let (inputs, order) = try operands(node)
        let type =
            switch comparison {
            case .equal: "Equal"
            case .less: "Less"
            case .lessOrEqual: "LessOrEqual"
            case .greater: "Greater"
            case .greaterOrEqual: "GreaterOrEqual"
            }
        try finish(node, type, inputs, order: order)
    }

    mutating func select(_ node: Node, _ x: ValueID) throws(FormatError) {
        let (inputs, order) = try operands(node)
        try finish(node, "Where", inputs, order: order)
    }

    /// The operands of a broadcasting operator and the order of axes in which they are.
    private mutating func operands(_ node: Node) throws(FormatError) -> (names: [String], order: [Int]) {
        let operands = node.inputs.compactMap { $0 }
        guard operands.count >= 2 else { throw FormatError(.invalidArgument, "\(node.name) has no second input") }
        let rank = rank(node.outputs[0])
        let identity = Array(0..<rank)
        // The order of the first operand that has one of its own, unless another would have to gain axes for it.
        var order = operands.map { self.order($0) }.first { $0.count == rank && $0 != identity } ?? identity
        if operands.contains(where: { graph[$0].constant == nil && self.rank($0) > 0 && self.rank($0) < rank }) {
            order = identity
        }
        var names: [String] = []
        for id in operands { names.append(try operand(id, order)) }
        return (names, order)
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
}
