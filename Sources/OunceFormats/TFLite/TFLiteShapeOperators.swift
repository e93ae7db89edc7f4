import OunceGraph

extension TFLiteTranslation {
    mutating func reshape(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let extents = op.has(4) && input(op, 1) == nil ? try op.ints(4) : try integers(op, 1)
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
        var inputs: [ValueID?] = []
        for place in op.inputs.indices { inputs.append(try value(op, place)) }
        guard let first = inputs.first.flatMap({ $0 }) else { throw .corrupt("CONCATENATION of nothing") }
        let axis = try axis(try op.int(4), rank: shape(first).rank)
        guard case .clamp(.none) = try fusedActivation(op, 6) else {
            var reals: [ValueID?] = []
            for id in inputs { reals.append(try id.map { (id) throws(ImportFailure) in try real(id) }) }
            let joined = try node(.concat(axis: axis), reals, name: "\(op.location).joined")
            switch try fusedActivation(op, 6) {
            case .clamp(let clamp):
                return .value(try finish(try unary(.clip(clamp.bounds.low, clamp.bounds.high), joined, op), op))
            case .function(let function): return .value(try finish(try unary(function, joined, op), op))
            }
        }
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
}
