import OunceGraph

extension TFLiteTranslation {
    /// How one entry of the ranges treats an axis.
    private enum Part {
        case range(SliceRange, isReversed: Bool)
        case index(Int)
        case newAxis
    }

    mutating func stridedSlice(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 0)
        let parts = try slicedParts(op, shape(x))
        var (ranges, reversed, dims): ([SliceRange], [Int], [Int?]) = ([], [], [])
        for part in parts {
            switch part {
            case .newAxis: dims.append(nil)
            case .index(let place):
                ranges.append(SliceRange(from: place, to: place + 1, step: 1, extent: shape(x)[ranges.count]))
            case .range(let range, let isReversed):
                if isReversed { reversed.append(ranges.count) }
                dims.append(ranges.count)
                ranges.append(range)
            }
        }
        let turned = reversed.isEmpty ? x : try emit(.reverse(axes: reversed), [x], op, part: "reversed")
        guard dims.compactMap({ $0 }) != Array(ranges.indices) || dims.contains(nil) else {
            return .value(try emit(.slice(ranges), [turned], op))
        }
        let part = try emit(.slice(ranges), [turned], op, part: "slice")
        let target = dims.map { $0.map { ReshapeDimension.copy($0) } ?? .literal(1) }
        return .value(try emit(.reshape(target), [part], op))
    }

    private mutating func slicedParts(_ op: TFLiteOperator, _ shape: Shape) throws(ImportFailure) -> [Part] {
        let (starts, ends, steps) = (try integers(op, 1), try integers(op, 2), try integers(op, 3))
        guard ends.count == starts.count, steps.count == starts.count, starts.count <= 16 else {
            throw .corrupt("STRIDED_SLICE: \(starts.count) starts and \(ends.count) ends for \(shape)")
        }
        let masks = (
            begin: try op.int(4), end: try op.int(6), ellipsis: try op.int(8), newAxis: try op.int(10),
            shrink: try op.int(12)
        )
        func isSet(_ mask: Int, _ place: Int) -> Bool { mask >> place & 1 == 1 }
        var parts: [Part] = []
        var axis = 0
        for place in starts.indices {
            if isSet(masks.ellipsis, place) {
                let later = starts.count - place - 1
                let laterNew = (place + 1..<starts.count).filter { isSet(masks.newAxis, $0) }.count
                let end = shape.rank - (later - laterNew)
                guard end >= axis else { throw .corrupt("STRIDED_SLICE: more ranges than axes of \(shape)") }
                parts += [Part](repeating: .range(.all, isReversed: false), count: end - axis)
                axis = end
                continue
            }
            if isSet(masks.newAxis, place) {
                parts.append(.newAxis)
                continue
            }
            guard axis < shape.rank else { throw .corrupt("STRIDED_SLICE: more ranges than axes of \(shape)") }
            let extent = shape[axis]
            axis += 1
            if isSet(masks.shrink, place) {
                let index = starts[place] < 0 ? starts[place] + extent : starts[place]
                guard (0..<extent).contains(index) else {
                    throw .corrupt("STRIDED_SLICE: index \(starts[place]) of \(extent)")
                }
                parts.append(.index(index))
                continue
            }
            let end = try op.flag(14) ? starts[place] &+ ends[place] : ends[place]
            parts.append(
                try range(
                    isSet(masks.begin, place) ? nil : starts[place], isSet(masks.end, place) ? nil : end, steps[place],
                    extent))
        }
        return parts + [Part](repeating: .range(.all, isReversed: false), count: max(0, shape.rank - axis))
    }

    /// A negative step reads the axis backwards: the same range, counted from its end.
    private func range(
        _ start: Int?, _ end: Int?, _ step: Int, _ extent: Int
    ) throws(ImportFailure) -> Part {
        guard step != 0, step.magnitude <= Shape.maximumElements else { throw .corrupt("STRIDED_SLICE: step \(step)") }
        func place(_ index: Int) -> Int { index < 0 ? index &+ extent : index }
        if step > 0 {
            let range = SliceRange(from: start ?? 0, to: end ?? extent, step: step, extent: extent)
            return .range(range, isReversed: false)
        }
        let from = extent - 1 - min(max(start.map(place) ?? extent - 1, -1), extent - 1)
        let to = extent - 1 - min(max(end.map(place) ?? -1, -1), extent - 1)
        return .range(SliceRange(from: from, to: max(from, to), step: -step, extent: extent), isReversed: true)
    }
}
