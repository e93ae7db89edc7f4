import OunceGraph

extension TFLiteTranslation {
    /// What an operator does to its result before it stores it.
    enum FusedActivation {
        case clamp(Activation)
        case function(UnaryOperator)
    }

    func fusedActivation(_ op: TFLiteOperator, _ field: Int) throws(ImportFailure) -> FusedActivation {
        switch try op.code(field) {
        case 0: return .clamp(.none)
        case 1: return .clamp(.relu)
        case 2: return .clamp(.clip(-1, 1))
        case 3: return .clamp(.relu6)
        case 4: return .function(.tanh)
        case 5: return .function(.function(.sign))
        case let code: throw .unsupported("fused activation \(code); convert without fusing it")
        }
    }

    /// Appends `make` of a clamp, and what is no clamp as a node of its own.
    mutating func activated(
        _ op: TFLiteOperator, _ field: Int, _ inputs: [ValueID?], _ make: (Activation) -> Op
    ) throws(ImportFailure) -> TFLiteBinding {
        switch try fusedActivation(op, field) {
        case .clamp(let clamp): return .value(try emit(make(clamp), inputs, op))
        case .function(let function):
            var reals: [ValueID?] = []
            for id in inputs { reals.append(try id.map { (id) throws(ImportFailure) in try real(id) }) }
            let before = try node(make(.none), reals, name: "\(op.location).linear")
            return .value(try finish(try unary(function, before, op), op))
        }
    }

    mutating func binary(
        _ binary: BinaryOperator, _ op: TFLiteOperator, activation field: Int?
    ) throws(ImportFailure) -> TFLiteBinding {
        let inputs = [try value(op, 0), try value(op, 1)]
        guard let field else { return .value(try emit(.binary(binary, .none), inputs, op)) }
        return try activated(op, field, inputs) { .binary(binary, $0) }
    }

    mutating func comparison(
        _ comparison: Comparison, _ op: TFLiteOperator, isNegated: Bool = false
    ) throws(ImportFailure) -> TFLiteBinding {
        let (a, b) = (try real(op, 0), try real(op, 1))
        guard isNegated else { return .value(try emit(.compare(comparison), [a, b], op)) }
        return .value(try emit(.unary(.function(.not)), [try compare(comparison, a, b, op)], op))
    }

    mutating func addAll(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        guard !op.inputs.isEmpty else { throw .corrupt("ADD_N of nothing") }
        var sum = try real(op, 0)
        for place in op.inputs.indices.dropFirst() { sum = try binary(.add, sum, try real(op, place), op) }
        return .value(try finish(sum, op))
    }

    mutating func cast(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        var x = try value(op, 0)
        // The stored numbers count, uint8 ones as the file has them.
        if let index = input(op, 0), try tensor(index).isShifted {
            let stored = try tensor(index).stored
            x = try quantized(x, to: stored.dtype, stored.encoding, name: "\(op.location).stored")
        }
        let output = try declared(op)
        guard !output.isShifted else { throw .unsupported("it casts to quantised integers; use QUANTIZE") }
        return .value(try emit(.cast(output.dtype), [x], op))
    }

    mutating func dequantize(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        if let index = input(op, 0), case .constant(let tensor, let encoding) = try binding(index) {
            if let affine = encoding.affine { return .dequantized(tensor, affine) }
            guard tensor.dtype.isFloat else { throw .unsupported("its input is \(tensor.dtype) without a scale") }
            return .constant(try floats(op, 0), .plain)
        }
        let x = try value(op, 0)
        if builder.graph[x].dtype == .float16 { return .value(try emit(.cast(.float32), [x], op)) }
        guard builder.graph[x].encoding.affine != nil else { throw .unsupported("its input has no scale") }
        return .value(try emit(.dequantize, [x], op))
    }

    mutating func quantize(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let output = try declared(op)
        guard output.encoding.affine != nil else { throw .unsupported("its output has no scale; convert to int8") }
        return .value(try quantized(try value(op, 0), to: output.dtype, output.encoding, name: output.name))
    }

    /// Rounds to the nearest places of a grid whose zero is one of them.
    mutating func fakeQuantize(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (low, high, bits) = (try op.float(4), try op.float(6), try op.int(8, default: 0))
        guard low <= 0, high >= 0, low < high, (high - low).isFinite, (2...16).contains(bits) else {
            throw .unsupported("a range of \(low) to \(high) in \(bits) bits")
        }
        let first: Float = try op.flag(10) ? 1 : 0
        let last = Float((1 << bits) - 1)
        let scale = (high - low) / (last - first)
        let zero = min(max(first - low / scale, first), last).rounded(.toNearestOrAwayFromZero)
        let clamped = try unary(.clip((first - zero) * scale, (last - zero) * scale), try real(op, 0), op)
        let places = try binary(.divide, clamped, scalar(scale), op)
        let whole = try unary(.function(.round), places, op)
        return .value(try finish(try binary(.multiply, whole, scalar(scale), op), op))
    }

    // MARK: Told in other operators

    mutating func square(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try real(op, 0)
        return .value(try finish(try binary(.multiply, x, x, op), op))
    }

    mutating func squaredDifference(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let difference = try binary(.subtract, try real(op, 0), try real(op, 1), op)
        return .value(try finish(try binary(.multiply, difference, difference, op), op))
    }

    mutating func rsqrt(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let root = try unary(.sqrt, try real(op, 0), op)
        return .value(try finish(try binary(.divide, scalar(1), root, op), op))
    }

    mutating func elu(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try real(op, 0)
        let negative = try unary(.function(.expMinusOne), try unary(.clip(-.infinity, 0), x, op), op)
        return .value(try finish(try binary(.add, try unary(.clip(0, .infinity), x, op), negative, op), op))
    }

    mutating func gelu(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try real(op, 0)
        return .value(try finish(try unary(.function(try op.flag(4) ? .geluTanh : .gelu), x, op), op))
    }

    mutating func prelu(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (x, slope) = (try real(op, 0), try real(op, 1))
        let negative = try binary(.multiply, try unary(.clip(-.infinity, 0), x, op), slope, op)
        return .value(try finish(try binary(.add, try unary(.clip(0, .infinity), x, op), negative, op), op))
    }

    mutating func floorDivide(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (a, b) = (try real(op, 0), try real(op, 1))
        if builder.graph[a].dtype.isFloat {
            return .value(try finish(try unary(.function(.floor), try binary(.divide, a, b, op), op), op))
        }
        let whole = try binary(.subtract, a, try binary(.modulo, a, b, op), op)
        return .value(try finish(try binary(.divide, whole, b, op), op))
    }

    /// By the arc tangent of the quotient, moved to the right quadrant.
    mutating func arcTangent(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (y, x) = (try real(op, 0), try real(op, 1))
        let zero = scalar(0)
        let half = Float.pi / 2
        let base = try unary(.function(.atan), try binary(.divide, y, x, op), op)
        let below = try compare(.less, y, zero, op)
        let turn = try node(.select, [below, scalar(-.pi), scalar(.pi)], name: "\(op.location).turn")
        let left = try node(
            .select, [try compare(.less, x, zero, op), try binary(.add, base, turn, op), base],
            name: "\(op.location).left")
        // On the axis the quotient is infinite or, at the origin, no number.
        let upright = try binary(.multiply, try unary(.function(.sign), y, op), scalar(half), op)
        return .value(try emit(.select, [try compare(.equal, x, zero, op), upright, left], op))
    }

    /// How many bounds are at most the number.
    mutating func bucketize(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try node(.cast(.float32), [try value(op, 0)], name: "\(op.location).float")
        let bounds = builder.constant(Tensor(try op.floats(4)), name: "bounds")
        let wide = try reshaped(x, shape(x).dims + [1], op)
        let reached = try node(
            .cast(.int32), [try compare(.greaterOrEqual, wide, bounds, op)], name: "\(op.location).reached")
        return .value(try emit(.reduce(.sum, axes: [shape(x).rank], keepDims: false), [reached], op))
    }

    mutating func zerosLike(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try real(op, 0)
        let zero = try scalar(0, like: x, op)
        return .value(try finish(try node(.expand(shape(x).dims), [zero], name: "\(op.location).zeros"), op))
    }

    /// A condition of one axis chooses whole entries of the first axis.
    mutating func select(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        var (condition, a, b) = (try value(op, 0), try value(op, 1), try value(op, 2))
        if op.name == "SELECT", shape(condition).rank == 1, shape(a).rank > 1 {
            let ones = [Int](repeating: 1, count: shape(a).rank - 1)
            condition = try reshaped(condition, shape(condition).dims + ones, op)
        }
        let output = try declared(op).encoding
        if builder.graph[a].encoding != output || builder.graph[b].encoding != output {
            (a, b) = (try real(a), try real(b))
            return .value(
                try finish(try node(.select, [condition, a, b], name: "\(op.location).choice"), op))
        }
        return .value(try emit(.select, [condition, a, b], op))
    }

    mutating func softmax(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let beta = try op.float(4)
        let x = try value(op, 0)
        guard shape(x).rank > 0 else { throw .corrupt("SOFTMAX of one number") }
        guard beta != 1 else { return .value(try emit(.softmax(axis: shape(x).rank - 1), [x], op)) }
        let scaled = try binary(.multiply, try real(x), scalar(beta), op)
        return .value(try emit(.softmax(axis: shape(x).rank - 1), [scaled], op))
    }

    mutating func logSoftmax(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try real(op, 0)
        guard shape(x).rank > 0 else { throw .corrupt("LOG_SOFTMAX of one number") }
        let axes = [shape(x).rank - 1]
        let top = try node(.reduce(.max, axes: axes, keepDims: true), [x], name: "\(op.location).max")
        let shifted = try binary(.subtract, x, top, op)
        let sum = try node(
            .reduce(.sum, axes: axes, keepDims: true), [try unary(.exp, shifted, op)], name: "\(op.location).sum")
        return .value(try finish(try binary(.subtract, shifted, try unary(.log, sum, op), op), op))
    }

    // MARK: Reductions

    mutating func reduce(_ reduction: Reduction, _ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let axes = try axes(try integers(op, 1), rank: shape(x).rank)
        return .value(try emit(.reduce(reduction, axes: axes, keepDims: try op.flag(4)), [x], op))
    }

    mutating func argReduce(_ op: TFLiteOperator, isMaximum: Bool) throws(ImportFailure) -> TFLiteBinding {
        let x = try real(op, 0)
        guard let given = try integers(op, 1).first else { throw .corrupt("\(op.name): the axis is missing") }
        let reduction = ArgReduction(
            isMaximum: isMaximum, axis: try axis(given, rank: shape(x).rank), keepDims: false, selectsLast: false)
        let places = try node(.argReduce(reduction), [x], name: "\(op.location).places")
        return .value(try emit(.cast(try declared(op).dtype), [places], op))
    }

    /// Axes within `0..<rank`, ascending, each once.
    func axes(_ axes: [Int], rank: Int) throws(ImportFailure) -> [Int] {
        let normalized = Set(axes.map { $0 < 0 ? $0 &+ rank : $0 })
        guard normalized.allSatisfy({ (0..<rank).contains($0) }) else {
            throw .corrupt("the axes \(axes.prefix(8)) do not fit a tensor of rank \(rank)")
        }
        return normalized.sorted()
    }
}
