import OunceGraph

// Words in which operators are told: nodes, numbers, and ways between grids and real numbers.
extension TFLiteTranslation {
    private static let maximumFolded = 1 << 16

    /// Appends the node that makes output `place` of the operator, or with `part` one that leads to it, on the grid of its
    /// first input. What int8 kernels and loops do not compute on a grid is computed on real numbers.
    mutating func emit(
        _ op: Op, _ inputs: [ValueID?], _ source: TFLiteOperator, at place: Int = 0, part: String? = nil
    ) throws(ImportFailure) -> ValueID {
        if let part {
            let encoding = inputs.first.flatMap { $0 }.map { builder.graph[$0].encoding } ?? .plain
            return try node(op, inputs, name: "\(source.location).\(part)", encoding: encoding)
        }
        let output = try declared(source, place)
        if needsReals(op, inputs, output) {
            var reals: [ValueID?] = []
            for id in inputs { reals.append(try id.map { (id) throws(ImportFailure) in try real(id) }) }
            return try finish(try node(op, reals, name: "\(output.name).real"), source, at: place)
        }
        return try node(op, inputs, name: output.name, encoding: output.encoding)
    }

    /// Whether the operator meets a grid that only quantise and dequantise nodes know.
    private func needsReals(_ op: Op, _ inputs: [ValueID?], _ output: TFLiteTensor) -> Bool {
        let values = inputs.compactMap { $0 }.map { builder.graph[$0] }
        let isWide =
            (output.encoding.affine != nil && output.dtype != .int8)
            || values.contains { $0.encoding.affine != nil && $0.dtype != .int8 }
        // A real number on its way to a grid.
        let isMixed = output.encoding.affine != nil && values.first?.dtype == .float32
        guard isWide || isMixed else { return false }
        switch op {
        case .quantize, .quantizeAs, .dequantize, .cast: return false
        case .reshape, .transpose, .slice, .concat, .expand, .reverse, .reverseSequence, .gather:
            return values.contains { $0.encoding.affine != nil && $0.encoding != output.encoding }
        default: return true
        }
    }

    /// A node whose encoding is given; constants alone are computed at once.
    mutating func node(
        _ op: Op, _ inputs: [ValueID?], name: String, encoding: Encoding = .plain
    ) throws(ImportFailure) -> ValueID {
        if encoding == .plain, let folded = try folded(op, inputs, name: name) { return folded }
        return try builder.emit(op, inputs, name: name, encoding: encoding)
    }

    private mutating func folded(
        _ op: Op, _ inputs: [ValueID?], name: String
    ) throws(ImportFailure) -> ValueID? {
        var (constants, values): ([Tensor?], [Value?]) = ([], [])
        for id in inputs {
            let value = id.map { builder.graph[$0] }
            guard value.map({ $0.encoding == .plain && $0.constant != nil }) ?? true else { return nil }
            constants.append(value?.constant)
            values.append(value)
        }
        guard !op.takesManySteps, constants.allSatisfy({ ($0?.count ?? 0) <= Self.maximumFolded }),
            constants.contains(where: { $0 != nil }),
            let type = try? builder.graph.inferType(of: op, inputs: values, node: name, encoding: .plain),
            let count = type.shape.elementCount, count <= Self.maximumFolded
        else { return nil }
        try builder.charge(count * type.dtype.byteSize)
        let types = constants.map { $0.map { TensorType($0.dtype, $0.shape) } }
        guard let result = GenericOperator(op, inputs: types, output: type)?.evaluate(constants) else { return nil }
        return builder.constant(result, name: name)
    }

    // MARK: Real numbers

    /// The real numbers that a value stands for.
    mutating func real(_ id: ValueID) throws(ImportFailure) -> ValueID {
        let value = builder.graph[id]
        guard let affine = value.encoding.affine else { return id }
        return try real(cached: id) { (t) throws(ImportFailure) in
            if let constant = value.constant {
                return t.builder.constant(try t.builder.dequantize(constant, affine), name: value.name)
            }
            return try t.builder.emit(.dequantize, [id], name: "\(value.name).real")
        }
    }

    /// The real numbers of an input.
    mutating func real(_ op: TFLiteOperator, _ place: Int) throws(ImportFailure) -> ValueID {
        try real(try value(op, place))
    }

    /// A value that an operator computed under its output's name and on its output's grid.
    mutating func finish(
        _ id: ValueID, _ op: TFLiteOperator, at place: Int = 0
    ) throws(ImportFailure) -> ValueID {
        let output = try declared(op, place)
        guard output.encoding.affine != nil, builder.graph[id].encoding != output.encoding else {
            if builder.graph.nodes.last?.outputs == [id] {
                builder.graph[id].name = output.name
                builder.graph.nodes[builder.graph.nodes.count - 1].name = output.name
            }
            return id
        }
        return try quantized(id, to: output.dtype, output.encoding, name: output.name)
    }

    /// A value on another grid.
    mutating func quantized(
        _ id: ValueID, to dtype: DType, _ encoding: Encoding, name: String
    ) throws(ImportFailure) -> ValueID {
        let source = builder.graph[id]
        guard source.dtype == .float32 || source.encoding.affine != nil else {
            throw .unsupported("it quantises \(source.dtype) numbers; quantise float32")
        }
        let hasKernel = dtype == .int8 && (source.dtype == .float32 || source.dtype == .int8)
        return try builder.emit(hasKernel ? .quantize : .quantizeAs(dtype), [id], name: name, encoding: encoding)
    }

    // MARK: Numbers

    /// A real number of the operator's own.
    mutating func scalar(_ value: Float) -> ValueID {
        builder.constant(Tensor(filled: value), name: "\(value)")
    }

    /// A number of the type of `id`.
    mutating func scalar(_ value: Int, like id: ValueID, _ op: TFLiteOperator) throws(ImportFailure) -> ValueID {
        let dtype = builder.graph[id].dtype
        if dtype == .float32 { return scalar(Float(value)) }
        return try node(.cast(dtype), [try integers([value], [])], name: "\(op.location).\(value)")
    }

    mutating func integers(_ values: [Int], _ shape: Shape? = nil) throws(ImportFailure) -> ValueID {
        try builder.charge(8 * values.count)
        let flat = Tensor(values.map { Int64($0) })
        return builder.constant(shape.flatMap { flat.reshaped($0) } ?? flat, name: "integers")
    }

    mutating func unary(_ unary: UnaryOperator, _ x: ValueID, _ op: TFLiteOperator) throws(ImportFailure) -> ValueID {
        try node(.unary(unary), [x], name: "\(op.location).\(unary.name)")
    }

    mutating func binary(
        _ binary: BinaryOperator, _ a: ValueID, _ b: ValueID, _ op: TFLiteOperator, _ activation: Activation = .none
    ) throws(ImportFailure) -> ValueID {
        try node(.binary(binary, activation), [a, b], name: "\(op.location).\(binary)")
    }

    mutating func compare(
        _ comparison: Comparison, _ a: ValueID, _ b: ValueID, _ op: TFLiteOperator
    ) throws(ImportFailure) -> ValueID {
        try node(.compare(comparison), [a, b], name: "\(op.location).\(comparison)")
    }

    /// With other extents, on the same grid.
    mutating func reshaped(
        _ x: ValueID, _ dims: [Int], _ op: TFLiteOperator
    ) throws(ImportFailure) -> ValueID {
        guard shape(x).dims != dims else { return x }
        return try emit(.reshape(dims.map { .literal($0) }), [x], op, part: "reshape")
    }

    mutating func transposed(
        _ x: ValueID, _ order: [Int], _ op: TFLiteOperator
    ) throws(ImportFailure) -> ValueID {
        guard order != order.sorted() else { return x }
        return try emit(.transpose(order), [x], op, part: "transpose")
    }

    /// The real numbers of a constant input.
    mutating func floats(_ op: TFLiteOperator, _ place: Int) throws(ImportFailure) -> Tensor {
        let (tensor, encoding) = try constant(op, place)
        if let affine = encoding.affine { return try builder.dequantize(tensor, affine) }
        if tensor.dtype == .float32 { return tensor }
        try builder.charge(4 * tensor.count)
        guard let floats = Tensor(tensor.floats(), shape: tensor.shape) else { throw .corrupt("\(tensor.shape)") }
        return floats
    }

    /// One axis within `0..<rank`.
    func axis(_ axis: Int, rank: Int) throws(ImportFailure) -> Int {
        guard let axis = try axes([axis], rank: rank).first else { throw .corrupt("an axis is missing") }
        return axis
    }
}

extension Tensor {
    /// A single number.
    fileprivate init(filled value: Float) {
        let flat = Tensor([value])
        self = flat.reshaped([]) ?? flat
    }
}
