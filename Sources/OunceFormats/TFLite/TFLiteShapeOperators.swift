import OunceGraph

extension TFLiteTranslation {
    mutating func reshape(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let extents = input(op, 1) == nil ? try op.ints(4) : try integers(op, 1)
        guard extents.count <= 8 else { throw .corrupt("RESHAPE: \(extents.count) axes, over 8") }
        let dimensions = extents.map { $0 == -1 ? ReshapeDimension.infer : .literal($0) }
        return .value(try emit(.reshape(dimensions), [try value(op, 0)], op))
    }

    mutating func squeeze(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let given = try axes(try op.ints(4), rank: shape(x).rank)
        let dropped = given.isEmpty ? shape(x).dims.indices.filter { shape(x)[$0] == 1 } : given
        let kept = shape(x).dims.indices.filter { !dropped.contains($0) }
        return .value(try emit(.reshape(kept.map { .copy($0) }), [x], op))
    }

    mutating func expandDims(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let rank = shape(x).rank
        guard let axis = try axes(try integers(op, 1), rank: rank + 1).first else {
            throw .corrupt("EXPAND_DIMS: the axis is missing")
        }
        var dimensions = (0..<rank).map { ReshapeDimension.copy($0) }
        dimensions.insert(.literal(1), at: axis)
        return .value(try emit(.reshape(dimensions), [x], op))
    }

    mutating func concat(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        guard try activation(op, 6) == .none else {
            throw .unsupported("a fused activation; convert without fusing it")
        }
        var inputs: [ValueID?] = []
        for place in op.inputs.indices { inputs.append(try value(op, place)) }
        guard let first = inputs.first.flatMap({ $0 }) else { throw .corrupt("CONCATENATION of nothing") }
        guard let axis = try axes([try op.int(4)], rank: shape(first).rank).first else { throw .corrupt("the axis") }
        return .value(try emit(.concat(axis: axis), inputs, op))
    }

    /// The filling of quantised tensors is on the input's grid; PAD fills with the real zero.
    mutating func pad(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let padding = try integers(op, 1)
        guard padding.count == 2 * shape(x).rank, padding.allSatisfy({ (0...1 << 20).contains($0) }) else {
            throw .corrupt("\(op.name): paddings \(padding.prefix(16)) for \(shape(x))")
        }
        var filling: Float = 0
        if op.name == "PADV2" {
            let (tensor, encoding) = try constant(op, 2)
            let real = try encoding.affine.map { (affine) throws(ImportFailure) in
                try builder.dequantize(tensor, affine)
            }
            guard let value = (real ?? tensor).floats().first, tensor.count == 1 else {
                throw .corrupt("PADV2: the filling is no single number")
            }
            filling = value
        }
        let before = stride(from: 0, to: padding.count, by: 2).map { padding[$0] }
        let after = stride(from: 1, to: padding.count, by: 2).map { padding[$0] }
        return .value(try emit(.pad(before: before, after: after, value: filling), [x], op))
    }

    mutating func slice(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let (starts, sizes) = (try integers(op, 1), try integers(op, 2))
        guard starts.count == shape(x).rank, sizes.count == starts.count else {
            throw .corrupt("SLICE: \(starts.count) starts and \(sizes.count) sizes for \(shape(x))")
        }
        var ranges: [SliceRange] = []
        for (axis, extent) in shape(x).dims.enumerated() {
            let start = starts[axis]
            guard (0...extent).contains(start), (-1...extent - start).contains(sizes[axis]) else {
                throw .corrupt("SLICE: \(sizes[axis]) from \(start) on an axis of \(extent)")
            }
            let end = sizes[axis] < 0 ? extent : start + sizes[axis]
            ranges.append(SliceRange(from: start, to: end, step: 1, extent: extent))
        }
        return .value(try emit(.slice(ranges), [x], op))
    }

    mutating func stridedSlice(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let (starts, ends, steps) = (try integers(op, 1), try integers(op, 2), try integers(op, 3))
        let rank = shape(x).rank
        guard starts.count <= rank, ends.count == starts.count, steps.count == starts.count else {
            throw .corrupt("STRIDED_SLICE: \(starts.count) ranges for \(shape(x))")
        }
        guard try op.int(8) == 0, try op.int(10) == 0, try !op.flag(14) else {
            throw .unsupported("an ellipsis, a new axis or an offset; convert with plain slices")
        }
        let (startMask, endMask, shrinkMask) = (try op.int(4), try op.int(6), try op.int(12))
        var ranges = [SliceRange](repeating: .all, count: rank)
        var kept = Array(0..<rank)
        for axis in starts.indices {
            guard (1...Shape.maximumElements).contains(steps[axis]) else {
                throw .unsupported("a step that is not positive; convert without reversing")
            }
            let extent = shape(x)[axis]
            let start = startMask >> axis & 1 == 1 ? 0 : starts[axis]
            if shrinkMask >> axis & 1 == 1 {
                let place = start < 0 ? start + extent : start
                guard (0..<extent).contains(place) else { throw .corrupt("STRIDED_SLICE: index \(start) of \(extent)") }
                ranges[axis] = SliceRange(from: place, to: place + 1, step: 1, extent: extent)
                kept.removeAll { $0 == axis }
            } else {
                let end = endMask >> axis & 1 == 1 ? extent : ends[axis]
                ranges[axis] = SliceRange(from: start, to: end, step: steps[axis], extent: extent)
            }
        }
        guard kept.count < rank else { return .value(try emit(.slice(ranges), [x], op)) }
        let part = try emit(.slice(ranges), [x], op, part: "slice")
        return .value(try emit(.reshape(kept.map { .copy($0) }), [part], op))
    }
}
