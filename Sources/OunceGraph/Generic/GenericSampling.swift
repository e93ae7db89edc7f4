import Glibc

extension GenericLoop {
    func sample(_ sampling: GridSampling) {
        guard let places = operand(1) else { return }
        let axes = x.shape.rank - 2
        let (images, channels) = (x.shape[0], x.shape[1])
        let extents = Array(x.shape.dims[2...])
        let plane = extents.reduce(1, *)
        let outputs = places.shape.dims[1...axes].reduce(1, *)
        for image in 0..<images {
            for output in 0..<outputs {
                let taps = extents.indices.map { axis -> [(place: Int?, weight: Double)] in
                    let index = (image * outputs + output) * axes + (axes - 1 - axis)
                    return Self.taps(
                        places.dtype.load(places.bytes, index, as: Double.self), extents[axis], sampling)
                }
                let corners = Self.product(taps, extents)
                for channel in 0..<channels {
                    let start = (image * channels + channel) * plane
                    var sum = 0.0
                    for corner in corners {
                        sum += corner.weight * x.dtype.load(x.bytes, start + corner.offset, as: Double.self)
                    }
                    store(N(exactlyOrNearest: sum), (image * channels + channel) * outputs + output)
                }
            }
        }
    }

    /// Every combination of the taps of all axes that lies inside.
    private static func product(
        _ taps: [[(place: Int?, weight: Double)]], _ extents: [Int]
    ) -> [(offset: Int, weight: Double)] {
        var corners: [(offset: Int, weight: Double)] = [(0, 1)]
        for (axis, list) in taps.enumerated() {
            corners = corners.flatMap { corner in
                list.compactMap { tap in
                    tap.place.map { (corner.offset * extents[axis] + $0, corner.weight * tap.weight) }
                }
            }
        }
        return corners
    }

    /// Which places of an axis a position between them reads, and how much of each.
    private static func taps(
        _ position: Double, _ extent: Int, _ sampling: GridSampling
    ) -> [(place: Int?, weight: Double)] {
        guard position.isFinite, position.magnitude < 0x1p40 else { return [] }
        var position = position
        if sampling.interpolation != .cubic { position = folded(position, extent, sampling.border) }
        func inside(_ place: Double) -> Int? {
            let place = sampling.interpolation == .cubic ? folded(place, extent, sampling.border) : place
            return place >= 0 && place <= Double(extent - 1) ? Int(place.rounded(.toNearestOrEven)) : nil
        }
        switch sampling.interpolation {
        case .nearest: return [(inside(position.rounded(.toNearestOrEven)), 1)]
        case .linear:
            let low = position.rounded(.down)
            return [(inside(low), low + 1 - position), (inside(low + 1), position - low)]
        case .cubic:
            let low = position.rounded(.down)
            let t = position - low
            let a = -0.75
            func near(_ d: Double) -> Double { ((a + 2) * d - (a + 3)) * d * d + 1 }
            func far(_ d: Double) -> Double { ((a * d - 5 * a) * d + 8 * a) * d - 4 * a }
            let weights = [far(1 + t), near(t), near(1 - t), far(2 - t)]
            return weights.enumerated().map { (inside(low - 1 + Double($0.offset)), $0.element) }
        }
    }

    /// The position inside the axis that one outside reads.
    private static func folded(_ position: Double, _ extent: Int, _ border: GridSampling.Border) -> Double {
        let last = Double(extent - 1)
        switch border {
        case .zeros: return position
        case .edge: return min(max(position, 0), last)
        case .mirrorEdge, .mirrorCentre:
            let (low, high) = border == .mirrorEdge ? (-0.5, last + 0.5) : (0, last)
            let range = high - low
            guard range > 0 else { return 0 }
            let turn = fmod((position - low).magnitude, 2 * range)
            let inside = low + (turn > range ? 2 * range - turn : turn)
            return min(max(inside, 0), last)
        }
    }

    func roiAlign(_ align: RoiAlignment) {
        guard let regions = operand(1), let images = operand(2) else { return }
        let (channels, height, width) = (x.shape[1], x.shape[2], x.shape[3])
        let offset = align.isHalfPixel ? 0.5 : 0
        for region in 0..<regions.shape[0] {
            func edge(_ part: Int) -> Double {
                regions.dtype.load(regions.bytes, region * 4 + part, as: Double.self) * Double(align.scale) - offset
            }
            let image = images.place(region, extent: x.shape[0]) ?? 0
            let (left, top) = (edge(0), edge(1))
            // Regions smaller than a pixel count as one where pixels have no half.
            let least = align.isHalfPixel ? 0.0 : 1.0
            let (w, h) = (max(edge(2) - left, least), max(edge(3) - top, least))
            let (binWidth, binHeight) = (w / Double(align.width), h / Double(align.height))
            func samples(_ bin: Double) -> Int {
                if align.samplingRatio > 0 { return align.samplingRatio }
                return bin.isFinite ? Int(min(max(bin.rounded(.up), 0), 1024)) : 0
            }
            let (across, down) = (samples(binWidth), samples(binHeight))
            for row in 0..<align.height {
                for column in 0..<align.width {
                    var taps: [[(offset: Int, weight: Double)]] = []
                    for i in 0..<down {
                        let y = top + (Double(row) + (Double(i) + 0.5) / Double(down)) * binHeight
                        for j in 0..<across {
                            let x = left + (Double(column) + (Double(j) + 0.5) / Double(across)) * binWidth
                            taps.append(Self.bilinear(y, x, height, width))
                        }
                    }
                    for channel in 0..<channels {
                        let plane = (image * channels + channel) * height * width
                        let place = ((region * channels + channel) * align.height + row) * align.width + column
                        let value = pooled(taps, plane, align.kind)
                        store(N(exactlyOrNearest: value), place)
                    }
                }
            }
        }
    }

    private func pooled(
        _ taps: [[(offset: Int, weight: Double)]], _ plane: Int, _ kind: Pooling.Kind
    ) -> Double {
        guard !taps.isEmpty, x.count > 0 else { return 0 }
        func term(_ tap: (offset: Int, weight: Double)) -> Double {
            tap.weight * x.dtype.load(x.bytes, plane + tap.offset, as: Double.self)
        }
        switch kind {
        case .average: return taps.joined().reduce(0) { $0 + term($1) } / Double(taps.count)
        // ONNX takes the largest weighted pixel, not the largest sample.
        case .max: return taps.joined().map(term).max() ?? 0
        }
    }

    /// The four pixels around a place, none where it lies more than a pixel outside.
    private static func bilinear(
        _ y: Double, _ x: Double, _ height: Int, _ width: Int
    ) -> [(offset: Int, weight: Double)] {
        guard height > 0, width > 0, y >= -1, y <= Double(height), x >= -1, x <= Double(width) else { return [] }
        func split(_ position: Double, _ extent: Int) -> (low: Int, high: Int, part: Double) {
            let position = max(position, 0)
            let low = Int(position)
            if low >= extent - 1 { return (extent - 1, extent - 1, 0) }
            return (low, low + 1, position - Double(low))
        }
        let (v, u) = (split(y, height), split(x, width))
        return [
            (v.low * width + u.low, (1 - v.part) * (1 - u.part)), (v.low * width + u.high, (1 - v.part) * u.part),
            (v.high * width + u.low, v.part * (1 - u.part)), (v.high * width + u.high, v.part * u.part),
        ]
    }

    /// By elimination with row exchange.
    func determinant() {
        let size = x.shape.dims.last ?? 0
        for matrix in 0..<count {
            var a = (0..<size * size).map { x.dtype.load(x.bytes, matrix * size * size + $0, as: Double.self) }
            var result = 1.0
            for column in 0..<size {
                let pivot = (column..<size).max { a[$0 * size + column].magnitude < a[$1 * size + column].magnitude }
                guard let pivot, a[pivot * size + column] != 0 else {
                    result = 0
                    break
                }
                if pivot != column {
                    for k in 0..<size { a.swapAt(pivot * size + k, column * size + k) }
                    result = -result
                }
                result *= a[column * size + column]
                for row in column + 1..<max(size, column + 1) {
                    let factor = a[row * size + column] / a[column * size + column]
                    for k in column..<size { a[row * size + k] -= factor * a[column * size + k] }
                }
            }
            store(N(exactlyOrNearest: result), matrix)
        }
    }

    func treeEnsemble(_ trees: TreeEnsemble) {
        guard let nodes = operand(1), let limits = operand(2), let roots = operand(3), let leaves = operand(4),
            let targets = operand(5), let weights = operand(6)
        else { return }
        func integer(_ table: GenericOperand, _ index: Int) -> Int {
            Int(table.dtype.load(table.bytes, index, as: Int64.self))
        }
        let (rows, width, nodeCount) = (x.shape[0], x.shape[1], nodes.shape[0])
        for row in 0..<rows {
            var totals = [Double?](repeating: nil, count: trees.targets)
            for tree in 0..<roots.count {
                var place = integer(roots, tree)
                // A path without end is cut: no path is longer than there are nodes.
                var steps = 0
                while place >= 0, place < nodeCount, steps <= nodeCount {
                    let feature = integer(nodes, place * 5)
                    let value: Double =
                        (0..<width).contains(feature)
                        ? x.dtype.load(x.bytes, row * width + feature, as: Double.self) : .nan
                    let limit: Double = limits.dtype.load(limits.bytes, place, as: Double.self)
                    let holds = Self.holds(integer(nodes, place * 5 + 1), value, limit)
                    let isTaken = value.isNaN && integer(nodes, place * 5 + 4) != 0 ? true : holds
                    place = integer(nodes, place * 5 + (isTaken ? 2 : 3))
                    steps += 1
                }
                let leaf = -1 - place
                guard leaf >= 0, leaf < leaves.count - 1 else { continue }
                let (start, end) = (max(integer(leaves, leaf), 0), min(integer(leaves, leaf + 1), targets.count))
                for entry in start..<max(start, end) {
                    let target = integer(targets, entry)
                    guard totals.indices.contains(target) else { continue }
                    let weight: Double = weights.dtype.load(weights.bytes, entry, as: Double.self)
                    totals[target] =
                        switch (trees.aggregate, totals[target]) {
                        case (_, nil): weight
                        case (.minimum, let sofar?): min(sofar, weight)
                        case (.maximum, let sofar?): max(sofar, weight)
                        case (_, let sofar?): sofar + weight
                        }
                }
            }
            for (target, total) in totals.enumerated() {
                let divisor = trees.aggregate == .average ? Double(max(roots.count, 1)) : 1
                store(N(exactlyOrNearest: (total ?? 0) / divisor), row * trees.targets + target)
            }
        }
    }

    private static func holds(_ rule: Int, _ value: Double, _ limit: Double) -> Bool {
        switch TreeEnsemble.Rule(rawValue: rule) {
        case .lessOrEqual, nil: value <= limit
        case .less: value < limit
        case .greaterOrEqual: value >= limit
        case .greater: value > limit
        case .equal: value == limit
        case .notEqual: value != limit
        }
    }
}
