import OunceGraph

extension ONNXTranslation {
    mutating func unary(_ op: UnaryOperator, _ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        .value(try emit(.unary(op), [try value(node, 0)], node))
    }

    mutating func binary(_ op: BinaryOperator, _ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        if let folded = try foldIntegers(op, node) { return folded }
        let x = try value(node, 0)
        var y = try value(node, 1)
        // Before opset 7 the second operand may lie along axes from `axis` on instead of the last ones.
        if opset < 7, node.int("broadcast", default: 0) != 0, let axis = node.attribute("axis").map({ Int($0.i) }) {
            let place = try axes([axis], rank: shape(x).rank)[0]
            let trailing = shape(x).rank - place - shape(y).rank
            guard trailing >= 0 else { throw .corrupt("\(shape(y)) does not fit \(shape(x)) from axis \(axis) on") }
            let copies = shape(y).dims.indices.map { ReshapeDimension.copy($0) }
            let ones = [ReshapeDimension](repeating: .literal(1), count: trailing)
            if trailing > 0 { y = try emit(.reshape(copies + ones), [y], node, part: "aligned") }
        }
        return .value(try emit(.binary(op, .none), [x, y], node))
    }

    /// Min, Max and Sum take any number of inputs.
    mutating func chain(_ op: BinaryOperator, _ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        guard node.proto.input.count > 1 else { return try binding(node, 0) }
        var result = try value(node, 0)
        let last = node.proto.input.count - 1
        for index in 1...last {
            let part = index == last ? nil : String(index)
            result = try emit(.binary(op, .none), [result, try value(node, index)], node, part: part)
        }
        return .value(result)
    }

    mutating func clip(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        guard opset >= 11 else {
            let (low, high) = (node.float("min", default: -.infinity), node.float("max", default: .infinity))
            return try clip(low, high, node)
        }
        var bounds: [Float] = [-.infinity, .infinity]
        for index in 1...2 where node.input(index) != nil {
            guard let tensor = try constant(node, index), tensor.dtype == .float32 else {
                return try clipByValues(node)
            }
            let bound = tensor.floats()
            guard bound.count == 1 else { throw .corrupt("a bound is no single number") }
            bounds[index - 1] = bound[0]
        }
        return try clip(bounds[0], bounds[1], node)
    }

    private mutating func clip(_ low: Float, _ high: Float, _ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        guard !low.isNaN, !high.isNaN else { throw .corrupt("a bound is no number") }
        return try unary(.clip(low, high), node)
    }

    private mutating func clipByValues(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var result = try value(node, 0)
        if let low = try optionalValue(node, 1) {
            result = try emit(
                .binary(.maximum, .none), [result, low], node, part: node.input(2) == nil ? nil : "low")
        }
        if let high = try optionalValue(node, 2) {
            result = try emit(.binary(.minimum, .none), [result, high], node)
        }
        return .value(result)
    }

    mutating func cast(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("saturate", "round_mode")
        let code = node.int("to", default: 0)
        // A label as text stays its number.
        if code == 8 { return try binding(node, 0) }
        guard let dtype = DType(onnx: code) else {
            throw .unsupported("element type \(code) of ONNX; cast to a float or integer type")
        }
        if case .extents(let extents) = try binding(node, 0), dtype.isInteger { return .extents(extents) }
        if let integers = try smallIntegers(node, 0), let shape = try constant(node, 0)?.shape {
            if let tensor = Tensor(integers: integers, as: dtype, shape: shape) { return .constant(tensor, .plain) }
        }
        let x = try value(node, 0)
        guard type(x).dtype != dtype else { return .value(x) }
        return .value(try emit(.cast(dtype), [x], node))
    }

    mutating func dropout(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("ratio", "seed")
        if opset < 7 { try node.require("is_test", 1) }
        if node.input(2) != nil {
            let training = try constantOrNeeded(node, 2)?.doubles()
            let ratio = try constantOrNeeded(node, 1)?.doubles()
            guard training == [0] || (training == [1] && ratio == [0]) else {
                throw .unsupported("it is in training mode; export the model for inference")
            }
        }
        if wants(node, output: 1) {
            let x = try value(node, 0)
            let mask = try make(.expand(try known(x)), try scalar(1, .bool))
            bind(node, output: 1, .value(mask))
        }
        return try binding(node, 0)
    }

    mutating func batchNormalization(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("momentum")
        let isTraining = node.int("training_mode", default: 0) != 0
        if opset < 9 { try node.require("spatial", 1, default: 1) }
        if opset < 7 { try node.require("is_test", 1) }
        let epsilon = node.float("epsilon", default: 1e-5)
        guard epsilon.isFinite, epsilon >= 0 else { throw .corrupt("epsilon is \(epsilon)") }
        var inputs: [ValueID?] = []
        let x = try value(node, 0)
        var areConstants = type(x).dtype == .float32
        for index in 0..<5 {
            inputs.append(try value(node, index))
            if index > 0, try constant(node, index)?.dtype != .float32 { areConstants = false }
        }
        guard areConstants, !isTraining else {
            return try batchNormalizationByParts(&node, epsilon: epsilon, isTraining: isTraining)
        }
        return .value(try emit(.batchNormalization(axis: 1, epsilon: epsilon), inputs, node))
    }
}

extension Tensor {
    /// Integers converted to `dtype`; nil where that is a type other than int64, int32, float32 or bool, or they do not fit.
    init?(integers: [Int], as dtype: DType, shape: Shape) {
        switch dtype {
        case .int64: self.init(integers.map { Int64($0) }, shape: shape)
        case .int32:
            guard integers.allSatisfy({ Int32(exactly: $0) != nil }) else { return nil }
            self.init(integers.map { Int32(truncatingIfNeeded: $0) }, shape: shape)
        case .float32: self.init(integers.map { Float($0) }, shape: shape)
        default: return nil
        }
    }
}
