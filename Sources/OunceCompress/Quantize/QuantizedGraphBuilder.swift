import OunceGraph

/// Builds the quantised graph node by node, with quantise and dequantise where floats and integers meet.
///
/// int8 values are computed with as they are. int16 values are dequantised, computed with in float32 and rounded again.
struct QuantizedGraphBuilder {
    let source: Graph
    let grids: ActivationGrids
    /// By index in the source's nodes.
    let weights: [Int: WeightQuantizer.Result]
    /// Channel means of the inputs of layers whose biases are corrected.
    let means: [ValueID: [Double]]
    let signed: SignedValues
    private(set) var result: Graph
    /// For each value of the source, its float and its integer form in the result.
    private var floats: [ValueID: ValueID] = [:]
    private var integers: [ValueID: ValueID] = [:]
    /// Rounded values in float form, for nodes between int16 grids.
    private var rounded: [ValueID: ValueID] = [:]
    /// For the results of softmaxes in attention on integers the sums of their rounded exponentials.
    private var totals: [ValueID: ValueID] = [:]

    init(
        _ source: Graph, grids: ActivationGrids, weights: [Int: WeightQuantizer.Result], means: [ValueID: [Double]],
        signed: SignedValues
    ) {
        self.source = source
        self.grids = grids
        self.weights = weights
        self.means = means
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

    /// The value as it is in the source; dequantised where only its integer form exists.
    private mutating func float(_ id: ValueID) throws(CompressError) -> ValueID {
        if let known = floats[id] ?? constant(id) { return known }
        guard let quantized = integers[id] else {
            throw CompressError(.recipe, "\(source[id].name) is used before it is made")
        }
        let added = try append(.dequantize, [quantized], name: "\(source[id].name)/dequantize")
        floats[id] = added
        return added
    }

    private mutating func integer(_ id: ValueID) throws(CompressError) -> ValueID {
        if let known = integers[id] { return known }
        let added = try append(
            grids.dtype == .int8 ? .quantize : .quantizeAs(grids.dtype), [try float(id)],
            name: "\(source[id].name)/quantize", encoding: .affine(grids[id]))
        integers[id] = added
        return added
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

    /// - Parameter sumsIntegers: a layer sums integers where its input and weights are some.
    mutating func addFloat(_ node: Node, sumsIntegers: Bool = false) throws(CompressError) {
        var inputs: [ValueID?] = []
        for input in node.inputs {
            guard let input else {
                inputs.append(nil)
                continue
            }
            inputs.append(try float(input))
        }
        if sumsIntegers, let bias = integerBias(node) {
            inputs = Array(inputs.prefix(2)) + [result.addConstant(bias.0, name: "\(node.name)/bias", encoding: bias.1)]
        }
        let output = node.outputs[0]
        floats[output] = try append(
            node.op, inputs, name: node.name, output: source[output].name, encoding: source[output].encoding)
    }

    /// The bias of a layer in units of its input's scale times its weights', zeros where it has none; nil where the layer
    /// does not multiply int8 numbers.
    private func integerBias(_ node: Node) -> (Tensor, Encoding)? {
        if case .conv(let conv) = node.op, conv.groups > 1 { return nil }
        guard grids.dtype == .int8, node.inputs.count > 1, let x = node.inputs[0], let w = node.inputs[1],
            let input = integers[x].flatMap({ result[$0].encoding.affine }), input.isPerTensor,
            let weights = source[w].constant, weights.dtype == .int8, let grid = source[w].encoding.affine,
            grid.axis == nil || grid.axis == 0, grid.zeroPoints.allSatisfy({ $0 == 0 })
        else { return nil }
        let outputs = weights.shape[0]
        var floats = [Float](repeating: 0, count: outputs)
        if node.inputs.count > 2, let id = node.inputs[2] {
            guard let given = source[id].constant?.elements(Float.self), given.count == outputs else { return nil }
            floats = given
        }
        let sums = grid.ofSums(input: input.scale)
        var stored: [Int32] = []
        for (channel, bias) in floats.enumerated() {
            let units = Double(bias) / Double(sums.scales[sums.isPerTensor ? 0 : channel])
            guard units.isFinite, units.magnitude < 0x1p30 else { return nil }
            stored.append(Int32(units.rounded(.toNearestOrEven)))
        }
        return (Tensor(stored), .affine(sums))
    }

    /// - Parameter index: of the node in the source.
    mutating func addQuantized(_ node: Node, _ index: Int) throws(CompressError) {
        let output = node.outputs[0]
        var inputs: [ValueID?] = []
        if let x = node.inputs[0], SignInsertion.isSign(node), signed.clamped.contains(x) {
            integers[output] = try integer(x)
            return
        }
        if let thresholds = signed.thresholds[output] {
            integers[output] = try addThreshold(node, thresholds)
            return
        }
        var op = node.op
        if QuantizePlan.isLayer(node) {
            inputs = try layerInputs(node, index)
            if signed.clamped.contains(output) { op = clampToSigns(op, &inputs) }
        } else {
            for input in node.inputs.compactMap({ $0 }) { inputs.append(try operand(input)) }
        }
        let name = source[output].name
        guard grids.dtype == .int8 else {
            let exact = try append(node.op, inputs, name: node.name, output: "\(name)/float")
            integers[output] = try append(
                .quantizeAs(grids.dtype), [exact], name: "\(node.name)/quantize", output: name,
                encoding: .affine(grids[output]))
            return
        }
        integers[output] = try append(op, inputs, name: node.name, output: name, encoding: .affine(grids[output]))
    }

    /// A product with a number, or a quotient: the number is 1 on its own grid, so the integers stay as they are.
    mutating func addScaling(_ node: Node, by number: Float) throws(CompressError) {
        guard let x = node.inputs[0] else { throw CompressError(.recipe, "\(node.name) has no input") }
        let one = result.addConstant(
            Tensor([Int8(1)], shape: []) ?? Tensor([Int8(1)]), name: "\(node.name)/number",
            encoding: .affine(AffineQuantization(scale: number, zeroPoint: 0)))
        let output = node.outputs[0]
        integers[output] = try append(
            node.op, [try integer(x), one], name: node.name, output: source[output].name,
            encoding: .affine(grids[output]))
    }

    // MARK: Attention on integers (see AttentionWeights)

    /// `q · k` as float sums of integers.
    mutating func addScores(_ node: Node) throws(CompressError) {
        let operands = try node.inputs.compactMap { $0 }.map { (id) throws(CompressError) in try integer(id) }
        let output = node.outputs[0]
        floats[output] = try append(.matMul, operands, name: node.name, output: source[output].name)
    }

    /// A softmax without its division.
    mutating func addAttentionWeights(_ node: Node) throws(CompressError) {
        guard let scores = node.inputs[0] else { throw CompressError(.recipe, "\(node.name) has no input") }
        let (x, name) = (try float(scores), node.name)
        let top = try append(.reduce(.max, axes: [-1], keepDims: true), [x], name: "\(name)/max")
        let difference = try append(.binary(.subtract, .none), [x, top], name: "\(name)/subtract")
        let exponential = try append(.unary(.exp), [difference], name: name)
        let weights = try append(
            .quantize, [exponential], name: "\(name)/quantize", encoding: .affine(AttentionWeights.grid))
        let real = try append(.dequantize, [weights], name: "\(name)/dequantize")
        integers[node.outputs[0]] = weights
        totals[node.outputs[0]] = try append(.reduce(.sum, axes: [-1], keepDims: true), [real], name: "\(name)/sum")
    }

    /// The weights' product with values, over their sum.
    mutating func addAttention(_ node: Node, isInteger: Bool) throws(CompressError) {
        guard let softmax = node.inputs[0], let v = node.inputs[1], let weights = integers[softmax],
            let total = totals[softmax]
        else { throw CompressError(.recipe, "\(node.name) comes before its softmax") }
        let (output, name) = (node.outputs[0], source[node.outputs[0]].name)
        let product = try append(.matMul, [weights, try integer(v)], name: node.name)
        let quotient = try append(
            .binary(.divide, .none), [product, total], name: "\(node.name)/divide", output: isInteger ? nil : name)
        guard isInteger else {
            floats[output] = quotient
            return
        }
        integers[output] = try append(
            .quantize, [quotient], name: "\(node.name)/quantize", output: name, encoding: .affine(grids[output]))
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
        var x = try integer(source)
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

    /// What an integer node computes with.
    private mutating func operand(_ id: ValueID) throws(CompressError) -> ValueID {
        let stored = try integer(id)
        guard grids.dtype != .int8 else { return stored }
        // Not the value that was rounded.
        if let known = rounded[id] { return known }
        let added = try append(.dequantize, [stored], name: "\(source[id].name)/dequantize")
        rounded[id] = added
        return added
    }

    /// Input, weights and bias of a layer.
    private mutating func layerInputs(_ node: Node, _ index: Int) throws(CompressError) -> [ValueID?] {
        guard let x = node.inputs[0], let w = node.inputs[1], let original = source[w].constant,
            let quantized = weights[index]
        else { throw CompressError(.recipe, "\(node.name) has no constant weights") }
        let input = try operand(x)
        let outputs = original.shape[0]
        let bias =
            (node.inputs.count > 2 ? node.inputs[2] : nil).flatMap { source[$0].constant?.elements(Float.self) }
            ?? [Float](repeating: 0, count: outputs)
        let correction = quantized.biasShift ?? biasCorrection(node, original, quantized, means: means[x])
        let corrected = (0..<outputs).map { Double(bias[$0]) + correction[$0] }
        let stored: Tensor
        if grids.dtype == .int8 {
            let inputScale = Double(result[input].encoding.affine?.scale ?? 1)
            stored = Tensor(
                (0..<outputs).map { channel -> Int32 in
                    let q = corrected[channel] / (inputScale * Double(quantized.scales[channel]))
                    return Int32(max(-0x1p30, min(0x1p30, q.rounded(.toNearestOrEven))))
                })
        } else {
            stored = Tensor(corrected.map { Float($0) })
        }
        return [
            input, result.addConstant(quantized.weights, name: source[w].name, encoding: quantized.encoding),
            result.addConstant(stored, name: "\(node.name)/bias"),
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
