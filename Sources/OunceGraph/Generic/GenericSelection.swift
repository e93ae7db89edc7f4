/// Operators whose number of results depends on the data: as many places as there can be results, the rest filled up.
extension GenericLoop {
    private func put(_ number: Int, _ index: Int) {
        out.storeBytes(of: Int64(number), toByteOffset: index * 8, as: Int64.self)
    }

    func nonZero() {
        let (rank, elements, strides) = (x.shape.rank, x.count, x.shape.strides)
        var found = 0
        for index in 0..<elements where x.dtype.load(x.bytes, index, as: N.self) != N.zero {
            for axis in 0..<rank { put(index / strides[axis] % x.shape[axis], axis * elements + found) }
            found += 1
        }
        for axis in 0..<rank {
            for column in found..<max(elements, found) { put(-1, axis * elements + column) }
        }
    }

    /// The first `count` slices, one after another from the start of the output.
    func cut(axis: Int) {
        guard let axis = x.shape.normalized(axis: axis), let limit = operand(1) else { return }
        let (outer, extent, inner) = x.shape.split(at: axis)
        let count = min(max(Int(limit.dtype.load(limit.bytes, 0, as: Int64.self)), 0), extent)
        let bytes = inner * x.dtype.byteSize
        for a in 0..<outer {
            (out + a * count * bytes).copyMemory(from: x.bytes + a * extent * bytes, byteCount: count * bytes)
        }
    }

    func distinct(_ distinct: Distinct) {
        let axis = distinct.axis.flatMap { x.shape.normalized(axis: $0) }
        let (outer, extent, inner) = axis.map { x.shape.split(at: $0) } ?? (1, x.count, 1)
        func number(_ slice: Int, _ part: Int) -> N {
            x.dtype.load(x.bytes, (part / inner * extent + slice) * inner + part % inner)
        }
        /// -1, 0 or 1; NaN counts as the largest number, and as itself.
        func order(_ a: Int, _ b: Int) -> Int {
            for part in 0..<outer * inner {
                let (p, q) = (number(a, part), number(b, part))
                if p.isNaN || q.isNaN {
                    if p.isNaN && q.isNaN { continue }
                    return p.isNaN ? 1 : -1
                }
                if p != q { return p < q ? -1 : 1 }
            }
            return 0
        }
        let sorted = (0..<extent).sorted { a, b in
            let order = order(a, b)
            return order == 0 ? a < b : order < 0
        }
        // Slices that are alike lie side by side, the first to appear in front.
        var groups: [[Int]] = []
        for slice in sorted {
            if let last = groups.last?.first, order(last, slice) == 0 {
                groups[groups.count - 1].append(slice)
            } else {
                groups.append([slice])
            }
        }
        if !distinct.isSorted { groups.sort { ($0.first ?? 0) < ($1.first ?? 0) } }
        switch distinct.part {
        case .first: for place in 0..<extent { put(place < groups.count ? groups[place].first ?? -1 : -1, place) }
        case .counts: for place in 0..<extent { put(place < groups.count ? groups[place].count : 0, place) }
        case .inverse:
            for (place, group) in groups.enumerated() {
                for slice in group { put(place, slice) }
            }
        }
    }

    func nonMaxSuppression(_ suppression: NonMaxSuppression) {
        guard let scores = operand(1) else { return }
        let (images, boxes, classes) = (x.shape[0], x.shape[1], scores.shape[1])
        let corners = Array(0..<images * boxes).map { Corners(x, $0, isCentred: suppression.isCentred) }
        var row = 0
        for image in 0..<images {
            for kind in 0..<classes {
                let own = (0..<boxes).map { box -> Float in
                    Float(scores.dtype.load(scores.bytes, (image * classes + kind) * boxes + box, as: Double.self))
                }
                let order = own.indices.filter { own[$0] > suppression.leastScore }
                    .sorted { own[$0] == own[$1] ? $0 < $1 : own[$0] > own[$1] }
                var kept: [Int] = []
                for box in order where kept.count < suppression.limit {
                    let candidate = corners[image * boxes + box]
                    let isCovered = kept.contains {
                        candidate.overlap(with: corners[image * boxes + $0]) > suppression.overlap
                    }
                    if !isCovered { kept.append(box) }
                }
                for box in kept {
                    for (column, number) in [image, kind, box].enumerated() { put(number, row * 3 + column) }
                    row += 1
                }
            }
        }
        for index in min(row * 3, count)..<count { put(-1, index) }
    }
}

/// A box by its lower and upper corner.
private struct Corners {
    let (x0, y0, x1, y1): (Float, Float, Float, Float)

    init(_ boxes: GenericOperand, _ index: Int, isCentred: Bool) {
        func number(_ part: Int) -> Float { Float(boxes.dtype.load(boxes.bytes, index * 4 + part, as: Double.self)) }
        let (a, b, c, d) = (number(0), number(1), number(2), number(3))
        if isCentred {
            (x0, y0, x1, y1) = (a - c / 2, b - d / 2, a + c / 2, b + d / 2)
        } else {
            (y0, x0, y1, x1) = (min(a, c), min(b, d), max(a, c), max(b, d))
        }
    }

    var area: Float { (x1 - x0) * (y1 - y0) }

    /// The common area over that of both together.
    func overlap(with other: Corners) -> Float {
        let (width, height) = (min(x1, other.x1) - max(x0, other.x0), min(y1, other.y1) - max(y0, other.y0))
        guard width > 0, height > 0, area > 0, other.area > 0 else { return 0 }
        let common = width * height
        return common / (area + other.area - common)
    }
}
