import OunceGraph
import OunceRuntime
import OunceTrain

/// First and second moments of the vectors that the weights of a layer are multiplied with, over calibration samples.
///
/// The squared error of the layer's outputs under a change of its weights is a quadratic form in the second moments.
struct LayerMoments {
    /// Of a convolution.
    let groups: Int
    /// Weights of an output channel.
    let width: Int
    fileprivate(set) var rows = 0
    fileprivate var sums: [Double]
    fileprivate var products: [Float]

    fileprivate init(groups: Int, width: Int) {
        (self.groups, self.width) = (groups, width)
        sums = [Double](repeating: 0, count: groups * width)
        products = [Float](repeating: 0, count: groups * width * width + Int(TensorStorage.slack) / 4)
    }

    /// The means of one group's vectors.
    func means(_ group: Int) -> [Double] {
        sums[(group * width)..<((group + 1) * width)].map { $0 / Double(max(rows, 1)) }
    }

    /// `[width, width]`: what a change of one group's weights costs, where the bias makes up for the mean. Few samples must
    /// not make errors look free: covariances of different inputs are made smaller where there are not many more vectors
    /// than inputs, and a hundredth of the mean variance is added to every variance.
    func covariance(_ group: Int) -> [Float] {
        let means = means(group)
        let start = group * width * width
        var result = [Float](repeating: 0, count: width * width)
        let trust = Double(rows) / Double(max(rows + width, 1))
        for i in 0..<width {
            for j in 0..<width {
                let product = Double(products[start + i * width + j]) / Double(max(rows, 1))
                result[i * width + j] = Float((product - means[i] * means[j]) * (i == j ? 1 : trust))
            }
        }
        let mean = (0..<width).reduce(Float(0)) { $0 + max(result[$1 * width + $1], 0) } / Float(max(width, 1))
        for i in 0..<width {
            result[i * width + i] = max(result[i * width + i], 0) + max(0.01 * mean, Float.leastNormalMagnitude)
        }
        return result
    }
}

/// Gathers the moments of layers from a float graph.
struct MomentCollector {
    let calibrator: Calibrator
    private let kernel: SecondMoments
    /// Vectors of a layer that are looked at, at least and for each weight of an output channel.
    private static let (leastRows, rowsPerWeight) = (4096, 8)
    /// Of the sums of products that are kept at once.
    private static let maximumFloats = 1 << 26
    /// Wider layers are left out: their second moments would take hundreds of megabytes.
    private static let maximumWidth = 4096

    init(_ calibrator: Calibrator) throws(CompressError) {
        self.calibrator = calibrator
        do {
            kernel = try SecondMoments(allowedISAs: calibrator.options.allowedISAs)
        } catch {
            throw CompressError(.recipe, error.message)
        }
    }

    /// Calls `body` with the moments of each of these layers (indices in the graph's nodes); a layer that is too wide gets
    /// none.
    func collect(_ layers: [Int], _ body: (Int, LayerMoments) throws(CompressError) -> Void) throws(CompressError) {
        var left: [(Int, LayerMoments)] = []
        var floats = 0
        for index in layers {
            guard let moments = empty(index) else { continue }
            if floats + moments.products.count > Self.maximumFloats, !left.isEmpty {
                try gather(left, body)
                (left, floats) = ([], 0)
            }
            left.append((index, moments))
            floats += moments.products.count
        }
        if !left.isEmpty { try gather(left, body) }
    }

    private func empty(_ index: Int) -> LayerMoments? {
        let node = calibrator.graph.nodes[index]
        guard node.inputs.count > 1, let weights = node.inputs[1].flatMap({ calibrator.graph[$0].constant }) else {
            return nil
        }
        let width = weights.shape.dims.dropFirst().reduce(1, *)
        var groups = 1
        if case .conv(let conv) = node.op { groups = max(conv.groups, 1) }
        return width <= Self.maximumWidth ? LayerMoments(groups: groups, width: width) : nil
    }

    private func gather(
        _ layers: [(Int, LayerMoments)], _ body: (Int, LayerMoments) throws(CompressError) -> Void
    ) throws(CompressError) {
        var instrumented = calibrator.graph
        let inputs = layers.compactMap { calibrator.graph.nodes[$0.0].inputs[0] }
        let watched = Set(inputs).sorted()
        instrumented.replaceClientOutputs(watched)
        let dataset = calibrator.dataset
        let model = try CompressError.wrapping(.recipe) { try Model(graph: instrumented, options: calibrator.options) }
        let run = try SampleRun(model, over: dataset)
        var moments = layers.map(\.1)
        var seen = [Int](repeating: 0, count: layers.count)
        for index in 0..<dataset.count * dataset.windows {
            let outputs = try run(index / dataset.windows, window: index % dataset.windows)
            for place in layers.indices {
                guard let output = watched.firstIndex(of: inputs[place]),
                    let vectors = LayerVectors(calibrator.graph, layers[place].0, input: outputs[output])
                else { continue }
                let total = vectors.count * dataset.count * dataset.windows
                let limit = max(Self.leastRows, Self.rowsPerWeight * vectors.width)
                // Odd, so that it meets all columns of an image of even width.
                let step = max(1, total / limit) | 1
                add(vectors, from: (step - seen[place] % step) % step, step: step, to: &moments[place])
                seen[place] += vectors.count
            }
        }
        for (place, layer) in layers.enumerated() { try body(layer.0, moments[place]) }
    }

    private func add(_ vectors: LayerVectors, from first: Int, step: Int, to moments: inout LayerMoments) {
        let places = Array(stride(from: first, to: vectors.count, by: step))
        guard !places.isEmpty, vectors.width == moments.width, vectors.groups == moments.groups else { return }
        let width = moments.width
        var rows = [Float](repeating: 0, count: places.count * width + Int(TensorStorage.slack) / 4)
        for group in 0..<moments.groups {
            rows.withUnsafeMutableBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                for (row, place) in places.enumerated() { vectors.copy(place, group: group, to: base + row * width) }
                for row in places.indices {
                    for i in 0..<width { moments.sums[group * width + i] += Double(base[row * width + i]) }
                }
                moments.products.withUnsafeMutableBufferPointer { sums in
                    guard let target = sums.baseAddress else { return }
                    kernel.add(base, rows: places.count, width: width, to: target + group * width * width)
                }
            }
        }
        moments.rows += places.count
    }
}

/// The vectors that a layer multiplies its weights with, for one input of it.
private struct LayerVectors {
    let input: Tensor
    let groups: Int
    let width: Int
    /// Places of the output.
    private(set) var count = 0
    private var (height, columns, channels) = (1, 1, 1)
    private var (kernelHeight, kernelWidth) = (1, 1)
    private var (outHeight, outWidth) = (1, 1)
    private var stride = [1, 1]
    private var dilation = [1, 1]
    private var pad = [0, 0]

    init?(_ graph: Graph, _ index: Int, input: Tensor) {
        let node = graph.nodes[index]
        guard input.dtype == .float32, let weights = node.inputs[1].flatMap({ graph[$0].constant }),
            let last = input.shape.dims.last, last > 0
        else { return nil }
        self.input = input
        width = weights.shape.dims.dropFirst().reduce(1, *)
        channels = last
        switch node.op {
        case .fullyConnected:
            groups = 1
            guard width == last else { return nil }
            count = input.count / last
        case .conv(let conv):
            groups = max(conv.groups, 1)
            let rank = input.shape.rank
            guard rank == 3 || rank == 4, weights.shape.rank == rank, conv.strides.count == rank - 2 else { return nil }
            /// One spatial axis is a width, the height 1.
            func spatial(_ values: [Int], _ missing: Int) -> [Int] { values.count == 1 ? [missing] + values : values }
            (stride, dilation) = (spatial(conv.strides, 1), spatial(conv.dilations, 1))
            pad = spatial(conv.padBefore, 0)
            let after = spatial(conv.padAfter, 0)
            let extents = spatial(Array(input.shape.dims[1..<rank - 1]), 1)
            let kernel = spatial(Array(weights.shape.dims[1..<rank - 1]), 1)
            (height, columns, kernelHeight, kernelWidth) = (extents[0], extents[1], kernel[0], kernel[1])
            func out(_ axis: Int) -> Int {
                (extents[axis] + pad[axis] + after[axis] - dilation[axis] * (kernel[axis] - 1) - 1)
                    / max(stride[axis], 1) + 1
            }
            (outHeight, outWidth) = (out(0), out(1))
            guard outHeight > 0, outWidth > 0, channels == groups * (width / max(kernelHeight * kernelWidth, 1)) else {
                return nil
            }
            count = input.shape[0] * outHeight * outWidth
        default: return nil
        }
    }

    /// - Parameter target: room for `width` numbers.
    func copy(_ place: Int, group: Int, to target: UnsafeMutablePointer<Float>) {
        guard let x = input.bytes.baseAddress?.assumingMemoryBound(to: Float.self) else { return }
        let own = width / (kernelHeight * kernelWidth)
        let (image, pixel) = (place / (outHeight * outWidth), place % (outHeight * outWidth))
        let (row, column) = (pixel / outWidth * stride[0] - pad[0], pixel % outWidth * stride[1] - pad[1])
        var to = target
        for i in 0..<kernelHeight {
            for j in 0..<kernelWidth {
                let (y, z) = (row + i * dilation[0], column + j * dilation[1])
                if (0..<height).contains(y), (0..<columns).contains(z) {
                    let from = x + ((image * height + y) * columns + z) * channels + group * own
                    for c in 0..<own { to[c] = from[c].isFinite ? from[c] : 0 }
                } else {
                    to.update(repeating: 0, count: own)
                }
                to += own
            }
        }
    }
}
