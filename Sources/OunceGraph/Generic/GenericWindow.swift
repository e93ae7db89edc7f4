extension GenericLoop {
    func matMul() {
        guard let y = operand(1) else { return }
        let (m, n) = (shape[shape.rank - 2], shape[shape.rank - 1])
        let k = x.shape[x.shape.rank - 1]
        let batch = Shape(Array(shape.dims.dropLast(2)))
        let strides = [x, y].map { operand in
            let matrix = operand.shape.dims.suffix(2).reduce(1, *)
            return Shape(Array(operand.shape.dims.dropLast(2))).broadcastStrides(to: batch).map { $0 * matrix }
        }
        let (a, b): ([N], [N]) = (x.numbers(), y.numbers())
        StridedWalk.forEach(batch.dims, strides) { number, walk in
            for row in 0..<m {
                for column in 0..<n {
                    var sum = N.zero
                    for i in 0..<k {
                        let (p, q) = (a[walk.offsets[0] + row * k + i], b[walk.offsets[1] + i * n + column])
                        sum = N.binary(.add, sum, N.binary(.multiply, p, q))
                    }
                    store(sum, (number * m + row) * n + column)
                }
            }
        }
    }

    func fullyConnected(_ activation: Activation) {
        guard let w = operand(1) else { return }
        let (outputs, width) = (w.shape[0], w.shape[1])
        let (a, weights): ([N], [N]) = (x.numbers(), w.numbers())
        let bias: [N]? = operand(2)?.numbers()
        for row in 0..<(outputs == 0 ? 0 : count / outputs) {
            for o in 0..<outputs {
                var sum = bias?[o] ?? N.zero
                for i in 0..<width {
                    sum = N.binary(.add, sum, N.binary(.multiply, a[row * width + i], weights[o * width + i]))
                }
                store(clamped(sum, activation), row * outputs + o)
            }
        }
    }

    func convolution(_ conv: Convolution) {
        guard let w = operand(1) else { return }
        let (a, weights): ([N], [N]) = (x.numbers(), w.numbers())
        let bias: [N]? = operand(2)?.numbers()
        let (outputs, perGroup) = (w.shape[0], w.shape[w.shape.rank - 1])
        let channels = x.shape[x.shape.rank - 1]
        let kernel = Array(w.shape.dims[1..<w.shape.rank - 1])
        let taps = kernel.reduce(1, *)
        let window = Window(
            x.shape, kernel: kernel, strides: conv.strides, dilations: conv.dilations, before: conv.padBefore)
        let places = Array(shape.dims.dropLast())
        StridedWalk.forEach(places, []) { place, walk in
            let sources = window.sources(at: walk.index)
            for o in 0..<outputs {
                let first = o / max(outputs / conv.groups, 1) * perGroup
                var sum = bias?[o] ?? N.zero
                for (tap, source) in sources.enumerated() {
                    guard let source else { continue }
                    for i in 0..<perGroup {
                        let product = N.binary(
                            .multiply, a[source * channels + first + i], weights[(o * taps + tap) * perGroup + i])
                        sum = N.binary(.add, sum, product)
                    }
                }
                store(clamped(sum, conv.activation), place * outputs + o)
            }
        }
    }

    func pool(_ pool: Pooling) {
        let channels = x.shape[x.shape.rank - 1]
        let window = Window(
            x.shape, kernel: pool.kernel, strides: pool.strides, dilations: pool.dilations, before: pool.padBefore)
        StridedWalk.forEach(Array(shape.dims.dropLast()), []) { place, walk in
            let inside = window.sources(at: walk.index).compactMap { $0 }
            let divisor = pool.countIncludesPadding ? window.taps : inside.count
            for c in 0..<channels {
                var result: N?
                for source in inside {
                    let next: N = x.dtype.load(x.bytes, source * channels + c)
                    result = result.map { N.binary(pool.kind == .max ? .maximum : .add, $0, next) } ?? next
                }
                var value = result ?? N.zero
                if pool.kind == .average {
                    value = N.binary(.divide, value, N(exactlyOrNearest: Double(max(divisor, 1))))
                }
                store(clamped(value, pool.activation), place * channels + c)
            }
        }
    }

    func poolIndices(_ pool: Pooling, columnMajor: Bool) {
        let channels = x.shape[x.shape.rank - 1]
        let spatial = Array(x.shape.dims[1..<x.shape.rank - 1])
        let area = spatial.reduce(1, *)
        let window = Window(
            x.shape, kernel: pool.kernel, strides: pool.strides, dilations: pool.dilations, before: pool.padBefore)
        StridedWalk.forEach(Array(shape.dims.dropLast()), []) { place, walk in
            let inside = window.sources(at: walk.index).compactMap { $0 }
            for c in 0..<channels {
                var (best, at): (N?, Int) = (nil, 0)
                for source in inside {
                    let next: N = x.dtype.load(x.bytes, source * channels + c)
                    if best.map({ next > $0 }) ?? true { (best, at) = (next, source) }
                }
                var pixel = area == 0 ? 0 : at % area
                if columnMajor {
                    var (rest, turned, stride) = (pixel, 0, area)
                    for extent in spatial.reversed() {
                        stride /= max(extent, 1)
                        turned += rest % max(extent, 1) * stride
                        rest /= max(extent, 1)
                    }
                    pixel = turned
                }
                let index = (walk.index[0] * channels + c) * area + pixel
                out.storeBytes(of: Int64(index), toByteOffset: (place * channels + c) * 8, as: Int64.self)
            }
        }
    }
}

/// A sliding window over the spatial axes of `[N, spatial..., C]`.
private struct Window {
    let shape: Shape
    let kernel: [Int]
    let strides: [Int]
    let dilations: [Int]
    let before: [Int]
    var taps: Int { kernel.reduce(1, *) }

    init(_ shape: Shape, kernel: [Int], strides: [Int], dilations: [Int], before: [Int]) {
        self.shape = shape
        self.kernel = kernel
        self.strides = strides
        self.dilations = dilations
        self.before = before
    }

    /// For each tap of the window at `index` (`[n, place...]`), the number of its pixel; nil where it lies in the padding.
    func sources(at index: [Int]) -> [Int?] {
        var sources: [Int?] = []
        StridedWalk.forEach(kernel, []) { _, walk in
            var pixel = index[0]
            for axis in kernel.indices {
                let place = index[axis + 1] * strides[axis] - before[axis] + walk.index[axis] * dilations[axis]
                guard place >= 0, place < shape[axis + 1] else {
                    sources.append(nil)
                    return
                }
                pixel = pixel * shape[axis + 1] + place
            }
            sources.append(pixel)
        }
        return sources
    }
}
