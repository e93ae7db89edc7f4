import OunceGraph

extension ONNXTranslation {
    /// Indices as int32 or int64.
    private mutating func indices(_ node: ONNXNode, _ index: Int) throws(ImportFailure) -> ValueID {
        let id = try value(node, index)
        return type(id).dtype == .int32 ? id : try cast(id, .int64)
    }

    mutating func gatherElements(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let axis = node.int("axis", default: 0)
        return .value(try make(.gather(.elements(axis: axis)), try value(node, 0), try indices(node, 1)))
    }

    mutating func gatherTuples(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let batchAxes = node.int("batch_dims", default: 0)
        return .value(try make(.gather(.tuples(batchAxes: batchAxes)), try value(node, 0), try indices(node, 1)))
    }

    mutating func scatter(_ node: inout ONNXNode, byTuples: Bool) throws(ImportFailure) -> ONNXBinding {
        let axis = byTuples ? nil : node.int("axis", default: 0)
        let reduction: Scattering.Reduction
        switch node.string("reduction", default: "none") {
        case "none": reduction = .none
        case "add": reduction = .add
        case "mul": reduction = .multiply
        case "max": reduction = .maximum
        case "min": reduction = .minimum
        case let name: throw .corrupt("reduction is '\(name)'")
        }
        let op = Op.scatter(Scattering(axis: axis, reduction: reduction))
        return .value(try make(op, try value(node, 0), try indices(node, 1), try value(node, 2)))
    }

    mutating func argReduce(isMaximum: Bool, _ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let reduction = ArgReduction(
            isMaximum: isMaximum, axis: node.int("axis", default: 0), keepDims: node.int("keepdims", default: 1) != 0,
            selectsLast: node.int("select_last_index", default: 0) != 0)
        return .value(try make(.argReduce(reduction), try value(node, 0)))
    }

    /// Both outputs are sorted, whether that is asked for or not.
    mutating func topK(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("sorted")
        let x = try value(node, 0)
        guard let k = opset < 10 ? node.int("k", default: 0) : try integers(node, 1)?.first else {
            throw .corrupt("k is missing")
        }
        let (axis, isLargest) = (node.int("axis", default: -1), node.int("largest", default: 1) != 0)
        func top(_ givesIndices: Bool) -> Op {
            .topK(TopK(axis: axis, k: k, isLargest: isLargest, givesIndices: givesIndices))
        }
        if wants(node, output: 1) { bind(node, output: 1, .value(try make(top(true), x))) }
        return .value(try make(top(false), x))
    }

    mutating func cumulativeSum(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        guard let axis = try integers(node, 1)?.first else { throw .corrupt("the axis is missing") }
        let (exclusive, reverse) = (node.int("exclusive", default: 0) != 0, node.int("reverse", default: 0) != 0)
        let op = Op.cumulativeSum(axis: axis, exclusive: exclusive, reverse: reverse)
        return .value(try make(op, try value(node, 0)))
    }

    mutating func oneHot(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let indices = try value(node, 0)
        guard let depth = try wholeNumbers(node, 1).first, (0...ONNXNode.maximumSize).contains(depth) else {
            throw .corrupt("the depth is no number, or is too large")
        }
        let rank = rank(indices) + 1
        let axis = try axes([node.int("axis", default: -1)], rank: rank)[0]
        let values = try value(node, 2)
        let places = try cast(indices, .int64)
        let zero = try scalar(0, .int64)
        let wrapped = try choose(
            try make(.compare(.less), places, zero), try add(places, try scalar(Double(depth), .int64)), places)
        var dims = shape(indices).dims.indices.map { ReshapeDimension.copy($0) }
        dims.insert(.literal(1), at: axis)
        let classes = try numbers(
            (0..<depth).map { Int64($0) }, Shape([depth] + [Int](repeating: 1, count: rank - 1 - axis)))
        let isHot = try make(.compare(.equal), try reshape(wrapped, dims), classes)
        return .value(try choose(isHot, try slice(values, axis: 0, 1, 2), try slice(values, axis: 0, 0, 1)))
    }

    /// The numbers of a constant input as whole ones, also where it holds floats.
    private mutating func wholeNumbers(_ node: ONNXNode, _ index: Int) throws(ImportFailure) -> [Int] {
        guard let tensor = try constantOrNeeded(node, index), tensor.count <= 1 << 16 else {
            throw .unsupported("its input \(index) is not known on import; export it as a constant")
        }
        if let integers = tensor.integers() { return integers }
        let reals = tensor.doubles()
        guard reals.allSatisfy({ $0.magnitude < 0x1p62 }) else { throw .corrupt("input \(index) is no whole number") }
        return reals.map { Int($0) }
    }

    /// A constant; where the input is none, the inputs of the model that would make it one are remembered.
    mutating func constantOrNeeded(_ node: ONNXNode, _ index: Int) throws(ImportFailure) -> Tensor? {
        if let tensor = try constant(node, index) { return tensor }
        if node.input(index) != nil, case .value(let id) = try binding(node, index) { need(id) }
        return nil
    }

    mutating func reverseSequence(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (batch, time) = (node.int("batch_axis", default: 1), node.int("time_axis", default: 0))
        let op = Op.reverseSequence(batchAxis: batch, timeAxis: time)
        return .value(try make(op, try value(node, 0), try indices(node, 1)))
    }

    // MARK: Results whose extents depend on values

    mutating func nonZero(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        guard let x = try constant(node, 0) else { return .value(try placesOfNonZero(try value(node, 0))) }
        let strides = x.shape.strides
        let places = x.doubles().enumerated().filter { $0.element != 0 }.map(\.offset)
        let found = x.shape.dims.indices.flatMap { axis in
            places.map { Int64($0 / max(strides[axis], 1) % max(x.shape[axis], 1)) }
        }
        return .value(try numbers(found, [x.shape.rank, places.count]))
    }

    mutating func compress(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var x = try value(node, 0)
        var axis = 0
        if let given = node.attribute("axis") {
            axis = try self.axis(Int(given.i), of: x)
        } else {
            x = try reshape(x, [.infer])
        }
        guard let condition = try constant(node, 1) else {
            let places = try placesOfNonZero(try value(node, 1))
            guard rank(places) == 2, shape(places)[0] == 1 else { throw .corrupt("its condition is no list") }
            return .value(try make(.gather(.slices(axis: axis)), x, try reshape(places, [.copy(1)])))
        }
        let chosen = condition.doubles().enumerated().filter { $0.element != 0 }.map { Int64($0.offset) }
        return .value(try make(.gather(.slices(axis: axis)), x, try numbers(chosen)))
    }

    mutating func range(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var parts: [Double] = []
        for index in 0..<3 {
            guard let number = try constantOrNeeded(node, index)?.doubles().first else {
                throw .unsupported("the extent of its result depends on the data; export with constant bounds")
            }
            parts.append(number)
        }
        let count = max(((parts[1] - parts[0]) / parts[2]).rounded(.up), 0)
        guard parts[2] != 0, count.isFinite, count <= Double(1 << 24) else { throw .corrupt("a range of \(count)") }
        let numbers = try self.numbers((0..<Int(count)).map { parts[0] + Double($0) * parts[2] })
        let start = try value(node, 0)
        return .value(try cast(numbers, type(start).dtype))
    }

    mutating func constantOfShape(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let tensor = try node.attribute("value").map { (value) throws(ImportFailure) in try value.t.tensor() }
        let filling = tensor ?? Tensor([Float(0)])
        guard filling.count == 1, let number = filling.reshaped([]) else { throw .corrupt("its value is no number") }
        if case .extents(let extents) = try binding(node, 0) {
            return .value(try spread(builder.constant(number, name: location), to: extents))
        }
        guard let dims = try integers(node, 0) else { throw .corrupt("its shape is missing") }
        return .value(try make(.expand(dims), builder.constant(number, name: location)))
    }

    mutating func eyeLike(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let dims = try known(x)
        let code = node.int("dtype", default: 0)
        guard dims.count == 2, let dtype = code == 0 ? type(x).dtype : DType(onnx: code) else {
            throw .corrupt("a unit matrix of shape \(shape(x))")
        }
        let row = try places(of: x, along: 0)
        let column = try add(try places(of: x, along: 1), try numbers([0 &- Int64(node.int("k", default: 0))]))
        return .value(try cast(try make(.compare(.equal), row, column), dtype))
    }

    mutating func triangle(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        guard rank(x) >= 2 else { throw .corrupt("the triangle of \(shape(x))") }
        let k = try integers(node, 1)?.first ?? 0
        let isUpper = node.int("upper", default: 1) != 0
        let row = try add(try places(of: x, along: rank(x) - 2), try numbers([Int64(k)]))
        let column = try places(of: x, along: rank(x) - 1)
        let isKept = try make(.compare(isUpper ? .greaterOrEqual : .lessOrEqual), column, row)
        return .value(try choose(isKept, x, try scalar(0, like: x)))
    }

    mutating func size(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let count = try known(x).reduce(1, *)
        return .value(try scalar(Double(count), .int64))
    }
}
