extension GenericLoop {
    func reduce(_ reduction: Reduction, axes: [Int]) {
        let reduced = Set(axes.compactMap { x.shape.normalized(axis: $0) })
        let kept = x.shape.dims.indices.filter { !reduced.contains($0) }
        let strides = x.shape.strides
        let order = reduced.sorted()
        let inner = order.map { x.shape[$0] }
        let many = N(exactlyOrNearest: Double(inner.reduce(1, *)))
        StridedWalk.forEach(kept.map { x.shape[$0] }, [kept.map { strides[$0] }]) { place, outer in
            var result: N?
            StridedWalk.forEach(inner, [order.map { strides[$0] }]) { _, walk in
                let next: N = x.dtype.load(x.bytes, outer.offsets[0] + walk.offsets[0])
                guard let sofar = result else {
                    result = next
                    return
                }
                let op: BinaryOperator =
                    switch reduction {
                    case .mean, .sum: .add
                    case .max: .maximum
                    case .min: .minimum
                    case .product: .multiply
                    }
                result = N.binary(op, sofar, next)
            }
            guard let result else {
                store(neutral(reduction), place)
                return
            }
            store(reduction == .mean ? N.binary(.divide, result, many) : result, place)
        }
    }

    /// What a reduction of no number gives.
    private func neutral(_ reduction: Reduction) -> N {
        switch reduction {
        case .sum: N.zero
        case .product: N.one
        case .mean: N(exactlyOrNearest: .nan)
        case .max: lowest(isLow: true)
        case .min: lowest(isLow: false)
        }
    }

    private func lowest(isLow: Bool) -> N {
        let bits = output.dtype.byteSize * 8
        if output.dtype == .bool { return isLow ? N.zero : N.one }
        if N.self == Double.self { return N(exactlyOrNearest: isLow ? -.infinity : .infinity) }
        let signed = [.int8, .int16, .int32, .int64].contains(output.dtype)
        let power = Double(sign: .plus, exponent: signed ? bits - 1 : bits, significand: 1)
        return N(exactlyOrNearest: isLow ? (signed ? -power : 0) : bits == 64 ? power : power - 1)
    }

    func argReduce(_ reduction: ArgReduction) {
        guard let axis = x.shape.normalized(axis: reduction.axis) else { return }
        let (outer, extent, inner) = x.shape.split(at: axis)
        for a in 0..<outer {
            for b in 0..<inner {
                func number(_ i: Int) -> N { x.dtype.load(x.bytes, (a * extent + i) * inner + b) }
                var (best, place) = (number(0), 0)
                for i in 1..<max(extent, 1) {
                    let next = number(i)
                    let isBetter = reduction.isMaximum ? next > best : next < best
                    if isBetter || (reduction.selectsLast && next == best) { (best, place) = (next, i) }
                }
                out.storeBytes(of: Int64(place), toByteOffset: (a * inner + b) * 8, as: Int64.self)
            }
        }
    }

    func topK(_ top: TopK) {
        guard let axis = x.shape.normalized(axis: top.axis) else { return }
        let (outer, extent, inner) = x.shape.split(at: axis)
        for a in 0..<outer {
            for b in 0..<inner {
                let row: [N] = (0..<extent).map { x.dtype.load(x.bytes, (a * extent + $0) * inner + b) }
                // NaN counts as the largest number.
                func less(_ p: N, _ q: N) -> Bool { p.isNaN ? false : q.isNaN ? true : p < q }
                let order = row.indices.sorted { i, j in
                    if less(row[i], row[j]) { return !top.isLargest }
                    if less(row[j], row[i]) { return top.isLargest }
                    return i < j
                }
                for i in 0..<min(top.k, extent) {
                    let place = (a * top.k + i) * inner + b
                    if top.givesIndices {
                        out.storeBytes(of: Int64(order[i]), toByteOffset: place * 8, as: Int64.self)
                    } else {
                        store(row[order[i]], place)
                    }
                }
            }
        }
    }

    func cumulativeSum(axis: Int, exclusive: Bool, reverse: Bool) {
        guard let axis = x.shape.normalized(axis: axis) else { return }
        let (outer, extent, inner) = x.shape.split(at: axis)
        for a in 0..<outer {
            for b in 0..<inner {
                var sum = N.zero
                for i in 0..<extent {
                    let place = (a * extent + (reverse ? extent - 1 - i : i)) * inner + b
                    let next = N.binary(.add, sum, x.dtype.load(x.bytes, place))
                    store(exclusive ? sum : next, place)
                    sum = next
                }
            }
        }
    }

    func resample(axis: Int) {
        guard let axis = x.shape.normalized(axis: axis), let places = operand(1), let weights = operand(2) else {
            return
        }
        let (outer, extent, inner) = x.shape.split(at: axis)
        let (outputs, taps) = (places.shape[0], places.shape[1])
        let factors = weights.numbers(Double.self)
        let sources = (0..<places.count).map { places.place($0, extent: extent) }
        for a in 0..<outer {
            for o in 0..<outputs {
                for b in 0..<inner {
                    var sum = 0.0
                    for t in o * taps..<(o + 1) * taps {
                        guard let source = sources[t], factors[t] != 0 else { continue }
                        let number: Double = x.dtype.load(x.bytes, (a * extent + source) * inner + b)
                        sum += factors[t] == 1 ? number : factors[t] * number
                    }
                    store(N(exactlyOrNearest: sum), (a * outputs + o) * inner + b)
                }
            }
        }
    }
}
