import OunceGraph
import OunceRuntime

/// Lets the weights that stay make up for those that became zero: for each output the least squares, over samples, of what
/// the layer made before.
struct WeightReconstruction {
    /// Larger sums of products are not made: a layer that reads more stays as it is.
    private static let maximumColumns = 1152
    /// Numbers added up for a layer: rows of columns squared.
    private static let budget = 1 << 31

    let data: Dataset
    let options: RuntimeOptions

    /// - Parameters:
    ///   - original: the graph before weights became zero; all but weights as in `pruned`.
    ///   - masks: what stays, for each constant.
    func adapted(
        _ pruned: Graph, original: Graph, masks: [ValueID: [Float]]
    ) throws(CompressError) -> Graph {
        guard pruned.initialStates.isEmpty else { return pruned }
        var graph = pruned
        let readers = graph.consumers()
        // What a layer reads is by now what the layers before it make.
        for node in pruned.nodes {
            guard node.inputs.count > 1, let x = node.inputs[0], let w = node.inputs[1], let mask = masks[w],
                readers[w]?.count == 1, mask.contains(0), let old = original[w].constant?.elements(Float.self),
                let constant = graph[w].constant, graph[x].constant == nil
            else { continue }
            let columns = constant.count / max(constant.shape[0], 1)
            guard columns <= Self.maximumColumns, let patches = Patches(node, constant.shape) else { continue }
            let moments = try moments(graph, x, patches, columns)
            var numbers = constant.floats()
            for row in 0..<constant.shape[0] {
                let start = row * columns
                let kept = (0..<columns).filter { mask[start + $0] != 0 }
                guard !kept.isEmpty, kept.count < columns else { continue }
                let whole = (0..<columns).map { Double(old[start + $0]) }
                let goal = kept.map { place in
                    (0..<columns).reduce(0) { $0 + moments[place * columns + $1] * whole[$1] }
                }
                guard let solved = ChannelReconstruction.solve(moments, columns, kept, goal) else { continue }
                for (place, value) in zip(kept, solved) where value.isFinite {
                    // A weight that stays is not zero: masks are read off the zeros later.
                    numbers[start + place] = value == 0 ? .leastNormalMagnitude : Float(value)
                }
            }
            if numbers.allSatisfy(\.isFinite) { graph[w].constant = Tensor(numbers, shape: constant.shape) }
        }
        return graph
    }

    private func moments(
        _ graph: Graph, _ x: ValueID, _ patches: Patches, _ columns: Int
    ) throws(CompressError) -> [Double] {
        var probe = graph
        probe.outputs = [x]
        let samples = data.spread(64)
        let rows = max(columns / samples.count + 1, Self.budget / (columns * columns * samples.count))
        var sums = [Float](repeating: 0, count: columns * columns)
        func look(_ tensor: Tensor) {
            patches.forEach(tensor, limit: rows) { patch in
                sums.withUnsafeMutableBufferPointer { sum in
                    for i in 0..<columns where patch[i] != 0 {
                        let (factor, row) = (patch[i], i * columns)
                        for j in 0..<columns { sum[row + j] += factor * patch[j] }
                    }
                }
            }
        }
        if graph.inputs.contains(x) {
            guard let place = graph.inputs.firstIndex(of: x) else { return [] }
            for index in samples { look(try data.sample(index)[place]) }
        } else {
            let model = try CompressError.wrapping(.recipe) {
                try Model(
                    graph: probe, options: RuntimeOptions(allowedISAs: options.allowedISAs, threads: options.threads))
            }
            for index in samples {
                let sample = try data.sample(index)
                for tensor in try CompressError.wrapping(.recipe, { try model.run(sample) }) { look(tensor) }
            }
        }
        return sums.map { Double($0) }
    }
}

/// What a layer reads for each of its outputs, in the order of its weights.
private struct Patches {
    private let conv: Convolution?
    private let kernel: [Int]
    private let channels: Int

    /// nil for layers with groups, and those that are none.
    init?(_ node: Node, _ weights: Shape) {
        channels = weights.dims.last ?? 1
        switch node.op {
        case .fullyConnected: (conv, kernel) = (nil, [1, 1])
        case .conv(let conv):
            guard conv.groups == 1, weights.rank == 4 else { return nil }
            (self.conv, kernel) = (conv, Array(weights.dims[1...2]))
        default: return nil
        }
    }

    /// Calls `body` with up to `limit` patches, evenly from all.
    func forEach(_ tensor: Tensor, limit: Int, _ body: (UnsafeBufferPointer<Float>) -> Void) {
        let numbers = tensor.floats()
        guard let conv, tensor.shape.rank == 4 else {
            let rows = numbers.count / max(channels, 1)
            let taken = min(rows, limit)
            numbers.withUnsafeBufferPointer { x in
                for index in 0..<taken {
                    let start = index * rows / taken * channels
                    body(UnsafeBufferPointer(rebasing: x[start..<start + channels]))
                }
            }
            return
        }
        let (height, width) = (tensor.shape[1], tensor.shape[2])
        func count(_ extent: Int, _ axis: Int) -> Int {
            let reach = (kernel[axis] - 1) * conv.dilations[axis] + 1
            return max(0, (extent + conv.padBefore[axis] + conv.padAfter[axis] - reach) / conv.strides[axis] + 1)
        }
        let (rows, columns) = (count(height, 0), count(width, 1))
        let taken = min(rows * columns, limit)
        var patch = [Float](repeating: 0, count: kernel[0] * kernel[1] * channels)
        for index in 0..<taken {
            let place = index * rows * columns / taken
            var target = 0
            for ky in 0..<kernel[0] {
                let y = place / columns * conv.strides[0] + ky * conv.dilations[0] - conv.padBefore[0]
                for kx in 0..<kernel[1] {
                    let x = place % columns * conv.strides[1] + kx * conv.dilations[1] - conv.padBefore[1]
                    let isInside = y >= 0 && y < height && x >= 0 && x < width
                    for c in 0..<channels {
                        patch[target] = isInside ? numbers[(y * width + x) * channels + c] : 0
                        target += 1
                    }
                }
            }
            patch.withUnsafeBufferPointer(body)
        }
    }
}
