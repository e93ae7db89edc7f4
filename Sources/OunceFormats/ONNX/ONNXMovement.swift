import OunceGraph

extension ONNXTranslation {
    mutating func expand(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        if case .extents(let extents) = try binding(node, 1) {
            return .value(try spread(try value(node, 0), to: extents))
        }
        guard let dims = try integers(node, 1) else { throw .corrupt("its shape is missing") }
        // An extent of -1, which some exporters write, leaves the axis as it is.
        return .value(try make(.expand(dims.map { $0 == -1 ? 1 : $0 }), try value(node, 0)))
    }

    /// `x` broadcast to extents that are known only with the model's inputs: chosen by something of that shape.
    mutating func spread(_ x: ValueID, to extents: [ONNXExtent]) throws(ImportFailure) -> ValueID {
        guard extents.count <= 8 else { throw .unsupported("a shape of \(extents.count) axes, over 8") }
        var known: [Int] = []
        for extent in extents {
            if case .known(let number) = extent { known.append(number == -1 ? 1 : number) } else { known.append(1) }
        }
        var shaped = try make(.expand(known), try scalar(0, .bool))
        for (place, extent) in extents.enumerated() {
            guard case .axis(let axis, of: let source) = extent else { continue }
            let others = shape(source).dims.indices.filter { $0 != axis }
            let row = others.isEmpty ? source : try make(.reduce(.max, axes: others, keepDims: false), source)
            let along = try make(.compare(.equal), row, row)
            let trailing = [ReshapeDimension](repeating: .literal(1), count: extents.count - 1 - place)
            shaped = try binary(.or, shaped, try reshape(along, [.copy(0)] + trailing))
        }
        return try choose(shaped, x, x)
    }

    mutating func tile(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var x = try value(node, 0)
        guard let repeats = try integers(node, 1), repeats.count == rank(x), repeats.allSatisfy({ $0 >= 0 }) else {
            throw .corrupt("its repeats do not fit \(shape(x))")
        }
        for (axis, count) in repeats.enumerated() where count != 1 {
            let dims = try known(x)
            let inner = dims[axis...].reduce(1, *)
            let rows = try reshape(x, to: [dims[..<axis].reduce(1, *), 1, inner])
            let (extent, overflow) = dims[axis].multipliedReportingOverflow(by: count)
            guard !overflow else { throw .corrupt("\(count) repeats") }
            let repeated = try make(.expand([1, count, 1]), count == 0 ? rows : rows)
            x = try reshape(repeated, to: Array(dims[..<axis]) + [extent] + dims[(axis + 1)...])
        }
        return .value(x)
    }

    mutating func split(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let axis = try self.axis(node.int("axis", default: 0), of: x)
        let count = node.proto.output.count
        let stated = node.int("num_outputs", default: count)
        guard stated == count else { throw .corrupt("num_outputs is \(stated), there are \(count)") }
        var parts = try opset >= 13 ? integers(node, 1) : node.ints("split")
        let extent = shape(x)[axis]
        if parts == nil, extent >= 0 {
            // The last part is smaller where the extent does not divide.
            let size = (extent + count - 1) / count
            parts = (0..<count).map { max(0, min(size, extent - $0 * size)) }
        }
        guard let parts else { throw .unsupported("it splits an unknown extent; export with fixed shapes") }
        guard parts.count == count, parts.allSatisfy({ (0...Shape.maximumElements).contains($0) }),
            extent < 0 || parts.reduce(0, +) == extent
        else { throw .corrupt("the parts \(parts.prefix(8)) of an extent of \(extent)") }
        var start = 0
        var first: ONNXBinding?
        for (index, part) in parts.enumerated() {
            let piece = ONNXBinding.value(try slice(x, axis: axis, start, start + part))
            if index == 0 { first = piece } else { bind(node, output: index, piece) }
            start += part
        }
        guard let first else { throw .corrupt("there is no output") }
        return first
    }

    /// The pixels of a block to channels: `[N, C, H, W]` to `[N, C / b², H b, W b]`.
    mutating func depthToSpace(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (x, block) = (try value(node, 0), node.int("blocksize", default: 0))
        let isColumnRow = node.string("mode", default: "DCR") == "CRD"
        let dims = shape(x).dims
        guard dims.count == 4, (1...1 << 10).contains(block), dims[1] >= 0, dims[1] % (block * block) == 0,
            dims[2] >= 0, dims[3] >= 0
        else { throw .corrupt("blocks of \(block) in \(shape(x))") }
        let depth = dims[1] / (block * block)
        let inner = isColumnRow ? [depth, block, block] : [block, block, depth]
        let split = try reshape(x, [.copy(0)] + (inner + [dims[2], dims[3]]).map { .literal($0) })
        let moved = try transpose(split, isColumnRow ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2])
        return .value(try reshape(moved, [.copy(0)] + [depth, dims[2] * block, dims[3] * block].map { .literal($0) }))
    }

    mutating func spaceToDepth(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (x, block) = (try value(node, 0), node.int("blocksize", default: 0))
        let dims = shape(x).dims
        guard dims.count == 4, (1...1 << 10).contains(block), dims[1...].allSatisfy({ $0 >= 0 }),
            dims[2] % block == 0, dims[3] % block == 0
        else { throw .corrupt("blocks of \(block) in \(shape(x))") }
        let (rows, columns) = (dims[2] / block, dims[3] / block)
        let split = try reshape(x, [.copy(0)] + [dims[1], rows, block, columns, block].map { .literal($0) })
        let moved = try transpose(split, [0, 3, 5, 1, 2, 4])
        return .value(try reshape(moved, [.copy(0)] + [dims[1] * block * block, rows, columns].map { .literal($0) }))
    }

    // MARK: Padding

    /// Padding that repeats the data's own numbers: along each axis a gather with known places.
    mutating func reflectingPad(
        _ x: ValueID, before: [Int], after: [Int], mode: String
    ) throws(ImportFailure) -> ValueID {
        var x = x
        for axis in before.indices where before[axis] != 0 || after[axis] != 0 {
            let extent = shape(x)[axis]
            guard extent > 0 else { throw .unsupported("it pads an unknown extent; export with fixed shapes") }
            guard -before[axis] <= extent + after[axis] else { throw .corrupt("pads that leave nothing") }
            try builder.charge(8 * (before[axis] + extent + after[axis]))
            let places = (-before[axis]..<extent + after[axis]).map { place -> Int64 in
                switch mode {
                case "edge": return Int64(min(max(place, 0), extent - 1))
                case "wrap": return Int64((place % extent + extent) % extent)
                default:
                    let period = max(2 * (extent - 1), 1)
                    let folded = (place % period + period) % period
                    return Int64(extent == 1 ? 0 : min(folded, period - folded))
                }
            }
            x = try make(.gather(.slices(axis: axis)), x, try numbers(places))
        }
        return x
    }

    /// What negative padding leaves.
    mutating func cropped(_ x: ValueID, before: [Int], after: [Int]) throws(ImportFailure) -> ValueID {
        guard (before + after).contains(where: { $0 < 0 }) else { return x }
        return try make(
            .slice(zip(before, after).map { SliceRange(start: max(-$0, 0), end: $1 < 0 ? $1 : nil) }), x)
    }

    /// Slices with negative steps: the same numbers in ascending order, then reversed.
    mutating func reversedSlice(
        _ x: ValueID, axis: Int, from start: Int, to end: Int, step: Int
    ) throws(ImportFailure) -> ValueID {
        let extent = shape(x)[axis]
        guard extent >= 0 else { throw .unsupported("it reverses an unknown extent; export with fixed shapes") }
        guard step > -Shape.maximumElements else { throw .corrupt("a step of \(step)") }
        func place(_ index: Int) -> Int { min(max(index < 0 ? index &+ extent : index, -1), extent - 1) }
        let (first, last) = (place(start), place(end))
        let count = first > last ? (first - last - 1) / -step + 1 : 0
        let low = count == 0 ? 0 : first + (count - 1) * step
        var ranges = [SliceRange](repeating: .all, count: rank(x))
        ranges[axis] = SliceRange(start: low, end: count == 0 ? 0 : first + 1, step: -step)
        return try make(.reverse(axes: [axis]), try make(.slice(ranges), x))
    }
}
