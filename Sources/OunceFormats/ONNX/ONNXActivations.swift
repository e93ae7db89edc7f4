import OunceGraph

extension ONNXTranslation {
    mutating func elementwise(_ function: ElementFunction, _ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        .value(try unary(.function(function), try value(node, 0)))
    }

    mutating func reciprocal(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        return .value(try divide(try scalar(1, like: x), x))
    }

    /// `x` where it is at least zero, else `scale * alpha * (exp(x / divisor) - 1)`; times `scale` everywhere.
    private mutating func exponential(
        _ x: ValueID, alpha: Double, scale: Double = 1, divisor: Double = 1
    ) throws(ImportFailure) -> ValueID {
        let zero = try scalar(0, like: x)
        let low = try binary(.minimum, x, zero)
        let scaled = divisor == 1 ? low : try divide(low, try scalar(divisor, like: x))
        let power = try multiply(try unary(.function(.expMinusOne), scaled), try scalar(alpha * scale, like: x))
        let high = try binary(.maximum, x, zero)
        return try add(scale == 1 ? high : try multiply(high, try scalar(scale, like: x)), power)
    }

    mutating func elu(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        .value(try exponential(try value(node, 0), alpha: Double(node.float("alpha", default: 1))))
    }

    mutating func celu(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let alpha = Double(node.float("alpha", default: 1))
        return .value(try exponential(try value(node, 0), alpha: alpha, divisor: alpha))
    }

    mutating func selu(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (alpha, gamma) = (node.float("alpha", default: 1.6732632), node.float("gamma", default: 1.050701))
        return .value(try exponential(try value(node, 0), alpha: Double(alpha), scale: Double(gamma)))
    }

    mutating func gelu(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        .value(try gelu(try value(node, 0), isTanh: node.string("approximate", default: "none") == "tanh"))
    }

    mutating func gelu(_ x: ValueID, isTanh: Bool) throws(ImportFailure) -> ValueID {
        try unary(.function(isTanh ? .geluTanh : .gelu), x)
    }

    mutating func mish(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        return .value(try multiply(x, try unary(.tanh, try unary(.function(.softplus), x))))
    }

    mutating func swish(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (x, alpha) = (try value(node, 0), node.float("alpha", default: 1))
        let scaled = alpha == 1 ? x : try multiply(x, try scalar(Double(alpha), like: x))
        return .value(try multiply(x, try unary(.sigmoid, scaled)))
    }

    mutating func softsign(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        return .value(try divide(x, try add(try unary(.abs, x), try scalar(1, like: x))))
    }

    mutating func parametricRelu(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        var slope = try value(node, 1)
        // Before opset 7 a list of slopes goes with the channels.
        if opset < 7, rank(slope) == 1, shape(slope)[0] != 1 {
            let trailing = [ReshapeDimension](repeating: .literal(1), count: max(rank(x) - 2, 0))
            slope = try reshape(slope, [.copy(0)] + trailing)
        }
        let zero = try scalar(0, like: x)
        let low = try multiply(try binary(.minimum, x, zero), slope)
        return .value(try add(try binary(.maximum, x, zero), low))
    }

    mutating func thresholdedRelu(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let alpha = try scalar(Double(node.float("alpha", default: 1)), like: x)
        return .value(try choose(try make(.compare(.greater), x, alpha), x, try scalar(0, like: x)))
    }

    mutating func shrink(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let (bias, limit) = (Double(node.float("bias", default: 0)), Double(node.float("lambd", default: 0.5)))
        let above = try make(.compare(.greater), x, try scalar(limit, like: x))
        let below = try make(.compare(.less), x, try scalar(-limit, like: x))
        let shift = try scalar(bias, like: x)
        let low = try choose(below, try add(x, shift), try scalar(0, like: x))
        return .value(try choose(above, try subtract(x, shift), low))
    }

    /// Softmax, LogSoftmax and Hardmax along an axis; before opset 13 the axes from it on together.
    mutating func normalizing(
        _ node: inout ONNXNode, _ body: (inout ONNXTranslation, ValueID, Int) throws(ImportFailure) -> ValueID
    ) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let axis = node.int("axis", default: opset < 13 ? 1 : -1)
        let place = opset < 13 && axis == rank(x) ? axis : try self.axis(axis, of: x)
        if opset >= 13 || place == rank(x) - 1 { return .value(try body(&self, x, place)) }
        let dims = try known(x)
        let flat = try reshape(x, try flattened(shape(x), at: place))
        return .value(try reshape(try body(&self, flat, 1), to: dims))
    }

    mutating func logSoftmax(_ x: ValueID, axis: Int) throws(ImportFailure) -> ValueID {
        let centred = try subtract(x, try reduce(.max, x, axes: [axis]))
        let sum = try reduce(.sum, try unary(.exp, centred), axes: [axis])
        return try subtract(centred, try unary(.log, sum))
    }

    mutating func hardmax(_ x: ValueID, axis: Int) throws(ImportFailure) -> ValueID {
        let op = ArgReduction(isMaximum: true, axis: axis, keepDims: true, selectsLast: false)
        let best = try make(.argReduce(op), x)
        return try cast(try make(.compare(.equal), best, try places(of: x, along: axis)), type(x).dtype)
    }

    /// 0, 1, … along an axis of `x`, with extents of 1 on the axes after it.
    mutating func places(of x: ValueID, along axis: Int) throws(ImportFailure) -> ValueID {
        let extent = shape(x)[axis]
        guard extent >= 0 else { throw .unsupported("an unknown extent; export with fixed shapes") }
        let trailing = [Int](repeating: 1, count: rank(x) - 1 - axis)
        try builder.charge(8 * extent)
        return try numbers((0..<extent).map { Int64($0) }, Shape([extent] + trailing))
    }
}
