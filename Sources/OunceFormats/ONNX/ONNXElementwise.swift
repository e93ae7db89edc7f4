import OunceGraph

extension ONNXTranslation {
    mutating func unary(_ op: UnaryOperator, _ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        guard type(x).dtype.isFloat else { throw .unsupported("its input is \(type(x).dtype); floats are wanted") }
        return .value(try emit(.unary(op), [x], node))
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
            guard let bound = try constant(node, index)?.floats() else { return try clipByValues(node) }
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
            guard let training = try constant(node, 2)?.doubles(), training == [0] else {
                throw .unsupported("it is in training mode; export the model for inference")
            }
        }
        return try binding(node, 0)
    }

    mutating func batchNormalization(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("momentum")
        try node.require("training_mode", 0)
        if opset < 9 { try node.require("spatial", 1, default: 1) }
        if opset < 7 { try node.require("is_test", 1) }
        let epsilon = node.float("epsilon", default: 1e-5)
        guard epsilon.isFinite, epsilon >= 0 else { throw .corrupt("epsilon is \(epsilon)") }
        var inputs: [ValueID?] = []
        for index in 0..<5 { inputs.append(try value(node, index)) }
        return .value(try emit(.batchNormalization(axis: 1, epsilon: epsilon), inputs, node))
    }

    mutating func reduce(
        _ reduction: Reduction, axesAreInputFrom version: Int, _ node: inout ONNXNode
    ) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let rank = shape(x).rank
        let keepDims = node.int("keepdims", default: 1) != 0
        let isNoop = opset >= version && node.int("noop_with_empty_axes", default: 0) != 0
        let given = try opset >= version ? integers(node, 1) : node.ints("axes")
        var axes = try self.axes(given ?? [], rank: rank)
        if axes.isEmpty {
            if isNoop { return .value(x) }
            axes = Array(0..<rank)
        }
        return .value(try emit(.reduce(reduction, axes: axes.sorted(), keepDims: keepDims), [x], node))
    }

    /// Before opset 13 the axes from `axis` on are normalised together.
    mutating func softmax(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let shape = shape(x)
        let axis = node.int("axis", default: opset < 13 ? 1 : -1)
        let place = opset < 13 && axis == shape.rank ? axis : try axes([axis], rank: shape.rank)[0]
        if opset >= 13 || place == shape.rank - 1 { return .value(try emit(.softmax(axis: place), [x], node)) }
        guard shape.dims.filter({ $0 < 0 }).count <= 1 else {
            throw .unsupported("its input \(shape) has several unknown extents; export with fixed shapes")
        }
        let flat = try emit(.reshape(try flattened(shape, at: place)), [x], node, part: "flat")
        let result = try emit(.softmax(axis: 1), [flat], node, part: "softmax")
        return .value(try emit(.reshape(shape.dims.map { $0 < 0 ? .infer : .literal($0) }), [result], node))
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
