import OunceConfig
import OunceGraph
import OunceRuntime

/// What each layer of a float model costs in accuracy when it alone is changed.
package struct SensitivityAnalysis: Sendable {
    package struct Change: Sendable, Codable {
        package let transform: String
        package let accuracy: Report.Accuracy
        /// What is lost against the float model: points, per cent for mse.
        package let drop: Double
    }
    package struct Layer: Sendable, Codable {
        package let name: String
        package let kind: String
        package let parameters: Int
        package let macs: Int
        package let changes: [Change]
    }
    package struct Result: Sendable, Codable {
        package let metric: String
        package let float: Report.Accuracy
        package let layers: [Layer]
    }

    let graph: Graph
    let data: Dataset
    let calibration: Dataset?
    let metric: Metric
    let options: RuntimeOptions
    let transforms: [LayerTransform]
    let progress: @Sendable (Double) -> Void

    /// - Parameters:
    ///   - data: judges; with `fidelity` no labels are needed.
    ///   - calibration: tells the ranges of inputs; nil: these stay float.
    package init(
        graph: Graph, data: Dataset, calibration: Dataset?, metric: Metric, options: RuntimeOptions,
        transforms: [LayerTransform] = LayerTransform.all, progress: @escaping @Sendable (Double) -> Void = { _ in }
    ) {
        self.graph = graph
        self.data = data
        self.calibration = calibration
        self.metric = metric
        // Kernels all give the same bits: measuring them would only take time.
        self.options = RuntimeOptions(
            allowedISAs: options.allowedISAs, threads: options.threads, memoryLimit: options.memoryLimit,
            selection: .tableOrder)
        self.transforms = transforms
        self.progress = progress
    }

    /// - Throws: `.recipe` for a model without float layers, `.data` where data do not fit.
    package func run() throws(CompressError) -> Result {
        let layers = graph.nodes.indices.filter { isLayer(graph.nodes[$0], graph) }
        guard !layers.isEmpty else {
            throw CompressError(
                .recipe, "the model has no float convolution or fully connected layer; give the float model")
        }
        let ranges = try inputGrids(graph, layers)
        let float = try evaluate(graph)
        var results: [Layer] = []
        let total = Double(layers.count * transforms.count)
        for index in layers {
            let node = graph.nodes[index]
            var changes: [Change] = []
            for transform in transforms {
                if let changed = try changed(graph, index, transform, ranges) {
                    let accuracy = try evaluate(changed)
                    changes.append(
                        Change(
                            transform: transform.name, accuracy: accuracy,
                            drop: metric.drop(from: float.value, to: accuracy.value)))
                }
                progress(min(1, (Double(results.count * transforms.count + changes.count)) / total))
            }
            results.append(
                Layer(
                    name: node.name, kind: graph.layerKind(node)?.rawValue ?? "",
                    parameters: graph.parameterCount(of: node), macs: graph.macs(of: node), changes: changes))
        }
        progress(1)
        return Result(metric: metric.rawValue, float: float, layers: results)
    }

    private func isLayer(_ node: Node, _ graph: Graph) -> Bool {
        switch node.op {
        case .conv, .fullyConnected: break
        default: return false
        }
        guard node.inputs.count > 1, let x = node.inputs[0], let w = node.inputs[1] else { return false }
        return graph[x].dtype == .float32 && graph[w].constant?.dtype == .float32 && graph[w].encoding == .plain
    }

    private func evaluate(_ graph: Graph) throws(CompressError) -> Report.Accuracy {
        let changed = try CompressError.wrapping(.recipe) { try Model(graph: graph, options: options) }
        let reference =
            metric == .fidelity
            ? try CompressError.wrapping(.recipe) { try Model(graph: self.graph, options: options) } : nil
        return try Evaluator(metric: metric, dataset: data).evaluate(changed, reference: reference)
    }

    private func inputGrids(_ graph: Graph, _ layers: [Int]) throws(CompressError) -> [ValueID: AffineQuantization] {
        guard let calibration else { return [:] }
        let inputs = Set(layers.compactMap { graph.nodes[$0].inputs[0] })
        let statistics = try Calibrator(graph: graph, dataset: calibration, options: options).observe(inputs)
        return statistics.mapValues { $0.grid(.mse) }
    }

    /// The graph with one layer changed.
    private func changed(
        _ graph: Graph, _ index: Int, _ transform: LayerTransform, _ ranges: [ValueID: AffineQuantization]
    ) throws(CompressError) -> Graph? {
        var node = graph.nodes[index]
        guard let x = node.inputs[0], let w = node.inputs[1], let weights = graph[w].constant.flatMap(transform.change)
        else { return nil }
        var result = graph
        node.inputs[1] = result.addConstant(weights, name: graph[w].name)
        var stand: [Node] = []
        if transform.roundsInput, let grid = ranges[x] {
            result.nodes = []
            do {
                let rounded = try result.append(
                    .quantize, [x], name: "\(node.name)/quantize", encoding: .affine(grid))
                node.inputs[0] = try result.append(.dequantize, [rounded], name: "\(node.name)/dequantize")
            } catch {
                throw CompressError(.recipe, error.description)
            }
            stand = result.nodes
        }
        result.nodes = graph.nodes[..<index] + stand + [node] + graph.nodes[(index + 1)...]
        return result
    }
}
