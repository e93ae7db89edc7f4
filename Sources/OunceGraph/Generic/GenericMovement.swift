extension GenericLoop {
    /// Copies one element of an input of the output's type, bit by bit.
    func copyElement(_ source: GenericOperand, _ from: Int, to place: Int) {
        let size = output.dtype.byteSize
        (out + place * size).copyMemory(from: source.bytes + from * size, byteCount: size)
    }

    /// Operators whose every output element is a certain element of an input.
    func move(_ op: Op) {
        let strides = x.shape.strides
        switch op {
        case .transpose(let permutation): walk(permutation.map { strides[$0] })
        case .expand: walk(x.shape.broadcastStrides(to: shape))
        case .slice(let ranges):
            let starts = ranges.indices.map { ranges[$0].bounds(extent: x.shape[$0]).start * strides[$0] }
            walk(zip(ranges, strides).map { $0.step * $1 }, from: starts.reduce(0, +))
        case .reverse(let axes):
            let reversed = Set(axes.compactMap { x.shape.normalized(axis: $0) })
            let start = reversed.reduce(0) { $0 + (x.shape[$1] - 1) * strides[$1] }
            walk(strides.indices.map { reversed.contains($0) ? -strides[$0] : strides[$0] }, from: start)
        case .reverseSequence(let batchAxis, let timeAxis): reverseSequence(batchAxis, timeAxis)
        case .concat(let axis): concat(axis: axis)
        case .pad(let before, _, let value):
            let filling = N(exactlyOrNearest: Double(value))
            StridedWalk.forEach(shape.dims, []) { place, walk in
                let source = zip(walk.index, before).map { $0 - $1 }
                if zip(source, x.shape.dims).allSatisfy({ $0 >= 0 && $0 < $1 }) {
                    copyElement(x, zip(source, strides).reduce(0) { $0 + $1.0 * $1.1 }, to: place)
                } else {
                    store(filling, place)
                }
            }
        default: return
        }
    }

    private func walk(_ strides: [Int], from start: Int = 0) {
        StridedWalk.forEach(shape.dims, [strides]) { place, walk in copyElement(x, start + walk.offsets[0], to: place) }
    }

    private func concat(axis: Int) {
        guard let axis = shape.normalized(axis: axis) else { return }
        let (outer, extent, inner) = shape.split(at: axis)
        let size = output.dtype.byteSize
        var start = 0
        for case let part? in operands {
            let run = part.shape[axis] * inner * size
            for a in 0..<outer {
                (out + (a * extent + start) * inner * size).copyMemory(from: part.bytes + a * run, byteCount: run)
            }
            start += part.shape[axis]
        }
    }

    private func reverseSequence(_ batchAxis: Int, _ timeAxis: Int) {
        guard let lengths = operand(1), let batch = x.shape.normalized(axis: batchAxis),
            let time = x.shape.normalized(axis: timeAxis)
        else { return }
        let stride = x.shape.strides[time]
        StridedWalk.forEach(shape.dims, [x.shape.strides]) { place, walk in
            let length = Int(clamping: lengths.dtype.load(lengths.bytes, walk.index[batch], as: Int64.self))
            let t = walk.index[time]
            let source = t < min(length, x.shape[time]) ? min(length, x.shape[time]) - 1 - t : t
            copyElement(x, walk.offsets[0] + (source - t) * stride, to: place)
        }
    }

    // MARK: By index

    func gather(_ gathering: Gathering) {
        guard let indices = operand(1) else { return }
        switch gathering {
        case .slices(let axis):
            guard let axis = x.shape.normalized(axis: axis) else { return }
            let (outer, extent, inner) = x.shape.split(at: axis)
            for i in 0..<indices.count {
                guard let source = indices.place(i, extent: extent) else { continue }
                for a in 0..<outer {
                    copyRun((a * extent + source) * inner, to: (a * indices.count + i) * inner, inner)
                }
            }
        case .elements(let axis):
            guard let axis = x.shape.normalized(axis: axis) else { return }
            let strides = x.shape.strides
            StridedWalk.forEach(shape.dims, [strides]) { place, walk in
                guard let source = indices.place(place, extent: x.shape[axis]) else { return }
                copyElement(x, walk.offsets[0] + (source - walk.index[axis]) * strides[axis], to: place)
            }
        case .tuples(let batchAxes):
            let width = indices.shape[indices.shape.rank - 1]
            let run = x.shape.dims[(batchAxes + width)...].reduce(1, *)
            let batches = x.shape.dims[..<batchAxes].reduce(1, *)
            let tuples = indices.shape.dims.dropLast().reduce(1, *)
            let perBatch = batches == 0 ? 0 : tuples / batches
            let whole = x.shape.dims[batchAxes...].reduce(1, *)
            for i in 0..<tuples {
                guard let offset = tuple(indices, i, width: width, firstAxis: batchAxes) else { continue }
                copyRun((perBatch == 0 ? 0 : i / perBatch) * whole + offset, to: i * run, run)
            }
        }
    }

    /// Where tuple `number` points to, in elements from the first of its batch; nil where it lies outside.
    private func tuple(_ indices: GenericOperand, _ number: Int, width: Int, firstAxis: Int) -> Int? {
        var offset = 0
        for i in 0..<width {
            guard let place = indices.place(number * width + i, extent: x.shape[firstAxis + i]) else { return nil }
            offset += place * x.shape.strides[firstAxis + i]
        }
        return offset
    }

    private func copyRun(_ from: Int, to place: Int, _ count: Int) {
        let size = output.dtype.byteSize
        (out + place * size).copyMemory(from: x.bytes + from * size, byteCount: count * size)
    }

    func scatter(_ scattering: Scattering) {
        guard let indices = operand(1), let updates = operand(2) else { return }
        out.copyMemory(from: x.bytes, byteCount: count * output.dtype.byteSize)
        func put(_ from: Int, _ place: Int) {
            let op: BinaryOperator
            switch scattering.reduction {
            case .none:
                copyElement(updates, from, to: place)
                return
            case .add: op = .add
            case .multiply: op = .multiply
            case .maximum: op = .maximum
            case .minimum: op = .minimum
            }
            let sofar: N = output.dtype.load(out, place)
            store(N.binary(op, sofar, updates.dtype.load(updates.bytes, from)), place)
        }
        if let axis = scattering.axis.flatMap({ x.shape.normalized(axis: $0) }) {
            let strides = x.shape.strides
            StridedWalk.forEach(indices.shape.dims, [strides]) { number, walk in
                guard let target = indices.place(number, extent: x.shape[axis]) else { return }
                put(number, walk.offsets[0] + (target - walk.index[axis]) * strides[axis])
            }
        } else {
            let width = indices.shape[indices.shape.rank - 1]
            let run = x.shape.dims[width...].reduce(1, *)
            for number in 0..<indices.shape.dims.dropLast().reduce(1, *) {
                guard let offset = tuple(indices, number, width: width, firstAxis: 0) else { continue }
                for i in 0..<run { put(number * run + i, offset + i) }
            }
        }
    }
}
