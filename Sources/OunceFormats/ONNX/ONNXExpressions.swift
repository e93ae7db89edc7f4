import OunceGraph

/// Small words in which translations of operators are written: each appends a node and gives its value.
extension ONNXTranslation {
    mutating func make(_ op: Op, _ inputs: ValueID?...) throws(ImportFailure) -> ValueID {
        try make(op, inputs)
    }

    mutating func make(_ op: Op, _ inputs: [ValueID?]) throws(ImportFailure) -> ValueID {
        let encoding = try encoding(of: op, inputs)
        let name = "\(location).\(op.name)"
        if let folded = try folded(op, inputs, name: name) { return folded }
        return try builder.emit(op, inputs, name: name, encoding: encoding)
    }

    /// The largest result that is computed on import.
    private static let maximumFoldedBytes = 1 << 20

    /// What an operator on constants gives; nil where one is no constant, or the result is large.
    mutating func folded(_ op: Op, _ inputs: [ValueID?], name: String) throws(ImportFailure) -> ValueID? {
        var tensors: [Tensor?] = []
        var types: [TensorType?] = []
        for id in inputs {
            guard let id else {
                tensors.append(nil)
                types.append(nil)
                continue
            }
            guard let constant = builder.graph[id].constant, builder.graph[id].encoding == .plain else { return nil }
            tensors.append(constant)
            types.append(builder.graph[id].type)
        }
        let output: TensorType
        do throws(GraphError) {
            output = try builder.graph.inferType(
                of: op, inputs: inputs.map { $0.map { builder.graph[$0] } }, node: name, encoding: .plain)
        } catch { throw .fatal(FormatError(error.code == .limit ? .limit : .corrupt, error.description)) }
        guard let count = output.shape.elementCount, count * output.dtype.byteSize <= Self.maximumFoldedBytes,
            tensors.allSatisfy({ ($0?.byteCount ?? 0) <= Self.maximumFoldedBytes })
        else { return nil }
        guard !op.takesManySteps else { return nil }
        guard let loop = GenericOperator(op, inputs: types, output: output), let result = loop.evaluate(tensors) else {
            return nil
        }
        try builder.charge(result.byteCount)
        return builder.constant(result, name: name)
    }

    // MARK: Arithmetic

    mutating func binary(_ op: BinaryOperator, _ a: ValueID, _ b: ValueID) throws(ImportFailure) -> ValueID {
        try make(.binary(op, .none), a, b)
    }
    mutating func add(_ a: ValueID, _ b: ValueID) throws(ImportFailure) -> ValueID { try binary(.add, a, b) }
    mutating func subtract(_ a: ValueID, _ b: ValueID) throws(ImportFailure) -> ValueID { try binary(.subtract, a, b) }
    mutating func multiply(_ a: ValueID, _ b: ValueID) throws(ImportFailure) -> ValueID { try binary(.multiply, a, b) }
    mutating func divide(_ a: ValueID, _ b: ValueID) throws(ImportFailure) -> ValueID { try binary(.divide, a, b) }

    mutating func unary(_ op: UnaryOperator, _ x: ValueID) throws(ImportFailure) -> ValueID { try make(.unary(op), x) }

    mutating func square(_ x: ValueID) throws(ImportFailure) -> ValueID { try multiply(x, x) }

    mutating func reduce(
        _ reduction: Reduction, _ x: ValueID, axes: [Int], keepDims: Bool = true
    ) throws(ImportFailure) -> ValueID {
        axes.isEmpty ? x : try make(.reduce(reduction, axes: axes, keepDims: keepDims), x)
    }

    /// A single number of the type of `id`.
    mutating func scalar(_ number: Double, like id: ValueID) throws(ImportFailure) -> ValueID {
        try scalar(number, type(id).dtype)
    }

    mutating func scalar(_ number: Double, _ dtype: DType) throws(ImportFailure) -> ValueID {
        guard let tensor = Tensor([number], shape: []) else { throw .corrupt("a constant") }
        return try cast(builder.constant(tensor, name: "\(location).constant"), dtype)
    }

    /// A constant of the model's own making.
    mutating func numbers<T: TensorElement>(_ numbers: [T], _ shape: Shape? = nil) throws(ImportFailure) -> ValueID {
        try builder.charge(numbers.count * MemoryLayout<T>.size)
        guard let tensor = Tensor(numbers, shape: shape ?? [numbers.count]) else { throw .corrupt("a constant") }
        return builder.constant(tensor, name: "\(location).constant")
    }

    mutating func cast(_ x: ValueID, _ dtype: DType) throws(ImportFailure) -> ValueID {
        type(x).dtype == dtype ? x : try make(.cast(dtype), x)
    }

    mutating func choose(_ condition: ValueID, _ a: ValueID, _ b: ValueID) throws(ImportFailure) -> ValueID {
        try make(.select, condition, a, b)
    }

    // MARK: Movement

    mutating func reshape(_ x: ValueID, _ dimensions: [ReshapeDimension]) throws(ImportFailure) -> ValueID {
        try make(.reshape(dimensions), x)
    }

    mutating func reshape(_ x: ValueID, to dims: [Int]) throws(ImportFailure) -> ValueID {
        shape(x).dims == dims ? x : try make(.reshape(dims.map { $0 < 0 ? .infer : .literal($0) }), x)
    }

    mutating func transpose(_ x: ValueID, _ permutation: [Int]) throws(ImportFailure) -> ValueID {
        permutation == Array(permutation.indices) ? x : try make(.transpose(permutation), x)
    }

    /// The part of `x` from `start` up to `end` along `axis`.
    mutating func slice(_ x: ValueID, axis: Int, _ start: Int, _ end: Int?) throws(ImportFailure) -> ValueID {
        var ranges = [SliceRange](repeating: .all, count: shape(x).rank)
        ranges[axis] = SliceRange(start: start, end: end)
        return try make(.slice(ranges), x)
    }

    /// The extents of `x`, all of which must be known.
    func known(_ x: ValueID) throws(ImportFailure) -> [Int] {
        guard shape(x).isStatic, builder.runTimeExtents[x] == nil else {
            throw .unsupported("its input \(shape(x)) has unknown extents; export with fixed shapes")
        }
        return shape(x).dims
    }

    func rank(_ x: ValueID) -> Int { shape(x).rank }

    func axis(_ axis: Int, of x: ValueID) throws(ImportFailure) -> Int { try axes([axis], rank: rank(x))[0] }

    /// A node's result under the node's own name.
    func result(_ x: ValueID) -> ONNXBinding { .value(x) }
}
