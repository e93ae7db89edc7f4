import OunceConfig
import OunceGraph
import OunceRuntime

/// A float graph with int8 weights and, where the recipe says so, int8 activations.
///
/// Source of the scheme: arXiv 1712.05877 and 1806.08342; bias correction: arXiv 1906.04721, section 4.2.
package struct QuantizePass {
    private let recipe: Quantization

    package init(recipe: Quantization) { self.recipe = recipe }

    /// Weights only: stored as int8, computed in float.
    package func quantizedWeights(of graph: Graph) throws(CompressError) -> Graph {
        let (result, count) = withInt8Weights(graph, layers: Set(graph.nodes.indices))
        guard count > 0 else { throw nothingToDo }
        return try checked(result)
    }

    /// The graph with int8 weights in those of the layers that the recipe covers, and how many these are.
    private func withInt8Weights(_ graph: Graph, layers: Set<Int>) -> (Graph, Int) {
        var result = graph
        var count = 0
        for (index, node) in graph.nodes.enumerated() where layers.contains(index) && QuantizePlan.isLayer(node) {
            guard recipe.covers(layer: node.name), node.inputs.count > 1, let id = node.inputs[1],
                let constant = graph[id].constant, constant.dtype == .float32,
                let quantized = WeightQuantizer.quantize(constant, perChannel: recipe.perChannel)
            else { continue }
            result.nodes[index].inputs[1] = result.addConstant(
                quantized.weights, name: graph[id].name, encoding: quantized.encoding)
            count += 1
        }
        return (result, count)
    }

    /// Weights and activations. Layers whose input or output int8 would spoil compute in float; their weights become int8
    /// nevertheless, but for the few of an entrance whose inputs differ so much in size that rounding them would spoil it.
    package func quantized(_ calibrator: Calibrator) throws(CompressError) -> Graph {
        let entrance = try InputPrecision(calibrator: calibrator, recipe: recipe).layersWithFloatInput()
        let exit = recipe.floatOutput ? OutputPrecision.layersWithFloatOutput(calibrator.graph) : []
        let float = entrance.union(exit)
        let large = calibrator.graph.parameterCount / 8
        let rounded = float.filter { !entrance.contains($0) || weightCount(calibrator.graph, $0) > large }
        let (graph, _) = withInt8Weights(calibrator.graph, layers: rounded)
        let plan = QuantizePlan(graph, recipe, float: float)
        guard plan.nodes.contains(where: { QuantizePlan.isLayer(graph.nodes[$0]) }) else { throw nothingToDo }
        let statistics = try calibrator.observe(plan.watched)
        var builder = QuantizedGraphBuilder(
            graph, statistics: statistics, recipe: recipe, signed: plan.signed.limited(to: plan.int8Values, graph))
        for (index, node) in graph.nodes.enumerated() {
            if plan.nodes.contains(index) {
                try builder.addInt8(node)
            } else {
                try builder.addFloat(node)
            }
        }
        return try checked(try builder.finish())
    }

    private func weightCount(_ graph: Graph, _ index: Int) -> Int {
        let inputs = graph.nodes[index].inputs
        return inputs.count > 1 ? inputs[1].flatMap { graph[$0].constant?.count } ?? 0 : 0
    }

    private var nothingToDo: CompressError {
        CompressError(
            .recipe,
            "the model has no float convolution or fully connected layer that the recipe's layers name; "
                + "'ounce inspect' shows the names")
    }

    private func checked(_ graph: Graph) throws(CompressError) -> Graph {
        // An empty patch: drops what is no longer used.
        try CompressError.wrapping(.recipe) { try graph.applying(GraphPatch(for: graph)) }
    }
}

/// Builds the int8 graph node by node, with quantise and dequantise where float and int8 meet.
private struct QuantizedGraphBuilder {
    let source: Graph
    let statistics: [ValueID: ActivationStatistics]
    let recipe: Quantization
    private var result: Graph
    let signed: SignedValues
    /// For each value of the source, its float and its int8 form in the result.
    private var floats: [ValueID: ValueID] = [:]
    private var int8s: [ValueID: ValueID] = [:]

    init(
        _ source: Graph, statistics: [ValueID: ActivationStatistics], recipe: Quantization, signed: SignedValues
    ) {
        self.source = source
        self.statistics = statistics
        self.recipe = recipe
        self.signed = signed
        result = Graph(name: source.name)
        result.initialStates = source.initialStates
        for input in source.inputs {
            let id = result.add(source[input])
            result.inputs.append(id)
            floats[input] = id
        }
    }

    mutating func finish() throws(CompressError) -> Graph {
        for output in source.outputs {
            let id = try float(output)
            // An output keeps its name, also where it is dequantised here.
            if source[output].constant == nil { result[id].name = source[output].name }
            result.outputs.append(id)
        }
        return result
    }

    private mutating func constant(_ id: ValueID) -> ValueID? {
        guard let tensor = source[id].constant else { return nil }
        let added = result.addConstant(tensor, name: source[id].name, encoding: source[id].encoding)
        floats[id] = added
        return added
    }

    /// The value as it is in the source; dequantised where only its int8 form exists.
    private mutating func float(_ id: ValueID) throws(CompressError) -> ValueID {
        if let known = floats[id] ?? constant(id) { return known }
        guard let quantized = int8s[id] else {
            throw CompressError(.recipe, "\(source[id].name) is used before it is made")
        }
        let added = try append(.dequantize, [quantized], name: "\(source[id].name)/dequantize")
        floats[id] = added
        return added
    }

    private mutating func int8(_ id: ValueID) throws(CompressError) -> ValueID {
        if let known = int8s[id] { return known }
        let grid = self.grid(of: id)
        let added = try append(
            .quantize, [try float(id)], name: "\(source[id].name)/quantize", encoding: .affine(grid))
        int8s[id] = added
        return added
    }

    /// Signs are stored as they are, so that kernels for them may run.
    private func grid(of id: ValueID) -> AffineQuantization {
        signed.signs.contains(id) || signed.clamped.contains(id)
            ? AffineQuantization(scale: 1, zeroPoint: 0)
            : statistics[id]?.grid(recipe.calibration, isSymmetric: recipe.symmetric)
                ?? AffineQuantization(scale: 1, zeroPoint: 0)
    }

    private mutating func append(
        _ op: Op, _ inputs: [ValueID?], name: String, output: String? = nil, encoding: Encoding = .plain
    ) throws(CompressError) -> ValueID {
        do {
            return try result.append(op, inputs, name: name, output: output, encoding: encoding)
        } catch {
            throw CompressError(.recipe, error.description)
        }
    }

    mutating func addFloat(_ node: Node) throws(CompressError) {
        var inputs: [ValueID?] = []
        for input in node.inputs {
            guard let input else {
                inputs.append(nil)
                continue
            }
            inputs.append(try float(input))
        }
        let output = node.outputs[0]
        floats[output] = try append(
            node.op, inputs, name: node.name, output: source[output].name, encoding: source[output].encoding)
    }

    mutating func addInt8(_ node: Node) throws(CompressError) {
        let output = node.outputs[0]
        var inputs: [ValueID?] = []
        if let x = node.inputs[0], SignInsertion.isSign(node), signed.clamped.contains(x) {
            int8s[output] = try int8(x)
            return
        }
        if let thresholds = signed.thresholds[output] {
            int8s[output] = try addThreshold(node, thresholds)
            return
        }
        var op = node.op
        if QuantizePlan.isLayer(node) {
            inputs = try layerInputs(node)
            if signed.clamped.contains(output) { op = clampToSigns(op, &inputs) }
        } else {
            for input in node.inputs.compactMap({ $0 }) { inputs.append(try int8(input)) }
        }
        let encoding =
            QuantizePlan.keepsGrid(node.op)
            ? (inputs.first ?? nil).map { result[$0].encoding } ?? .plain : .affine(grid(of: output))
        int8s[output] = try append(
            op, inputs, name: node.name, output: source[output].name, encoding: encoding)
    }

    private static let signRange = Activation.clip(-1, 1)

    /// A layer of whose sums only the signs count: the weights' scales are such that the sums are clamped as they are.
    private mutating func clampToSigns(_ op: Op, _ inputs: inout [ValueID?]) -> Op {
        guard let x = inputs[0], let w = inputs[1], let weights = result[w].constant,
            let scale = result[x].encoding.affine?.scale
        else { return op }
        inputs[1] = result.addConstant(
            weights, name: result[w].name, encoding: .affine(AffineQuantization(scale: 1 / scale, zeroPoint: 0)))
        switch op {
        case .conv(var conv):
            conv.activation = Self.signRange
            return .conv(conv)
        case .fullyConnected: return .fullyConnected(Self.signRange)
        default: return op
        }
    }

    /// `sign(x - threshold)` as a convolution of one place for each channel, with a weight of two and an odd bias: no sum
    /// is zero.
    private mutating func addThreshold(_ node: Node, _ thresholds: [Float]) throws(CompressError) -> ValueID {
        guard let source = node.inputs[0] else { throw CompressError(.recipe, "\(node.name) has no input") }
        var x = try int8(source)
        let (grid, encoding) = (result[x].encoding.affine, result[x].encoding)
        let scale = grid?.scale ?? 1
        let isVector = result[x].shape.rank == 2
        if isVector {
            x = try append(
                .reshape([.copy(0), .literal(1), .copy(1)]), [x], name: "\(node.name)/row", encoding: encoding)
        }
        let places = max(result[x].shape.rank - 2, 1)
        let bias = thresholds.map { threshold -> Int32 in
            let half = (-Double(threshold) / Double(scale) - 0.5).rounded(.toNearestOrEven)
            return Int32(max(-0x1p29, min(0x1p29, half))) * 2 + 1
        }
        let shape = Shape([thresholds.count] + [Int](repeating: 1, count: places + 1))
        let twos = Tensor([Int8](repeating: 2, count: thresholds.count), shape: shape) ?? Tensor([Int8]())
        let weights = result.addConstant(
            twos, name: "\(node.name)/weights",
            encoding: .affine(AffineQuantization(scale: 1 / scale, zeroPoint: 0)))
        let ones = [Int](repeating: 1, count: places)
        let conv = Convolution(
            strides: ones, dilations: ones, padBefore: ones.map { _ in 0 }, padAfter: ones.map { _ in 0 },
            groups: thresholds.count, activation: Self.signRange)
        let signs = Encoding.affine(AffineQuantization(scale: 1, zeroPoint: 0))
        let y = try append(
            .conv(conv), [x, weights, result.addConstant(Tensor(bias), name: "\(node.name)/bias")], name: node.name,
            encoding: signs)
        return isVector
            ? try append(.reshape([.copy(0), .copy(2)]), [y], name: "\(node.name)/vector", encoding: signs) : y
    }

    /// Input, weights and bias of a layer, quantised.
    private mutating func layerInputs(_ node: Node) throws(CompressError) -> [ValueID?] {
        guard let x = node.inputs[0], let w = node.inputs[1], let weights = source[w].constant else {
            throw CompressError(.recipe, "\(node.name) has no constant weights")
        }
        let quantizedInput = try int8(x)
        let inputScale = result[quantizedInput].encoding.affine?.scale ?? 1
        let outputs = weights.shape[0]
        let bias =
            (node.inputs.count > 2 ? node.inputs[2] : nil).flatMap { source[$0].constant?.elements(Float.self) }
            ?? [Float](repeating: 0, count: outputs)
        // Half of int32 for the bias, half for the sum.
        let minimum = bias.map { abs($0) / (inputScale * 0x1p30) }
        guard
            let quantized = WeightQuantizer.quantize(weights, perChannel: recipe.perChannel, minimumScales: minimum)
        else { throw CompressError(.recipe, "\(node.name): the weights are no float32 numbers") }
        let correction = biasCorrection(node, weights, quantized, means: statistics[x]?.channelMeans)
        let stored = (0..<outputs).map { channel -> Int32 in
            let scale = Double(inputScale) * Double(quantized.scales[channel])
            let q = ((Double(bias[channel]) + correction[channel]) / scale).rounded(.toNearestOrEven)
            return Int32(max(-0x1p30, min(0x1p30, q)))
        }
        return [
            quantizedInput,
            result.addConstant(quantized.weights, name: source[w].name, encoding: quantized.encoding),
            result.addConstant(Tensor(stored), name: "\(node.name)/bias"),
        ]
    }

    /// What the rounding of the weights takes from the mean of each output channel, for inputs with these channel means.
    private func biasCorrection(
        _ node: Node, _ weights: Tensor, _ quantized: WeightQuantizer.Result, means: [Double]?
    ) -> [Double] {
        let outputs = weights.shape[0]
        var correction = [Double](repeating: 0, count: outputs)
        guard let means, let original = weights.elements(Float.self),
            let rounded = quantized.weights.elements(Int8.self)
        else { return correction }
        let groups: Int
        if case .conv(let conv) = node.op { groups = max(conv.groups, 1) } else { groups = 1 }
        let perGroup = weights.shape.dims.last ?? 1
        let perOutput = original.count / max(outputs, 1)
        guard perGroup * groups == means.count else { return correction }
        for index in original.indices {
            let channel = index / perOutput
            let group = channel / max(outputs / groups, 1)
            let input = group * perGroup + index % perGroup
            let difference = Double(original[index]) - Double(rounded[index]) * Double(quantized.scales[channel])
            correction[channel] += difference * means[input]
        }
        return correction
    }
}
