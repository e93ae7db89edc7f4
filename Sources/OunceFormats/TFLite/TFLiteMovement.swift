import OunceGraph

// Operators that move numbers and change none.
extension TFLiteTranslation {
    mutating func transpose(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let order = try integers(op, 1).map { $0 < 0 ? $0 &+ shape(x).rank : $0 }
        return .value(try emit(.transpose(order), [x], op))
    }

    mutating func pack(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        var parts: [ValueID?] = []
        var place = 0
        for index in op.inputs.indices {
            let x = try value(op, index)
            place = try axis(try op.int(6), rank: shape(x).rank + 1)
            var dims = shape(x).dims
            dims.insert(1, at: place)
            parts.append(try reshaped(x, dims, op))
        }
        return .value(try emit(.concat(axis: place), parts, op))
    }

    mutating func unpack(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let axis = try axis(try op.int(6), rank: shape(x).rank)
        let kept = shape(x).dims.indices.filter { $0 != axis }.map { ReshapeDimension.copy($0) }
        var results: [TFLiteBinding] = []
        for place in op.outputs.indices {
            let part = try emit(.slice(ranges(axis, place, place + 1, shape(x))), [x], op, part: "part\(place)")
            results.append(.value(try emit(.reshape(kept), [part], op, at: place)))
        }
        return .several(results)
    }

    /// Everything, but from `start` to `end` of one axis.
    private func ranges(_ axis: Int, _ start: Int, _ end: Int, _ shape: Shape) -> [SliceRange] {
        var ranges = [SliceRange](repeating: .all, count: shape.rank)
        ranges[axis] = SliceRange(from: start, to: end, step: 1, extent: shape[axis])
        return ranges
    }

    mutating func split(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 1)
        let axis = try axis(try integers(op, 0).first ?? 0, rank: shape(x).rank)
        let count = op.outputs.count
        guard count > 0, shape(x)[axis] % count == 0 else { throw .corrupt("SPLIT: \(shape(x)) into \(count) parts") }
        return try parts(op, x, axis, [Int](repeating: shape(x)[axis] / count, count: count))
    }

    mutating func splitSizes(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        var sizes = try integers(op, 1)
        let axis = try axis(try integers(op, 2).first ?? 0, rank: shape(x).rank)
        let known = sizes.filter { $0 >= 0 }.reduce(0) { $0 &+ $1 }
        sizes = sizes.map { $0 < 0 ? shape(x)[axis] &- known : $0 }
        guard sizes.allSatisfy({ (0...Shape.maximumElements).contains($0) }), sizes.reduce(0, +) == shape(x)[axis],
            sizes.count == op.outputs.count
        else { throw .corrupt("SPLIT_V: \(shape(x)) into \(sizes.prefix(8))") }
        return try parts(op, x, axis, sizes)
    }

    private mutating func parts(
        _ op: TFLiteOperator, _ x: ValueID, _ axis: Int, _ sizes: [Int]
    ) throws(ImportFailure) -> TFLiteBinding {
        var (start, results): (Int, [TFLiteBinding]) = (0, [])
        for (place, size) in sizes.enumerated() {
            let ranges = ranges(axis, start, start + size, shape(x))
            results.append(.value(try emit(.slice(ranges), [x], op, at: place)))
            start += size
        }
        return .several(results)
    }

    /// Axis by axis: a new axis before it, broadcast, and joined with it.
    mutating func tile(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        var x = try value(op, 0)
        let (counts, dims) = (try integers(op, 1), shape(x).dims)
        guard counts.count == dims.count, counts.allSatisfy({ (0...Shape.maximumElements).contains($0) }) else {
            throw .corrupt("TILE: \(counts.prefix(8)) times \(shape(x))")
        }
        for (axis, count) in counts.enumerated() where count != 1 {
            let dims = shape(x).dims
            let (outer, inner) = (dims[..<axis].reduce(1, *), dims[axis...].reduce(1, *))
            let wide = try emit(
                .expand([outer, count, inner]), [try reshaped(x, [outer, 1, inner], op)], op, part: "tile\(axis)")
            var target = dims
            let (extent, overflow) = dims[axis].multipliedReportingOverflow(by: count)
            guard !overflow else { throw .corrupt("TILE: \(counts.prefix(8)) times \(shape(x))") }
            target[axis] = extent
            x = try reshaped(wide, target, op)
        }
        return .value(try emit(.reshape(shape(x).dims.indices.map { .copy($0) }), [x], op))
    }

    mutating func broadcast(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        .value(try emit(.expand(try integers(op, 1)), [try value(op, 0)], op))
    }

    mutating func broadcastArguments(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (a, b) = (try integers(op, 0), try integers(op, 1))
        let rank = max(a.count, b.count)
        let (x, y) = (
            [Int](repeating: 1, count: rank - a.count) + a, [Int](repeating: 1, count: rank - b.count) + b
        )
        let extents = zip(x, y).map { $0 == 1 ? $1 : $0 }
        return .value(try emit(.cast(try declared(op).dtype), [try integers(extents)], op))
    }

    mutating func reverse(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let axes = try axes(try integers(op, 1), rank: shape(x).rank)
        return .value(try emit(.reverse(axes: axes), [x], op))
    }

    mutating func reverseSequence(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (time, batch) = (try op.int(4), try op.int(6))
        return .value(
            try emit(
                .reverseSequence(batchAxis: batch, timeAxis: time), [try value(op, 0), try value(op, 1)], op))
    }

    /// The file's sparse numbers are unfolded where they are read.
    mutating func densify(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (tensor, encoding) = try constant(op, 0)
        return .constant(tensor, encoding)
    }

    /// Mirrored at the first and last entry, with it (symmetric) or without.
    mutating func mirrorPad(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        var x = try value(op, 0)
        let (padding, offset) = (try integers(op, 1), try op.code(4) == 0 ? 1 : 0)
        guard padding.count == 2 * shape(x).rank else { throw .corrupt("MIRROR_PAD: \(padding.prefix(16))") }
        for axis in shape(x).dims.indices where padding[2 * axis] != 0 || padding[2 * axis + 1] != 0 {
            let (before, after, extent) = (padding[2 * axis], padding[2 * axis + 1], shape(x)[axis])
            let most = extent - offset
            guard extent <= 1 << 20, before >= 0, after >= 0, before <= most, after <= most else {
                throw .corrupt("MIRROR_PAD: \(before) before and \(after) after an axis of \(extent)")
            }
            let front = (0..<before).map { before - 1 - $0 + offset }
            let back = (0..<after).map { extent - 1 - $0 - offset }
            let places = try integers(front + Array(0..<extent) + back)
            x = try emit(.gather(.slices(axis: axis)), [x, places], op, part: "mirror\(axis)")
        }
        return .value(try emit(.reshape(shape(x).dims.indices.map { .copy($0) }), [x], op))
    }

    // MARK: Blocks of space

    mutating func spaceToDepth(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (x, block) = (try value(op, 0), try op.int(4))
        let dims = shape(x).dims
        guard dims.count == 4, (1...1 << 10).contains(block), dims[1] % block == 0, dims[2] % block == 0 else {
            throw .corrupt("SPACE_TO_DEPTH: blocks of \(block) in \(shape(x))")
        }
        let (h, w) = (dims[1] / block, dims[2] / block)
        let split = try reshaped(x, [dims[0], h, block, w, block, dims[3]], op)
        let moved = try transposed(split, [0, 1, 3, 2, 4, 5], op)
        return .value(
            try emit(
                .reshape([dims[0], h, w, block * block * dims[3]].map { .literal($0) }), [moved], op))
    }

    mutating func depthToSpace(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (x, block) = (try value(op, 0), try op.int(4))
        let dims = shape(x).dims
        guard dims.count == 4, (1...1 << 10).contains(block), dims[3] % (block * block) == 0 else {
            throw .corrupt("DEPTH_TO_SPACE: blocks of \(block) in \(shape(x))")
        }
        let depth = dims[3] / (block * block)
        let split = try reshaped(x, [dims[0], dims[1], dims[2], block, block, depth], op)
        let moved = try transposed(split, [0, 1, 3, 2, 4, 5], op)
        return .value(
            try emit(
                .reshape([dims[0], dims[1] * block, dims[2] * block, depth].map { .literal($0) }), [moved], op))
    }

    private mutating func blocks(_ op: TFLiteOperator) throws(ImportFailure) -> (sizes: [Int], margins: [Int]) {
        let (sizes, margins) = (try integers(op, 1), try integers(op, 2))
        guard (1...2).contains(sizes.count), margins.count == 2 * sizes.count,
            sizes.allSatisfy({ (1...1 << 15).contains($0) }), margins.allSatisfy({ (0...1 << 20).contains($0) })
        else { throw .corrupt("\(op.name): blocks \(sizes.prefix(4)), margins \(margins.prefix(8))") }
        return (sizes, margins)
    }

    mutating func spaceToBatch(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        var x = try value(op, 0)
        let (sizes, margins) = try blocks(op)
        let (m, rank) = (sizes.count, shape(x).rank)
        guard rank > m else { throw .corrupt("SPACE_TO_BATCH_ND: \(shape(x))") }
        if margins.contains(where: { $0 > 0 }) {
            let rest = [Int](repeating: 0, count: rank - 1 - m)
            let (before, after) = ((0..<m).map { margins[2 * $0] }, (0..<m).map { margins[2 * $0 + 1] })
            x = try emit(.pad(before: [0] + before + rest, after: [0] + after + rest, value: 0), [x], op, part: "pad")
        }
        let dims = shape(x).dims
        guard (0..<m).allSatisfy({ dims[$0 + 1] % sizes[$0] == 0 }) else {
            throw .corrupt("SPACE_TO_BATCH_ND: blocks of \(sizes) in \(shape(x))")
        }
        let spatial = (0..<m).map { dims[$0 + 1] / sizes[$0] }
        let split = [dims[0]] + (0..<m).flatMap { [spatial[$0], sizes[$0]] } + Array(dims[(m + 1)...])
        let order = (0..<m).map { 2 * $0 + 2 } + [0] + (0..<m).map { 2 * $0 + 1 } + Array((2 * m + 1)..<split.count)
        let moved = try transposed(try reshaped(x, split, op), order, op)
        let target = [dims[0] * sizes.reduce(1, *)] + spatial + dims[(m + 1)...]
        return .value(try emit(.reshape(target.map { .literal($0) }), [moved], op))
    }

    mutating func batchToSpace(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let (sizes, margins) = try blocks(op)
        let (m, dims) = (sizes.count, shape(x).dims)
        let product = sizes.reduce(1, *)
        guard dims.count > m, dims[0] % product == 0 else {
            throw .corrupt("BATCH_TO_SPACE_ND: blocks of \(sizes) in \(shape(x))")
        }
        let split = sizes + [dims[0] / product] + dims[1...]
        let order = [m] + (0..<m).flatMap { [m + 1 + $0, $0] } + Array((2 * m + 1)..<split.count)
        let moved = try transposed(try reshaped(x, split, op), order, op)
        let whole = [dims[0] / product] + (0..<m).map { dims[$0 + 1] * sizes[$0] } + Array(dims[(m + 1)...])
        let joined = try reshaped(moved, whole, op)
        var ranges = [SliceRange](repeating: .all, count: whole.count)
        for axis in 0..<m {
            let (start, end) = (margins[2 * axis], whole[axis + 1] - margins[2 * axis + 1])
            guard start <= end else { throw .corrupt("BATCH_TO_SPACE_ND: crops \(margins)") }
            ranges[axis + 1] = SliceRange(from: start, to: end, step: 1, extent: whole[axis + 1])
        }
        return .value(try emit(.slice(ranges), [joined], op))
    }

    // MARK: Extents as numbers

    mutating func shapeOf(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let dims = shape(try value(op, 0)).dims
        return .value(try emit(.cast(try declared(op).dtype), [try integers(dims, [dims.count])], op))
    }

    mutating func rank(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        .value(try emit(.cast(try declared(op).dtype), [try integers([shape(try value(op, 0)).rank], [])], op))
    }

    mutating func range(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let numbers = try (0..<3).map { (place) throws(ImportFailure) -> Double in
            guard let number = try constant(op, place).0.doubles().first, number.isFinite else {
                throw .corrupt("RANGE: its limits are no numbers")
            }
            return number
        }
        let (start, end, step) = (numbers[0], numbers[1], numbers[2])
        guard step != 0, ((end - start) / step).magnitude <= Double(1 << 20) else {
            throw .corrupt("RANGE: from \(start) to \(end) by \(step)")
        }
        let count = max(0, Int(((end - start) / step).rounded(.up)))
        try builder.charge(8 * count)
        let values = builder.constant(Tensor((0..<count).map { start + Double($0) * step }), name: op.location)
        return .value(try emit(.cast(try declared(op).dtype), [values], op))
    }
}
