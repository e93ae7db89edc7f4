import OunceGraph
import OunceRuntime
import OunceTrain

/// A graph some of whose layers have signs for weights, in the form in which they train: numbers of one size behind the
/// signs, and the size of each output channel apart.
struct BinaryTraining {
    private(set) var graph: Graph
    private(set) var weights: [ValueID: BinaryQuantizer] = [:]

    /// Mean size of the numbers behind the signs: the optimiser's steps decide how soon they change sign.
    private static let latentSize: Float = 0.1
    /// No gradient for numbers beyond this many mean sizes.
    private static let clip: Float = 3

    init(_ graph: Graph) { self.graph = graph }

    /// Where a graph has such layers already, they keep their form.
    init(resuming graph: Graph) {
        self.graph = graph
        for id in graph.binaryWeights() {
            guard let tensor = graph[id].constant, let values = tensor.elements(Float.self) else { continue }
            let inner = values.count / max(tensor.shape[0], 1)
            add(id, sizes: stride(from: 0, to: values.count, by: inner).map { abs(values[$0]) })
        }
    }

    /// Weights that are to be signs times `sizes`.
    mutating func add(_ id: ValueID, sizes: [Float], learnsSizes: Bool = true) {
        guard let tensor = graph[id].constant, let values = tensor.elements(Float.self), !sizes.isEmpty else { return }
        let inner = values.count / sizes.count
        var latent: [Float] = []
        latent.reserveCapacity(values.count)
        for start in stride(from: 0, to: values.count, by: max(inner, 1)) {
            let channel = values[start..<start + inner]
            let mean = channel.reduce(0) { $0 + abs($1) } / Float(max(inner, 1))
            let factor = Self.latentSize / max(mean, .leastNormalMagnitude)
            latent += channel.map { $0 * factor }
        }
        guard let stored = Tensor(latent, shape: tensor.shape) else { return }
        graph[id].constant = stored
        weights[id] = BinaryQuantizer(
            sizes: sizes, estimator: SignEstimator(.clipped, widths: [Self.latentSize * Self.clip]),
            learnsSizes: learnsSizes)
    }

    /// The graph after training, signs times sizes in the place of the numbers behind them.
    func finished(_ result: TrainingResult) -> Graph {
        var graph = result.graph
        for (id, quantizer) in weights {
            guard let tensor = graph[id].constant, let values = tensor.elements(Float.self) else { continue }
            let factors = result.scales[id] ?? quantizer.sizes.map { _ in 1 }
            let inner = max(values.count / max(quantizer.sizes.count, 1), 1)
            let signs = values.enumerated().map { index, value in
                let size = quantizer.sizes[index / inner] * factors[index / inner]
                return value < 0 ? -size : size
            }
            if let stored = Tensor(signs, shape: tensor.shape) { graph[id].constant = stored }
        }
        return graph
    }

    /// Learning rates suit biases of activations of usual size. What lies around signs may have any: a bias or threshold is
    /// learned in deviations of what it is added to.
    static func units(
        of graph: Graph, _ data: Dataset, _ options: RuntimeOptions
    ) throws(CompressError) -> [ValueID: [Float]] {
        var shifts: [ValueID: ValueID] = [:]
        var units: [ValueID: [Float]] = [:]
        for node in graph.nodes {
            switch node.op {
            case .conv, .fullyConnected:
                if node.inputs.count > 2, let b = node.inputs[2] { shifts[b] = node.outputs[0] }
            case .binary(.subtract, _):
                if let b = node.inputs[1], graph[b].constant != nil, graph[b].shape.rank == 1 {
                    shifts[b] = node.outputs[0]
                }
            default: break
            }
        }
        let observer = ValueObserver(graph: graph, data: data, options: options)
        let channels = try observer.channels(of: Array(Set(shifts.values)))
        for (shift, output) in shifts {
            let deviations = (channels[output] ?? []).map { Float($0.deviation) }
            let mean = deviations.reduce(0, +) / Float(max(deviations.count, 1))
            if mean > 0, mean.isFinite { units[shift] = [mean] }
        }
        return units
    }

    // MARK: Signs of activations

    /// Deviations of what a sign is taken of within which gradients pass.
    private static let width: Float = 1.5

    /// Estimators for the signs of a graph, as wide as what lies before them.
    static func signs(
        of graph: Graph, _ data: Dataset, _ options: RuntimeOptions, _ kind: SignEstimator.Kind = .approximate
    ) throws(CompressError) -> [ValueID: SignEstimator] {
        var sources: [ValueID: ValueID] = [:]
        for node in graph.nodes {
            guard case .unary(.function(.sign)) = node.op, let output = node.outputs.first,
                let x = node.inputs.first ?? nil, graph[x].dtype == .float32, graph[x].constant == nil
            else { continue }
            sources[output] = x
        }
        let observer = ValueObserver(graph: graph, data: data, options: options)
        let channels = try observer.channels(of: Array(Set(sources.values)))
        return sources.compactMapValues { x in
            channels[x].map { channels in
                // A threshold may lie off the mean.
                let sizes = channels.map { Float(($0.deviation * $0.deviation + $0.mean * $0.mean).squareRoot()) }
                let usual = sizes.reduce(0, +) / Float(max(sizes.count, 1))
                return SignEstimator(kind, widths: sizes.map { max(width * $0, usual * 0.1, 1e-12) })
            }
        }
    }
}
