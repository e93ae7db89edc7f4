import Glibc
import OunceGraph
import OunceRuntime

/// Samples to calibrate a float model with where there are none: noise of the size that the model expects.
///
/// What a network does to noise depends on its size alone; it is found from
/// - the means and variances of batch normalisations, where the model's file still holds them: the size with which they see
///   what they saw in training (the idea of arXiv 2001.00281);
/// - else the first layers, whose outputs training keeps near a few units before their activation; and of classifiers, whose
///   biases may say nothing about size, also the least size with which they are sure of what they see.
///
/// Half of the samples are white noise, half smooth, as pictures and sounds are.
struct SyntheticSamples {
    /// Simplified.
    let graph: Graph
    /// As it was read, with its batch normalisations; nil: it has none.
    let source: Graph?
    let options: RuntimeOptions

    private static let count = 64
    private static let probes = 8
    /// Root mean square of what first layers give before their activation.
    private static let firstLayerSize = 2.0
    /// Mean of the largest probability.
    private static let confidence = 0.8
    /// Powers of two.
    private static let sizes = -12...16

    /// - Throws: `.data` where the model takes no float input.
    func dataset() throws(CompressError) -> Dataset {
        guard inputs.contains(where: { $0.dtype == .float32 }) else {
            throw CompressError(
                .data, "samples cannot be made for a model without a float32 input: give --calibration F.npz")
        }
        let size = try self.size()
        let samples = (0..<Self.count).map { sample($0, size: size) }
        var arrays: [Tensor] = []
        for place in inputs.indices {
            let tensors = samples.map { $0[place] }
            guard let first = tensors.first else { continue }
            let storage = TensorStorage(byteCount: first.byteCount * tensors.count) { target in
                for (index, tensor) in tensors.enumerated() {
                    let start = index * first.byteCount
                    UnsafeMutableRawBufferPointer(rebasing: target[start..<start + first.byteCount])
                        .copyMemory(from: tensor.bytes)
                }
            }
            guard
                let array = Tensor(
                    dtype: first.dtype, shape: Shape([tensors.count] + first.shape.dims), storage: storage)
            else { throw CompressError(.data, "the model's inputs are too large to make samples for") }
            arrays.append(array)
        }
        return Dataset(made: arrays, inputs: inputs, hash: "synthetic of size \(size)")
    }

    private var inputs: [TensorInfo] {
        graph.clientInputs.map { TensorInfo(name: graph[$0].name, dtype: graph[$0].dtype, shape: graph[$0].shape) }
    }

    // MARK: Noise

    /// The inputs of one sample; those of even numbers are white.
    private func sample(_ number: Int, size: Double) -> [Tensor] {
        let made = SyntheticInput.sample(for: inputs, seed: UInt64(number + 1))
        return made.enumerated().map { place, tensor in
            guard tensor.dtype == .float32 else { return tensor }
            var random = GaussianNoise(seed: UInt64(number &* 64 &+ place))
            let noise =
                number % 2 == 0
                ? (0..<tensor.count).map { _ in random.next() } : random.smooth(tensor.shape.dims)
            return Tensor(noise.map { Float($0 * size) }, shape: tensor.shape) ?? tensor
        }
    }

    // MARK: Size

    private func size() throws(CompressError) -> Double {
        if let source, let size = try sizeByNormalization(source) { return size }
        guard var size = try sizeByFirstLayers() else { return 1 }
        guard graph.scoresClasses else { return size }
        let model = try prepared(graph)
        let largest = size * 0x1p6
        while size < largest, try confidence(model, size: size) < Self.confidence { size *= 2 }
        return size
    }

    private func prepared(_ graph: Graph) throws(CompressError) -> Model {
        try CompressError.wrapping(.recipe) { try Model(graph: graph, options: options) }
    }

    private func run(_ model: Model, size: Double) throws(CompressError) -> [[Tensor]] {
        var results: [[Tensor]] = []
        for number in 0..<Self.probes {
            let inputs = sample(number, size: size)
            results.append(try CompressError.wrapping(.recipe) { try model.run(inputs) })
        }
        return results
    }

    /// The size with which the inputs of batch normalisations have the means and variances that they keep.
    private func sizeByNormalization(_ source: Graph) throws(CompressError) -> Double? {
        var probe = source
        var expected: [(axis: Int, mean: [Double], variance: [Double])] = []
        var watched: [ValueID] = []
        for node in source.nodes {
            guard case .batchNormalization(let axis, let epsilon) = node.op, node.inputs.count > 4,
                let x = node.inputs[0], source[x].constant == nil,
                let axis = source[x].shape.normalized(axis: axis),
                let mean = node.inputs[3].flatMap({ source[$0].constant?.doubles() }),
                let variance = node.inputs[4].flatMap({ source[$0].constant?.doubles() }),
                mean.count == variance.count, !mean.isEmpty
            else { continue }
            watched.append(x)
            expected.append((axis, mean, variance.map { $0 + Double(epsilon) }))
        }
        guard !watched.isEmpty else { return nil }
        probe.replaceClientOutputs(watched)
        let simplified = try CompressError.wrapping(.recipe) { try probe.simplified() }
        let model = try prepared(simplified)
        var best: (distance: Double, size: Double)?
        for exponent in Self.sizes {
            let size = exp2(Double(exponent))
            let outputs = try run(model, size: size)
            var distance = 0.0
            for (place, wanted) in expected.enumerated() {
                let moments = ChannelStatistics(outputs.map { $0[place] }, axis: wanted.axis)
                distance += moments.divergence(mean: wanted.mean, variance: wanted.variance)
            }
            if distance < best?.distance ?? .infinity { best = (distance, size) }
        }
        return best?.size
    }

    /// The size with which first layers give what is usual; nil where no convolution or fully connected layer is first.
    private func sizeByFirstLayers() throws(CompressError) -> Double? {
        var probe = graph
        var front = Set(graph.clientInputs.filter { graph[$0].dtype == .float32 })
        var watched: [ValueID] = []
        for node in graph.nodes where node.inputs.contains(where: { $0.map(front.contains) ?? false }) {
            let op: Op
            switch node.op {
            case .conv(var conv):
                conv.activation = .none
                op = .conv(conv)
            case .fullyConnected: op = .fullyConnected(.none)
            default:
                front.formUnion(node.outputs)
                continue
            }
            do {
                watched.append(try probe.append(op, node.inputs, name: "\(node.name)/probe"))
            } catch {
                throw CompressError(.recipe, error.description)
            }
        }
        guard !watched.isEmpty else { return nil }
        probe.replaceClientOutputs(watched)
        let model = try prepared(probe)
        var best: (distance: Double, size: Double)?
        for exponent in Self.sizes {
            let size = exp2(Double(exponent))
            let outputs = try run(model, size: size)
            let deviations = watched.enumerated().map { place, id in
                ChannelStatistics(outputs.map { $0[place] }, axis: probe[id].shape.rank - 1).deviation
            }
            let mean = deviations.reduce(0, +) / Double(deviations.count)
            guard mean > 0, mean.isFinite else { continue }
            let distance = abs(log(mean / Self.firstLayerSize))
            if distance < best?.distance ?? .infinity { best = (distance, size) }
        }
        return best?.size
    }

    /// The mean of the largest probability.
    private func confidence(_ model: Model, size: Double) throws(CompressError) -> Double {
        let producers = graph.producers()
        let hasSoftmax = graph.clientOutputs.first.flatMap { producers[$0] }.map { index in
            if case .softmax = graph.nodes[index].op { true } else { false }
        }
        let outputs = try run(model, size: size).compactMap(\.first)
        let largest = outputs.map { output -> Double in
            let scores = output.doubles()
            let top = scores.max() ?? 0
            guard hasSoftmax != true else { return top }
            return 1 / scores.reduce(0) { $0 + exp($1 - top) }
        }
        return largest.reduce(0, +) / Double(max(largest.count, 1))
    }
}

extension Graph {
    /// Whether the first output scores classes: a vector of another size than the input.
    var scoresClasses: Bool {
        guard let output = clientOutputs.first, self[output].dtype == .float32, self[output].shape.rank == 2,
            let input = clientInputs.first
        else { return false }
        return self[output].shape[1] > 1 && self[output].shape.dims.dropFirst() != self[input].shape.dims.dropFirst()
    }
}
