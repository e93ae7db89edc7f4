import OunceGraph

/// Operators whose number of results depends on the data: as many as there can be, and a count that goes with them.
extension ONNXTranslation {
    /// How many numbers along the only axis of `marks` are at least zero.
    private mutating func countMarks(_ marks: ValueID) throws(ImportFailure) -> ValueID {
        let isThere = try make(.compare(.greaterOrEqual), marks, try scalar(0, .int64))
        return try reduce(.sum, try cast(isThere, .int64), axes: [0], keepDims: false)
    }

    mutating func nonMaxSuppression(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        func parameter(_ index: Int, _ absent: Double) throws(ImportFailure) -> Double {
            guard node.input(index) != nil else { return absent }
            guard let number = try constantOrNeeded(node, index)?.doubles().first else {
                throw .unsupported("its input \(index) is not known on import; export it as a constant")
            }
            return number
        }
        let limit = try parameter(2, 0)
        let suppression = NonMaxSuppression(
            limit: Int(min(max(limit, 0), 0x1p40)), overlap: Float(try parameter(3, 0)),
            leastScore: Float(try parameter(4, -.infinity)), isCentred: node.int("center_point_box", default: 0) != 0)
        let rows = try make(.nonMaxSuppression(suppression), try value(node, 0), try value(node, 1))
        guard shape(rows)[0] != 0 else { return .value(rows) }
        let images = try reshape(try slice(rows, axis: 1, 0, 1), [.copy(0)])
        keepFirst(of: rows, axis: 0, count: try countMarks(images))
        return .value(rows)
    }

    /// The places of what is not zero in `x`, `[rank, count]`.
    mutating func placesOfNonZero(_ x: ValueID) throws(ImportFailure) -> ValueID {
        guard shape(x).isStatic else {
            throw .unsupported("the extent of its result depends on an unknown one; export with fixed shapes")
        }
        guard rank(x) > 0 else { return try placesOfNonZero(try reshape(x, to: [1])) }
        let places = try make(.nonZero, x)
        guard shape(places)[1] > 0 else { return places }
        let first = try reshape(try slice(places, axis: 0, 0, 1), [.copy(1)])
        keepFirst(of: places, axis: 1, count: try countMarks(first))
        return places
    }

    mutating func distinct(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let axis = try node.attribute("axis").map { (given) throws(ImportFailure) in try self.axis(Int(given.i), of: x)
        }
        let isSorted = node.int("sorted", default: 1) != 0
        guard shape(x).isStatic else {
            throw .unsupported("the extent of its result depends on an unknown one; export with fixed shapes")
        }
        func part(_ part: Distinct.Part) -> Op { .distinct(Distinct(axis: axis, isSorted: isSorted, part: part)) }
        let first = try make(part(.first), x)
        let count = try countMarks(first)
        keepFirst(of: first, axis: 0, count: count)
        bind(node, output: 1, .value(first))
        if wants(node, output: 2) { bind(node, output: 2, .value(try make(part(.inverse), x))) }
        if wants(node, output: 3) {
            let counts = try make(part(.counts), x)
            keepFirst(of: counts, axis: 0, count: count)
            bind(node, output: 3, .value(counts))
        }
        let source = axis == nil ? try reshape(x, [.infer]) : x
        return .value(try make(.gather(.slices(axis: axis ?? 0)), source, first))
    }

    mutating func tensorScatter(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (x, updates) = (try value(node, 0), try value(node, 1))
        let axis = try self.axis(node.int("axis", default: -2), of: x)
        let dims = try known(updates)
        guard axis > 0, dims.count == rank(x), shape(x)[axis] > 0 else { throw .corrupt("updates \(shape(updates))") }
        let ones = [Int](repeating: 1, count: dims.count)
        var along = ones
        along[axis] = dims[axis]
        var places = try numbers((0..<dims[axis]).map { Int64($0) }, Shape(along))
        if let starts = try optionalValue(node, 2) {
            places = try add(places, try reshape(try cast(starts, .int64), to: [-1] + ones.dropFirst()))
        }
        if node.string("mode", default: "linear") == "circular" {
            places = try binary(.modulo, places, try numbers([Int64(shape(x)[axis])], []))
        }
        let indices = try make(.expand(dims), places)
        return .value(try make(.scatter(Scattering(axis: axis, reduction: .none)), x, indices, updates))
    }

    func refusesRandomness() throws(ImportFailure) -> ONNXBinding {
        throw .unsupported("it draws random numbers; export the model for inference, without them")
    }
}
