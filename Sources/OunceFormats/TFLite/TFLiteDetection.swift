import OunceGraph

/// The end of a single-shot detector: boxes told relative to anchors become corners, and of those that overlap the best
/// remain.
///
/// Inputs: boxes `[1, N, 4 or more]` (centre y, centre x, height, width), scores `[1, N, classes]` with or without a first
/// column for the background, anchors `[N, 4]`. Outputs, all float32: corners `[1, D, 4]` (y, x, y, x), classes `[1, D]`,
/// scores `[1, D]`, count `[1]`. What lies behind the count is 0.
struct TFLiteDetection {
    let limit: Int
    let classesPerBox: Int
    let limitPerClass: Int
    let classes: Int
    let overlap: Float
    let leastScore: Float
    /// Of y, x, height and width.
    let scales: [Float]
    /// Each class for itself; else each box by its best class.
    let isByClass: Bool

    init(_ options: FlexMap) throws(ImportFailure) {
        func float(_ key: String) -> Float { Float(options.number(key) ?? .nan) }
        limit = options.integer("max_detections") ?? 0
        classesPerBox = options.integer("max_classes_per_detection") ?? 0
        limitPerClass = options.integer("detections_per_class") ?? 100
        classes = options.integer("num_classes") ?? 0
        (overlap, leastScore) = (float("nms_iou_threshold"), float("nms_score_threshold"))
        scales = ["y_scale", "x_scale", "h_scale", "w_scale"].map(float)
        isByClass = (options.integer("use_regular_nms") ?? 0) != 0
        guard (1...1 << 16).contains(limit), (1...1 << 10).contains(classesPerBox), limit * classesPerBox <= 1 << 20,
            limitPerClass > 0,
            (1...1 << 16).contains(classes), !overlap.isNaN, !leastScore.isNaN,
            scales.allSatisfy({ $0.isFinite && $0 != 0 })
        else { throw .corrupt("TFLite_Detection_PostProcess: its options are missing or out of range") }
    }
}

extension TFLiteTranslation {
    mutating func detection(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let detection = try TFLiteDetection(try op.customOptions())
        let (boxes, given) = (try real(op, 0), try real(op, 1))
        let (anchors, count) = (try real(op, 2), shape(given).dims.count > 1 ? shape(given)[1] : 0)
        guard shape(boxes).rank == 3, shape(given).rank == 3, shape(anchors).dims == [count, 4], count > 0,
            shape(boxes)[0] == 1, shape(boxes)[1] == count, shape(boxes)[2] >= 4, shape(given)[0] == 1,
            (0...1).contains(shape(given)[2] - detection.classes), op.outputs.count == 4
        else {
            throw .corrupt("\(op.name): boxes \(shape(boxes)), scores \(shape(given)), anchors \(shape(anchors))")
        }
        let background = shape(given)[2] - detection.classes
        let columns = try columns(given, background, shape(given)[2], op)
        let scores = try reshaped(columns, [count, detection.classes], op)
        let corners = try corners(boxes, anchors, detection, op)
        return detection.isByClass
            ? try detectByClass(corners, scores, detection, op) : try detectByBox(corners, scores, detection, op)
    }

    private mutating func columns(
        _ x: ValueID, _ start: Int, _ end: Int, _ op: TFLiteOperator
    ) throws(ImportFailure) -> ValueID {
        var ranges = [SliceRange](repeating: .all, count: shape(x).rank)
        guard let extent = shape(x).dims.last, start > 0 || end < extent else { return x }
        ranges[ranges.count - 1] = SliceRange(from: start, to: end, step: 1, extent: extent)
        return try node(.slice(ranges), [x], name: "\(op.location).columns")
    }

    /// `[1, N, 4]`: y, x, y, x.
    private mutating func corners(
        _ boxes: ValueID, _ anchors: ValueID, _ detection: TFLiteDetection, _ op: TFLiteOperator
    ) throws(ImportFailure) -> ValueID {
        let (centre, size) = (try columns(boxes, 0, 2, op), try columns(boxes, 2, 4, op))
        let (anchorCentre, anchorSize) = (try columns(anchors, 0, 2, op), try columns(anchors, 2, 4, op))
        let scales = (0..<2).map { half in
            builder.constant(Tensor(Array(detection.scales[(2 * half)..<(2 * half + 2)])), name: "\(op.location).scale")
        }
        let shift = try binary(.multiply, try binary(.divide, centre, scales[0], op), anchorSize, op)
        let middle = try binary(.add, shift, anchorCentre, op)
        let factor = try unary(.exp, try binary(.divide, size, scales[1], op), op)
        let half = try binary(.multiply, try binary(.multiply, factor, scalar(0.5), op), anchorSize, op)
        let ends = [try binary(.subtract, middle, half, op), try binary(.add, middle, half, op)]
        return try node(.concat(axis: 2), ends, name: "\(op.location).corners")
    }

    /// What suppression leaves: the class (`column` 1) or box (2) of each row, 0 where there is none.
    private mutating func places(
        _ rows: ValueID, column: Int, _ op: TFLiteOperator
    ) throws(ImportFailure) -> ValueID {
        let own = try reshaped(try columns(rows, column, column + 1, op), [shape(rows)[0]], op)
        return try binary(.maximum, own, try integers([0], []), op)
    }

    /// Which rows stand for a box.
    private mutating func isThere(_ rows: ValueID, _ op: TFLiteOperator) throws(ImportFailure) -> ValueID {
        let images = try reshaped(try columns(rows, 0, 1, op), [shape(rows)[0]], op)
        return try compare(.greaterOrEqual, images, try integers([0], []), op)
    }

    private func suppression(_ detection: TFLiteDetection, limit: Int) -> Op {
        // A score at the threshold counts.
        .nonMaxSuppression(
            NonMaxSuppression(
                limit: limit, overlap: detection.overlap, leastScore: detection.leastScore.nextDown, isCentred: false))
    }

    private mutating func detectByBox(
        _ corners: ValueID, _ scores: ValueID, _ detection: TFLiteDetection, _ op: TFLiteOperator
    ) throws(ImportFailure) -> TFLiteBinding {
        let best = try node(.reduce(.max, axes: [1], keepDims: false), [scores], name: "\(op.location).best")
        let rows = try node(
            suppression(detection, limit: detection.limit),
            [corners, try reshaped(best, [1, 1, shape(scores)[0]], op)], name: "\(op.location).rows")
        let box = try places(rows, column: 2, op)
        let own = try node(.gather(.slices(axis: 0)), [scores, box], name: "\(op.location).own")
        let k = min(detection.classesPerBox, detection.classes)
        func top(_ givesIndices: Bool) -> Op {
            .topK(TopK(axis: 1, k: k, isLargest: true, givesIndices: givesIndices))
        }
        return try detected(
            box, try node(top(true), [own], name: "\(op.location).kinds"),
            try node(top(false), [own], name: "\(op.location).scores"), try isThere(rows, op), corners, detection, op)
    }

    private mutating func detectByClass(
        _ corners: ValueID, _ scores: ValueID, _ detection: TFLiteDetection, _ op: TFLiteOperator
    ) throws(ImportFailure) -> TFLiteBinding {
        let classes = try transposed(scores, [1, 0], op)
        let all = try node(
            suppression(detection, limit: detection.limitPerClass),
            [corners, try reshaped(classes, [1] + shape(classes).dims, op)], name: "\(op.location).all")
        let count = shape(all)[0]
        let tuples = try binary(.maximum, try columns(all, 1, 3, op), try integers([0], []), op)
        let own = try node(.gather(.tuples(batchAxes: 0)), [classes, tuples], name: "\(op.location).own")
        let ranked = try node(
            .select, [try isThere(all, op), own, scalar(-.infinity)], name: "\(op.location).ranked")
        let k = min(detection.limit, count)
        let order = try node(
            .topK(TopK(axis: 0, k: k, isLargest: true, givesIndices: true)), [ranked], name: "\(op.location).order")
        let rows = try node(.gather(.slices(axis: 0)), [all, order], name: "\(op.location).rows")
        let kept = try node(.gather(.slices(axis: 0)), [own, order], name: "\(op.location).scores")
        return try detected(
            try places(rows, column: 2, op), try reshaped(try places(rows, column: 1, op), [k, 1], op),
            try reshaped(kept, [k, 1], op), try isThere(rows, op), corners, detection, op)
    }

    /// The four outputs. `kind` and `score` are `[rows, classes]`, `box` and `isThere` `[rows]`.
    private mutating func detected(
        _ box: ValueID, _ kind: ValueID, _ score: ValueID, _ isThere: ValueID, _ corners: ValueID,
        _ detection: TFLiteDetection, _ op: TFLiteOperator
    ) throws(ImportFailure) -> TFLiteBinding {
        let (rows, own) = (shape(box)[0], shape(kind)[1])
        // By class, a box has one class, and what more the outputs have room for lies behind all of them.
        let width = detection.isByClass ? 1 : detection.classesPerBox
        let total = detection.limit * detection.classesPerBox
        func output(
            _ x: ValueID, _ place: Int, _ rest: [Int], _ t: inout Self
        ) throws(ImportFailure) -> ValueID {
            let ones = [Int](repeating: 1, count: 1 + rest.count)
            let there = try t.reshaped(isThere, [rows] + ones, op)
            let zeros = [Int](repeating: 0, count: rest.count)
            var y = try t.node(.select, [there, x, t.scalar(0)], name: "\(op.location).\(place)")
            y = try t.padded(y, after: [0, width - own] + zeros, op)
            y = try t.reshaped(y, [rows * width] + rest, op)
            y = try t.padded(y, after: [total - rows * width] + zeros, op)
            return try t.emit(.reshape(([1, total] + rest).map { .literal($0) }), [y], op, at: place)
        }
        let table = try reshaped(corners, [shape(corners)[1], 4], op)
        let slices = try node(.gather(.slices(axis: 0)), [table, box], name: "\(op.location).found")
        let wide = try node(
            .expand([rows, own, 4]), [try reshaped(slices, [rows, 1, 4], op)], name: "\(op.location).wide")
        let kinds = try node(.cast(.float32), [kind], name: "\(op.location).classes")
        let marks = try node(.cast(.float32), [isThere], name: "\(op.location).marks")
        return .several([
            .value(try output(wide, 0, [4], &self)), .value(try output(kinds, 1, [], &self)),
            .value(try output(score, 2, [], &self)),
            .value(try emit(.reduce(.sum, axes: [0], keepDims: true), [marks], op, at: 3)),
        ])
    }

    /// With zeros behind.
    mutating func padded(_ x: ValueID, after: [Int], _ op: TFLiteOperator) throws(ImportFailure) -> ValueID {
        guard after.contains(where: { $0 > 0 }) else { return x }
        return try node(
            .pad(before: [Int](repeating: 0, count: after.count), after: after, value: 0), [x],
            name: "\(op.location).padded")
    }
}
