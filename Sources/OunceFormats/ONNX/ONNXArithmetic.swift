import OunceGraph

extension ONNXTranslation {
    mutating func compare(_ comparison: Comparison, _ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("axis", "broadcast")
        return .value(try make(.compare(comparison), try value(node, 0), try value(node, 1)))
    }

    mutating func logical(_ op: BinaryOperator, _ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("axis", "broadcast")
        return .value(try binary(op, try value(node, 0), try value(node, 1)))
    }

    mutating func shift(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let isLeft = node.string("direction", default: "") == "LEFT"
        return try logical(isLeft ? .shiftLeft : .shiftRight, &node)
    }

    mutating func modulo(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let op: BinaryOperator = node.int("fmod", default: 0) != 0 ? .remainder : .modulo
        return .value(try binary(op, try value(node, 0), try value(node, 1)))
    }

    /// The result has the type of the base; other types of exponents meet it in float64.
    mutating func power(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (x, y) = (try value(node, 0), try value(node, 1))
        let dtype = type(x).dtype
        if let exponent = try constant(node, 1), exponent.count == 1, dtype.isFloat, exponent.shape.rank <= rank(x) {
            switch exponent.doubles().first {
            case 1: return .value(x)
            case 2: return .value(try square(x))
            case 0.5: return .value(try unary(.sqrt, x))
            default: break
            }
        }
        if dtype == type(y).dtype { return .value(try binary(.power, x, y)) }
        return .value(try cast(try binary(.power, try cast(x, .float64), try cast(y, .float64)), dtype))
    }

    mutating func isNaN(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        return .value(try unary(.function(.not), try make(.compare(.equal), x, x)))
    }

    mutating func isInfinite(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        var result: ValueID?
        for (attribute, number) in [("detect_positive", Double.infinity), ("detect_negative", -Double.infinity)]
        where node.int(attribute, default: 1) != 0 {
            let found = try make(.compare(.equal), x, try scalar(number, like: x))
            result = try result.map { (sofar) throws(ImportFailure) in try binary(.or, sofar, found) } ?? found
        }
        if let result { return .value(result) }
        // Nothing is looked for.
        return .value(try unary(.function(.not), try make(.compare(.equal), x, x)))
    }

    mutating func mean(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var sum = try value(node, 0)
        for index in node.proto.input.indices.dropFirst() { sum = try add(sum, try value(node, index)) }
        let count = Double(node.proto.input.count)
        return .value(count == 1 ? sum : try divide(sum, try scalar(count, like: sum)))
    }

    mutating func castLike(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("saturate", "round_mode")
        let (x, like) = (try value(node, 0), try value(node, 1))
        return .value(try cast(x, type(like).dtype))
    }

    // MARK: Reductions

    /// The axes of a reduction; nil where the operator gives back its input.
    private mutating func reducedAxes(
        _ node: inout ONNXNode, axesAreInputFrom version: Int, of x: ValueID
    ) throws(ImportFailure) -> [Int]? {
        let isNoop = node.int("noop_with_empty_axes", default: 0) != 0
        let given = try opset >= version ? integers(node, 1) : node.ints("axes")
        let axes = try self.axes(given ?? [], rank: rank(x)).sorted()
        if axes.isEmpty { return isNoop ? nil : Array(0..<rank(x)) }
        return axes
    }

    /// Reductions that compute something before and after: `before`, reduced, `after`.
    mutating func reduce(
        _ node: inout ONNXNode, axesAreInputFrom version: Int = 18, _ reduction: Reduction,
        before: (inout ONNXTranslation, ValueID) throws(ImportFailure) -> ValueID = {
            (_, x) throws(ImportFailure) in x
        },
        after: (inout ONNXTranslation, ValueID) throws(ImportFailure) -> ValueID = {
            (_, x) throws(ImportFailure) in x
        }
    ) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let keepDims = node.int("keepdims", default: 1) != 0
        guard let axes = try reducedAxes(&node, axesAreInputFrom: version, of: x) else {
            return .value(try after(&self, try before(&self, x)))
        }
        var reduced = try before(&self, x)
        let isBool = type(x).dtype == .bool
        if isBool { reduced = try cast(reduced, .uint8) }
        reduced = try reduce(reduction, reduced, axes: axes, keepDims: keepDims)
        if isBool { reduced = try cast(reduced, .bool) }
        return .value(try after(&self, reduced))
    }

    /// `log(sum(exp(x)))`, shifted by the largest number so that no power overflows.
    mutating func logSumExp(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let keepDims = node.int("keepdims", default: 1) != 0
        guard let axes = try reducedAxes(&node, axesAreInputFrom: 18, of: x) else { return .value(x) }
        guard !axes.isEmpty, shape(x).elementCount != 0 else {
            let sum = try reduce(.sum, try unary(.exp, x), axes: axes, keepDims: keepDims)
            return .value(try unary(.log, sum))
        }
        let top = try reduce(.max, x, axes: axes)
        let sum = try reduce(.sum, try unary(.exp, try subtract(x, top)), axes: axes)
        let result = try add(try unary(.log, sum), top)
        guard !keepDims else { return .value(result) }
        return .value(try reshape(result, shape(x).dims.indices.filter { !axes.contains($0) }.map { .copy($0) }))
    }
}
