import OunceGraph

// Operators that choose or place numbers by index.
extension TFLiteTranslation {
    mutating func gather(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (x, indices) = (try value(op, 0), try value(op, 1))
        let axis = try axis(try op.int(4), rank: max(shape(x).rank, 1))
        let batches = try op.int(6)
        guard batches != 0 else { return .value(try emit(.gather(.slices(axis: axis)), [x, indices], op)) }
        let count = batches < 0 ? batches + shape(indices).rank : batches
        // Tuples share their first axes with the data; the axis comes right behind those.
        guard count >= 0, count == axis, count < shape(x).rank else {
            throw .unsupported("axis \(axis) with \(batches) shared axes; convert with the axis behind the shared ones")
        }
        let tuples = try reshaped(indices, shape(indices).dims + [1], op)
        return .value(try emit(.gather(.tuples(batchAxes: count)), [x, tuples], op))
    }

    mutating func gatherTuples(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let inputs = [try value(op, 0), try integerIndices(try value(op, 1), op)]
        return .value(try emit(.gather(.tuples(batchAxes: 0)), inputs, op))
    }

    private mutating func integerIndices(_ id: ValueID, _ op: TFLiteOperator) throws(ImportFailure) -> ValueID {
        let dtype = builder.graph[id].dtype
        guard dtype != .int32, dtype != .int64 else { return id }
        return try node(.cast(.int64), [id], name: "\(op.location).indices")
    }

    /// Updates for the same place add up.
    mutating func scatterTuples(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (indices, updates, extents) = (try value(op, 0), try real(op, 1), try integers(op, 2))
        let start = try filled(try scalar(0, like: updates, op), extents, op)
        let scattering = Scattering(axis: nil, reduction: .add)
        return .value(try finish(try node(.scatter(scattering), [start, indices, updates], name: op.location), op))
    }

    /// A tensor of one number.
    private mutating func filled(
        _ number: ValueID, _ extents: [Int], _ op: TFLiteOperator
    ) throws(ImportFailure) -> ValueID {
        guard extents.allSatisfy({ $0 >= 0 }), Shape(extents).elementCount != nil else {
            throw .corrupt("\(op.name): extents \(extents.prefix(8))")
        }
        return try node(.expand(extents), [number], name: "\(op.location).filled")
    }

    mutating func fill(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (extents, number) = (try integers(op, 0), try value(op, 1))
        guard extents.allSatisfy({ $0 >= 0 }), Shape(extents).elementCount != nil else {
            throw .corrupt("FILL: extents \(extents.prefix(8))")
        }
        return .value(try emit(.expand(extents), [number], op))
    }

    mutating func segments(_ reduction: Scattering.Reduction, _ op: TFLiteOperator) throws(ImportFailure)
        -> TFLiteBinding
    {
        let (x, ids) = (try value(op, 0), try value(op, 1))
        let count: Int
        if op.name == "SEGMENT_SUM" {
            count = (try integers(op, 1).max() ?? -1) &+ 1
        } else {
            count = try integers(op, 2).first ?? 0
        }
        let dtype = builder.graph[x].dtype
        guard shape(ids).rank == 1, (0...1 << 20).contains(count), dtype == .float32 || dtype == .int32 else {
            throw .unsupported("segments \(shape(ids)) of \(dtype); convert with one axis of segments")
        }
        let start: ValueID =
            switch (reduction, dtype) {
            case (.add, _): try scalar(0, like: x, op)
            case (.multiply, _): try scalar(1, like: x, op)
            case (.maximum, .float32): scalar(-.greatestFiniteMagnitude)
            case (_, .float32): scalar(.greatestFiniteMagnitude)
            case (.maximum, _): try scalar(Int(Int32.min), like: x, op)
            default: try scalar(Int(Int32.max), like: x, op)
            }
        let target = try filled(start, [count] + shape(x).dims.dropFirst(), op)
        let tuples = try reshaped(ids, shape(ids).dims + [1], op)
        let scattering = Scattering(axis: nil, reduction: reduction)
        return .value(try emit(.scatter(scattering), [target, tuples, x], op))
    }

    mutating func sparseToDense(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        var (indices, extents, values) = (try value(op, 0), try integers(op, 1), try value(op, 2))
        switch shape(indices).rank {
        case 0: indices = try reshaped(indices, [1, 1], op)
        case 1:
            let dims = extents.count == 1 ? shape(indices).dims + [1] : [1, extents.count]
            indices = try reshaped(indices, dims, op)
        default: break
        }
        let target = try filled(try value(op, 3), extents, op)
        values = try node(.expand([shape(indices)[0]]), [values], name: "\(op.location).values")
        return .value(
            try emit(.scatter(Scattering(axis: nil, reduction: .none)), [target, indices, values], op))
    }

    mutating func embeddingLookup(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (indices, table) = (try value(op, 0), try value(op, 1))
        let (grid, output) = (builder.graph[table].encoding, try declared(op))
        guard grid != .plain, output.encoding != grid else {
            return .value(try emit(.gather(.slices(axis: 0)), [table, indices], op))
        }
        return .value(
            try finish(
                try node(.gather(.slices(axis: 0)), [try real(table), indices], name: "\(op.location).rows"), op))
    }

    mutating func oneHot(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (indices, on, off) = (try value(op, 0), try value(op, 2), try value(op, 3))
        guard let depth = try integers(op, 1).first, (0...1 << 20).contains(depth) else {
            throw .corrupt("ONE_HOT: the depth is missing")
        }
        let rank = shape(indices).rank
        let axis = try axis(try op.int(4), rank: rank + 1)
        var dims = shape(indices).dims
        dims.insert(1, at: axis)
        var steps = [Int](repeating: 1, count: rank + 1)
        steps[axis] = depth
        let wide = try node(
            .cast(.int64), [try reshaped(indices, dims, op)], name: "\(op.location).indices")
        let hot = try compare(.equal, wide, try integers(Array(0..<depth), Shape(steps)), op)
        return .value(try emit(.select, [hot, on, off], op))
    }

    mutating func topK(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        guard let k = try integers(op, 1).first, shape(x).rank > 0 else { throw .corrupt("TOPK_V2: k is missing") }
        func top(_ givesIndices: Bool) -> Op {
            .topK(TopK(axis: shape(x).rank - 1, k: k, isLargest: true, givesIndices: givesIndices))
        }
        let places = try node(top(true), [try real(x)], name: "\(op.location).places")
        return .several([
            .value(try emit(top(false), [x], op)),
            .value(try emit(.cast(try declared(op, 1).dtype), [places], op, at: 1)),
        ])
    }

    mutating func cumulativeSum(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let axis = try axis(try integers(op, 1).first ?? 0, rank: shape(x).rank)
        return .value(
            try emit(.cumulativeSum(axis: axis, exclusive: try op.flag(4), reverse: try op.flag(6)), [x], op))
    }

    /// The part lies where its constant start says, moved inwards so that it fits.
    mutating func updateSlice(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (x, update, starts) = (try value(op, 0), try value(op, 1), try integers(op, 2))
        let (dims, part) = (shape(x).dims, shape(update).dims)
        guard starts.count == dims.count, part.count == dims.count, zip(part, dims).allSatisfy({ $0 <= $1 }) else {
            throw .corrupt("DYNAMIC_UPDATE_SLICE: \(shape(update)) at \(starts.prefix(8)) of \(shape(x))")
        }
        let before = dims.indices.map { min(max(starts[$0], 0), dims[$0] - part[$0]) }
        let after = dims.indices.map { dims[$0] - part[$0] - before[$0] }
        func padded(_ id: ValueID, _ t: inout Self) throws(ImportFailure) -> ValueID {
            try t.emit(.pad(before: before, after: after, value: 0), [id], op, part: "pad")
        }
        let ones = try node(.expand(part), [scalar(1)], name: "\(op.location).ones")
        let isPart = try node(.cast(.bool), [try padded(ones, &self)], name: "\(op.location).part")
        guard builder.graph[x].encoding == builder.graph[update].encoding else {
            throw .unsupported("its inputs lie on different grids; convert with one scale")
        }
        return .value(try emit(.select, [isPart, try padded(update, &self), x], op))
    }

    /// Whether row and column are the same, of the last two axes.
    private mutating func diagonal(_ rows: Int, _ columns: Int, _ op: TFLiteOperator) throws(ImportFailure) -> ValueID {
        guard max(rows, columns) <= 1 << 15 else {
            throw .unsupported("a diagonal of \(rows) by \(columns); convert without it")
        }
        let row = try integers(Array(0..<rows), [rows, 1])
        return try compare(.equal, row, try integers(Array(0..<columns), [1, columns]), op)
    }

    mutating func matrixDiagonal(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try real(op, 0)
        guard let extent = shape(x).dims.last else { throw .corrupt("MATRIX_DIAG of one number") }
        let rows = try reshaped(x, shape(x).dims + [1], op)
        let choice = try node(
            .select, [try diagonal(extent, extent, op), rows, try scalar(0, like: x, op)],
            name: "\(op.location).diagonal")
        return .value(try finish(choice, op))
    }

    mutating func setMatrixDiagonal(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (x, values) = (try real(op, 0), try real(op, 1))
        guard shape(x).rank >= 2, let extent = shape(values).dims.last else { throw .corrupt("MATRIX_SET_DIAG") }
        let (rows, columns) = (shape(x)[shape(x).rank - 2], shape(x)[shape(x).rank - 1])
        guard rows == columns, extent == rows else {
            throw .unsupported("a diagonal of \(rows) by \(columns); convert with square matrices")
        }
        let wide = try reshaped(values, shape(values).dims + [1], op)
        let choice = try node(
            .select, [try diagonal(rows, columns, op), wide, x], name: "\(op.location).diagonal")
        return .value(try finish(choice, op))
    }
}
