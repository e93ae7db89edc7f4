import OunceGraph

// Operators whose number of results depends on the data.
extension TFLiteTranslation {
    /// Version 4 gives the places of the boxes and their count, version 5 also their scores. Behind the count lie zeros.
    mutating func nonMaxSuppression(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        func number(_ place: Int, _ t: inout Self) throws(ImportFailure) -> Double {
            guard let number = try t.constant(op, place).0.doubles().first, !number.isNaN else {
                throw .corrupt("\(op.name): input \(place) is no number")
            }
            return number
        }
        let (boxes, scores) = (try real(op, 0), try real(op, 1))
        let hasScores = op.name == "NON_MAX_SUPPRESSION_V5"
        let limit = try number(2, &self)
        guard shape(boxes).rank == 2, shape(scores).rank == 1, (0...0x1p20).contains(limit) else {
            throw .corrupt("\(op.name): boxes \(shape(boxes)), scores \(shape(scores)), at most \(limit)")
        }
        if hasScores, try number(5, &self) != 0 {
            throw .unsupported("soft suppression changes the scores; export with a sigma of 0, or do it outside")
        }
        // A box that overlaps by just the threshold goes.
        let suppression = NonMaxSuppression(
            limit: Int(limit), overlap: Float(try number(3, &self)).nextDown, leastScore: Float(try number(4, &self)),
            isCentred: false)
        let rows = try node(
            .nonMaxSuppression(suppression),
            [
                try reshaped(boxes, [1] + shape(boxes).dims, op),
                try reshaped(scores, [1, 1] + shape(scores).dims, op),
            ], name: "\(op.location).rows")
        let count = shape(rows)[0]
        let column = SliceRange(from: 2, to: 3, step: 1, extent: 3)
        let column3 = try node(.slice([.all, column]), [rows], name: "\(op.location).column")
        let places = try reshaped(column3, [count], op)
        let zero = try integers([0], [])
        let isThere = try compare(.greaterOrEqual, places, zero, op)
        let kept = try binary(.maximum, places, zero, op)
        let rest = [Int(limit) - count]
        let marks = try node(.cast(.int64), [isThere], name: "\(op.location).marks")
        let sum = try node(.reduce(.sum, axes: [0], keepDims: false), [marks], name: "\(op.location).sum")
        let chosen = try emit(
            .cast(try declared(op).dtype), [try padded(kept, after: rest, op)], op)
        let valid = hasScores ? 2 : 1
        let total = try emit(.cast(try declared(op, valid).dtype), [sum], op, at: valid)
        guard hasScores else { return .several([.value(chosen), .value(total)]) }
        let own = try node(.gather(.slices(axis: 0)), [scores, kept], name: "\(op.location).own")
        let only = try node(.select, [isThere, own, scalar(0)], name: "\(op.location).scores")
        let values = try emit(
            .reshape([.literal(Int(limit))]), [try padded(only, after: rest, op)], op, at: 1)
        return .several([.value(chosen), .value(values), .value(total)])
    }

    /// int64 `[count, rank]`: the places of what is not zero.
    mutating func placesOfNonZero(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        guard shape(x).rank > 0, shape(x).elementCount ?? 0 > 0, builder.graph[x].encoding == .plain else {
            throw .unsupported("places in \(shape(x)); convert without it")
        }
        let places = try builder.emit(.nonZero, [x], name: "\(op.location).places")
        let first = try node(
            .slice([SliceRange(from: 0, to: 1, step: 1, extent: shape(x).rank), .all]), [places],
            name: "\(op.location).first")
        let count = try countOfMarks(try reshaped(first, [shape(places)[1]], op), op)
        builder.runTimeExtents[places] = RunTimeExtent(axis: 1, count: count)
        return .value(try emit(.transpose([1, 0]), [places], op))
    }

    /// The different numbers in the order in which they appear, and for each number which one it is.
    mutating func distinct(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        guard shape(x).rank == 1, shape(x)[0] > 0, builder.graph[x].encoding == .plain, op.outputs.count == 2 else {
            throw .unsupported("the different numbers of \(shape(x)); convert without it")
        }
        func part(_ part: Distinct.Part) -> Op { .distinct(Distinct(axis: nil, isSorted: false, part: part)) }
        let first = try builder.emit(part(.first), [x], name: "\(op.location).first")
        let count = try countOfMarks(first, op)
        builder.runTimeExtents[first] = RunTimeExtent(axis: 0, count: count)
        let inverse = try builder.emit(part(.inverse), [x], name: "\(op.location).inverse")
        return .several([
            .value(try emit(.gather(.slices(axis: 0)), [x, first], op)),
            .value(try emit(.cast(try declared(op, 1).dtype), [inverse], op, at: 1)),
        ])
    }

    /// How many numbers along the only axis of `marks` are at least zero.
    private mutating func countOfMarks(_ marks: ValueID, _ op: TFLiteOperator) throws(ImportFailure) -> ValueID {
        let isThere = try compare(.greaterOrEqual, marks, try integers([0], []), op)
        let ones = try node(.cast(.int64), [isThere], name: "\(op.location).marks")
        return try node(.reduce(.sum, axes: [0], keepDims: false), [ones], name: "\(op.location).count")
    }

    /// The operators that may read a tensor whose extent depends on the data.
    private static let readersOfOpenExtents: Set<String> = ["CAST", "GATHER", "GATHER_ND"]

    /// - Throws: where the operator reads an extent that is known only when the model has run, and so cannot be planned.
    func checkExtents(_ op: TFLiteOperator) throws(ImportFailure) {
        guard !builder.runTimeExtents.isEmpty, !Self.readersOfOpenExtents.contains(op.name) else { return }
        for index in op.inputs where index >= 0 {
            guard case .value(let id) = boundTensor(index), builder.runTimeExtents[id] != nil else { continue }
            throw .unsupported("the extent of its input depends on the data; do this step outside of the model")
        }
    }
}
