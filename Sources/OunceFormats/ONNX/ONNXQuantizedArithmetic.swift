import OunceGraph

/// Operators on integers that stand for reals, told in the operators' own definitions: for scales that are not known on
/// import, types other than int8 and uint8, and blocks.
extension ONNXTranslation {
    /// A number for the whole tensor, for each index of `axis`, or for each block along it, as one that broadcasts to `x`.
    private mutating func aligned(
        _ parameter: ValueID, to x: ValueID, axis: Int, block: Int
    ) throws(ImportFailure) -> ValueID {
        let dims = shape(parameter).dims
        if dims.isEmpty || dims == [1] { return try reshape(parameter, to: []) }
        let axis = try self.axis(axis, of: x)
        if dims.count == 1 {
            return try reshape(
                parameter, [.infer] + [ReshapeDimension](repeating: .literal(1), count: rank(x) - 1 - axis))
        }
        guard dims.count == rank(x), block > 0, block <= ONNXNode.maximumSize, dims.allSatisfy({ $0 >= 0 }),
            shape(x)[axis] >= 0
        else { throw .unsupported("scales \(Shape(dims)) for \(shape(x)) in blocks of \(block)") }
        let column = try reshape(parameter, to: Array(dims[...axis]) + [1] + dims[(axis + 1)...])
        var ones = [Int](repeating: 1, count: dims.count + 1)
        ones[axis + 1] = block
        var whole = dims
        whole[axis] *= block
        let repeated = try reshape(try make(.expand(ones), column), to: whole)
        return try slice(repeated, axis: axis, 0, shape(x)[axis])
    }

    /// `real` rounded, shifted by the zero point, and cut to the range of `dtype`.
    private mutating func saturated(
        _ units: ValueID, _ zero: ValueID?, to dtype: DType
    ) throws(ImportFailure) -> ValueID {
        var result = try unary(.function(.round), units)
        if let zero { result = try add(result, try cast(zero, type(result).dtype)) }
        let bits = dtype.byteSize * 8
        guard dtype.isInteger, bits <= 16 else { throw .unsupported("it quantises to \(dtype)") }
        let isSigned = dtype == .int8 || dtype == .int16
        let (low, high) = isSigned ? (-(1 << (bits - 1)), 1 << (bits - 1) - 1) : (0, 1 << bits - 1)
        result = try binary(.maximum, result, try scalar(Double(low), like: result))
        return try cast(try binary(.minimum, result, try scalar(Double(high), like: result)), dtype)
    }

    mutating func quantizeByDefinition(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("saturate", "precision")
        let x = try value(node, 0)
        let (axis, block) = (node.int("axis", default: 1), node.int("block_size", default: 0))
        let code = node.int("output_dtype", default: 0)
        let zeroPoint = try optionalValue(node, 2)
        guard let dtype = zeroPoint.map({ type($0).dtype }) ?? (code == 0 ? .uint8 : DType(onnx: code)) else {
            throw .unsupported("output type \(code) of ONNX; quantise to int8")
        }
        let scale = try aligned(try value(node, 1), to: x, axis: axis, block: block)
        let zero = try zeroPoint.map { (zero) throws(ImportFailure) in
            try aligned(zero, to: x, axis: axis, block: block)
        }
        let units = try divide(x, try cast(scale, type(x).dtype))
        return .value(try saturated(units, zero, to: dtype))
    }

    mutating func dequantizeByDefinition(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let (axis, block) = (node.int("axis", default: 1), node.int("block_size", default: 0))
        let scale = try aligned(try value(node, 1), to: x, axis: axis, block: block)
        let code = node.int("output_dtype", default: 0)
        let dtype = (code == 0 ? nil : DType(onnx: code)) ?? type(scale).dtype
        var centred = try cast(x, .int32)
        if let zero = try optionalValue(node, 2) {
            centred = try subtract(centred, try cast(try aligned(zero, to: x, axis: axis, block: block), .int32))
        }
        let real = try multiply(try cast(centred, type(scale).dtype), scale)
        return .value(try cast(real, dtype))
    }

    /// Scale, zero point and quantised numbers from the range of the data itself.
    mutating func dynamicQuantize(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let (zero, all) = (try scalar(0, like: x), Array(0..<rank(x)))
        let high = try binary(.maximum, try reduce(.max, x, axes: all, keepDims: false), zero)
        let low = try binary(.minimum, try reduce(.min, x, axes: all, keepDims: false), zero)
        let range = try subtract(high, low)
        let isFlat = try make(.compare(.equal), range, zero)
        let spread = try choose(isFlat, try scalar(1, like: x), range)
        let scale = try divide(spread, try scalar(255, like: x))
        let zeroPoint = try saturated(try divide(try subtract(zero, low), scale), nil, to: .uint8)
        bind(node, output: 1, .value(scale))
        bind(node, output: 2, .value(zeroPoint))
        return .value(try saturated(try divide(x, scale), zeroPoint, to: .uint8))
    }

    /// An integer input as int32 without its zero point, which `shape` brings to the tensor's axes.
    private mutating func centred(
        _ node: ONNXNode, _ index: Int, zero: Int, column: Int = 0
    ) throws(ImportFailure) -> ValueID {
        let x = try cast(try value(node, index), .int32)
        guard let zero = try optionalValue(node, zero) else { return x }
        return try subtract(x, try cast(try spread(zero, trailing: column), .int32))
    }

    /// A vector with `trailing` axes of one behind it; a single number as a scalar.
    private mutating func spread(_ vector: ValueID, trailing: Int) throws(ImportFailure) -> ValueID {
        guard rank(vector) == 1 else { return vector }
        if shape(vector)[0] == 1 { return try reshape(vector, to: []) }
        return try reshape(vector, [.infer] + [ReshapeDimension](repeating: .literal(1), count: max(trailing, 0)))
    }

    mutating func matMulInteger(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (x, weights) = (try centred(node, 0, zero: 2, column: 1), try centred(node, 1, zero: 3))
        guard let constant = builder.graph[weights].constant, constant.shape.rank == 2 else {
            // Up to this depth the sums are exact in float32.
            guard let depth = shape(x).dims.last, depth >= 0, depth <= 256, rank(weights) >= 2, rank(x) >= 2 else {
                return .value(try make(.matMul, x, weights))
            }
            let product = try make(.matMul, try cast(x, .float32), try cast(weights, .float32))
            return .value(try cast(product, .int32))
        }
        // Sums of small whole numbers are whole in float32 as well, where there are fast kernels.
        let product = try make(
            .fullyConnected(.none), try cast(x, .float32), try cast(try transpose(weights, [1, 0]), .float32))
        return .value(try cast(product, .int32))
    }

    mutating func quantizedMatMul(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let sum = try make(.matMul, try centred(node, 0, zero: 2, column: 1), try centred(node, 3, zero: 5))
        let (a, b) = (try spread(try value(node, 1), trailing: 1), try spread(try value(node, 4), trailing: 0))
        return .value(try rescaled(node, sum, a, b, scale: 6, zero: 7, trailing: 1))
    }

    /// `sum * a * b / y` on the grid of the output.
    private mutating func rescaled(
        _ node: ONNXNode, _ sum: ValueID, _ a: ValueID, _ b: ValueID, scale: Int, zero: Int, trailing: Int
    ) throws(ImportFailure) -> ValueID {
        let y = try spread(try value(node, scale), trailing: trailing)
        let factor = try divide(try multiply(a, b), y)
        let zeroPoint = try value(node, zero)
        let units = try multiply(try cast(sum, .float64), try cast(factor, .float64))
        return try saturated(units, try spread(zeroPoint, trailing: trailing), to: type(zeroPoint).dtype)
    }

    mutating func convInteger(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try centred(node, 0, zero: 2)
        let weights = try centred(node, 1, zero: 3, column: rank(x) - 1)
        guard builder.graph[weights].constant != nil else {
            return .value(try integerConvolution(x, weights, &node))
        }
        let sum = try integerConvolution(try cast(x, .float32), try cast(weights, .float32), &node)
        return .value(try cast(sum, .int32))
    }

    mutating func quantizedConvolution(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try centred(node, 0, zero: 2)
        var sum = try integerConvolution(x, try centred(node, 3, zero: 5, column: rank(x) - 1), &node)
        let trailing = rank(x) - 2
        if let bias = try optionalValue(node, 8) { sum = try add(sum, try spread(bias, trailing: trailing)) }
        let weightScale = try spread(try value(node, 4), trailing: trailing)
        return .value(
            try rescaled(node, sum, try value(node, 1), weightScale, scale: 6, zero: 7, trailing: trailing))
    }

    private mutating func integerConvolution(
        _ x: ValueID, _ weights: ValueID, _ node: inout ONNXNode
    ) throws(ImportFailure) -> ValueID {
        try convolution(x, weights: weights, bias: nil, &node)
    }
}
