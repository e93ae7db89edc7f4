import OunceGraph

extension ONNXTranslation {
    /// The two dimensions before and from `axis` on.
    func flattened(_ shape: Shape, at axis: Int) throws(ImportFailure) -> [ReshapeDimension] {
        if axis == 0 { return [.literal(1), .infer] }
        if axis == 1 { return [.copy(0), .infer] }
        if let leading = Shape(Array(shape.dims[..<axis])).elementCount { return [.literal(leading), .infer] }
        if let trailing = Shape(Array(shape.dims[axis...])).elementCount { return [.infer, .literal(trailing)] }
        throw .unsupported("its input \(shape) has several unknown extents; export with fixed shapes")
    }

    mutating func flatten(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let rank = shape(x).rank
        let axis = node.int("axis", default: 1)
        guard (-rank...rank).contains(axis) else { throw .corrupt("axis \(axis) of \(shape(x))") }
        let dimensions = try flattened(shape(x), at: axis < 0 ? axis + rank : axis)
        return .value(try emit(.reshape(dimensions), [x], node))
    }

    mutating func reshape(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let keepsZeros = node.int("allowzero", default: 0) != 0
        let extents: [ONNXExtent]
        if case .extents(let list) = try binding(node, 1) {
            extents = list
        } else {
            extents = (try integers(node, 1) ?? []).map { .known($0) }
        }
        guard extents.count <= 8 else { throw .unsupported("a shape of \(extents.count) axes, over 8") }
        let zeros = extents.contains(.known(0))
        if keepsZeros && zeros {
            let literal = try extents.map { (extent) throws(ImportFailure) -> ReshapeDimension in
                guard case .known(let extent) = extent, extent >= 0 else { throw .unsupported("an extent of zero") }
                return .literal(extent)
            }
            return .value(try emit(.reshape(literal), [try value(node, 0)], node))
        }
        if case .constant(let tensor, let encoding) = try binding(node, 0), encoding.affine?.axis == nil,
            let shape = literal(extents, for: tensor), let reshaped = tensor.reshaped(shape)
        {
            return .constant(reshaped, encoding)
        }
        let x = try value(node, 0)
        let unknowns = shape(x).dims.indices.filter { shape(x)[$0] < 0 }
        var dimensions: [ReshapeDimension] = []
        for (place, extent) in extents.enumerated() {
            switch extent {
            case .known(-1): dimensions.append(.infer)
            case .known(0): dimensions.append(.copy(place))
            case .known(let extent): dimensions.append(.literal(extent))
            case .axis(let axis, of: let source) where source == x: dimensions.append(.copy(axis))
            // The batch is the one unknown extent, and comes first everywhere.
            case .axis(0, of: _) where unknowns == [0]: dimensions.append(.copy(0))
            case .axis: dimensions.append(.infer)
            }
        }
        guard dimensions.filter({ $0 == .infer }).count <= 1 else {
            throw .unsupported("a shape with several unknown extents; export with fixed shapes")
        }
        return .value(try emit(.reshape(dimensions), [x], node))
    }

    /// The shape that `extents` give a constant; nil where they do not fit it.
    private func literal(_ extents: [ONNXExtent], for tensor: Tensor) -> Shape? {
        var dims: [Int] = []
        for (place, extent) in extents.enumerated() {
            guard case .known(let extent) = extent else { return nil }
            if extent == 0, place >= tensor.shape.rank { return nil }
            dims.append(extent == 0 ? tensor.shape[place] : extent)
        }
        guard let place = dims.firstIndex(of: -1) else { return Shape(dims) }
        dims[place] = 1
        guard let part = Shape(dims).elementCount, part > 0, tensor.count % part == 0 else { return nil }
        dims[place] = tensor.count / part
        return Shape(dims)
    }

    mutating func squeeze(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let given = try opset >= 13 ? integers(node, 1) : node.ints("axes")
        switch try binding(node, 0) {
        case .extents(let list):
            guard list.count == 1, let only = list.first else { throw .corrupt("a list of \(list.count) is squeezed") }
            return .extents([only])
        case .constant(let tensor, .plain):
            let shape = try squeezed(tensor.shape, given).map { tensor.shape[$0] }
            guard let result = tensor.reshaped(Shape(shape)) else { throw .corrupt("\(tensor.shape) is squeezed") }
            return .constant(result, .plain)
        default:
            let x = try value(node, 0)
            return .value(try emit(.reshape(try squeezed(shape(x), given).map { .copy($0) }), [x], node))
        }
    }

    /// The axes that remain.
    private func squeezed(_ shape: Shape, _ given: [Int]?) throws(ImportFailure) -> [Int] {
        guard given != nil || shape.isStatic else {
            throw .unsupported("it drops all extents of 1 of \(shape); export with fixed shapes or with axes")
        }
        var dropped = shape.dims.indices.filter { shape[$0] == 1 }
        if let given { dropped = try axes(given, rank: shape.rank) }
        guard dropped.allSatisfy({ shape[$0] == 1 }) else {
            throw .unsupported("it drops axes \(dropped) of \(shape), which are not all 1; export with fixed shapes")
        }
        return shape.dims.indices.filter { !dropped.contains($0) }
    }

    mutating func unsqueeze(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        guard let given = try opset >= 13 ? integers(node, 1) : node.ints("axes"), given.count <= 8 else {
            throw .corrupt("axes are missing")
        }
        switch try binding(node, 0) {
        // A scalar extent and a list of one are the same here.
        case .extents(let list): return .extents(list)
        case .constant(let tensor, .plain):
            let rank = tensor.shape.rank + given.count
            let axes = try axes(given, rank: rank)
            var rest = tensor.shape.dims[...]
            let dims = (0..<rank).map { axes.contains($0) ? 1 : rest.popFirst() ?? 1 }
            guard rank <= 8, let result = tensor.reshaped(Shape(dims)) else { throw .corrupt("\(rank) axes") }
            return .constant(result, .plain)
        default:
            let x = try value(node, 0)
            let rank = shape(x).rank + given.count
            let axes = try axes(given, rank: rank)
            var next = 0
            let dimensions = (0..<rank).map { axis -> ReshapeDimension in
                if axes.contains(axis) { return .literal(1) }
                defer { next += 1 }
                return .copy(next)
            }
            return .value(try emit(.reshape(dimensions), [x], node))
        }
    }

    mutating func transpose(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let given = node.ints("perm")
        if case .constant(let tensor, let encoding) = try binding(node, 0) {
            let permutation = given ?? Array((0..<tensor.shape.rank).reversed())
            let permuted = try builder.permute(tensor, permutation)
            return .constant(permuted, encoding.affine.map { .affine($0.permuted(permutation)) } ?? .plain)
        }
        let x = try value(node, 0)
        return .value(try emit(.transpose(given ?? Array((0..<shape(x).rank).reversed())), [x], node))
    }

    mutating func concat(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        guard let axis = node.attribute("axis").map({ Int($0.i) }) else { throw .corrupt("axis is missing") }
        if let extents = try foldConcat(node) { return extents }
        guard node.proto.input.count > 1 else { return try binding(node, 0) }
        var inputs: [ValueID?] = []
        for index in node.proto.input.indices { inputs.append(try value(node, index)) }
        let rank = inputs.first.flatMap { $0 }.map { shape($0).rank } ?? 0
        return .value(try emit(.concat(axis: try axes([axis], rank: rank)[0]), inputs, node))
    }

    mutating func slice(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let lists: [[Int]?] =
            opset < 10
            ? [node.ints("starts"), node.ints("ends"), node.ints("axes"), nil]
            : [try integers(node, 1), try integers(node, 2), try integers(node, 3), try integers(node, 4)]
        guard let starts = lists[0], let ends = lists[1] else { throw .corrupt("starts or ends are missing") }
        let steps = lists[3] ?? [Int](repeating: 1, count: starts.count)
        guard starts.count <= 8, ends.count == starts.count, steps.count == starts.count,
            lists[2] == nil || lists[2]?.count == starts.count
        else { throw .corrupt("starts, ends, axes and steps differ in number") }
        guard !steps.contains(0), steps.allSatisfy({ $0 <= Shape.maximumElements }) else {
            throw .corrupt("a step of zero, or a huge one")
        }
        let given = lists[2] ?? Array(0..<starts.count)
        let ascends = steps.allSatisfy { $0 > 0 }
        if ascends, let extents = try foldSlice(node, starts: starts, ends: ends, steps: steps) { return extents }
        var x = try value(node, 0)
        var ranges = [SliceRange](repeating: .all, count: shape(x).rank)
        for (place, axis) in try axes(given, rank: shape(x).rank).enumerated() {
            guard steps[place] > 0 else {
                x = try reversedSlice(x, axis: axis, from: starts[place], to: ends[place], step: steps[place])
                continue
            }
            ranges[axis] = SliceRange(
                from: starts[place], to: ends[place], step: steps[place], extent: shape(x)[axis])
        }
        if !ascends, ranges.allSatisfy(\.isAll) { return .value(x) }
        return .value(try emit(.slice(ranges), [x], node))
    }

    mutating func pad(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let mode = node.string("mode", default: "constant")
        guard ["constant", "reflect", "edge", "wrap"].contains(mode) else { throw .unsupported("mode '\(mode)'") }
        var x = try value(node, 0)
        let rank = shape(x).rank
        var padding: [Int]?
        var filling: Float = 0
        var axes = Array(0..<rank)
        if opset < 11 {
            padding = node.ints("pads")
            filling = node.float("value", default: 0)
        } else {
            padding = try integers(node, 1)
            if node.input(2) != nil {
                guard let constant = try constantOrNeeded(node, 2)?.floats(), constant.count == 1 else {
                    throw .unsupported("its filling is not known on import; export it as a constant")
                }
                filling = constant[0]
            }
            if let given = try integers(node, 3) { axes = try self.axes(given, rank: rank) }
        }
        guard let padding, padding.count == 2 * axes.count else { throw .corrupt("pads do not fit \(shape(x))") }
        guard padding.allSatisfy({ (-ONNXNode.maximumSize...ONNXNode.maximumSize).contains($0) }) else {
            throw .corrupt("huge pads")
        }
        var (before, after) = ([Int](repeating: 0, count: rank), [Int](repeating: 0, count: rank))
        for (place, axis) in axes.enumerated() {
            (before[axis], after[axis]) = (padding[place], padding[axes.count + place])
        }
        if mode != "constant" { return .value(try reflectingPad(x, before: before, after: after, mode: mode)) }
        x = try cropped(x, before: before, after: after)
        (before, after) = (before.map { max($0, 0) }, after.map { max($0, 0) })
        return .value(try emit(.pad(before: before, after: after, value: filling), [x], node))
    }
}

extension SliceRange {
    /// NumPy's range, brought within the axis where its extent is known (negative: it is not).
    init(from start: Int, to end: Int, step: Int, extent: Int) {
        if extent >= 0 {
            let (low, high) = SliceRange(start: start, end: end).bounds(extent: extent)
            self.init(start: low, end: high >= extent ? nil : high, step: step)
        } else {
            // Exporters write the largest number of 32 or 64 bits for "to the end".
            self.init(start: start, end: end >= Int(Int32.max) ? nil : end, step: step)
        }
    }
}
