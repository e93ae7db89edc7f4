import COunceKernels
import OunceGraph

/// The axis of an output that holds as many slices as `count` says when the model has run.
struct OutputCut: Sendable {
    var axis: Int
    var count: Operand

    init(_ axis: Int, _ count: Operand) {
        self.axis = axis
        self.count = count
    }
}

/// Turns a graph with known shapes into steps over planned buffers.
///
/// Every step belongs to a family of the kernel table, or is a generic loop. What has no int8 kernel runs as
/// dequantise, float, quantise: the same bits everywhere, because each part gives them.
struct Lowering {
    let graph: Graph
    let ternary: TernaryValues
    let flow: ValueFlow
    private(set) var paddedLayouts: ValueMap<PaddedLayout>
    /// Transpositions that happen after the quantisation of their results.
    let putOffTransposes: ValueMap<Node>
    /// The int8 values that layers with float results sum, by these results.
    let integerLayers: ValueMap<ValueID>
    private let unreadDequantizations: ValueSet
    /// By the indices of the additions.
    private(set) var residualLayers: [Int: ResidualLayer] = [:]
    private(set) var steps: [LoweredStep] = []
    private(set) var buffers: [PlannedBuffer] = []
    /// The buffer of each value that is made at run time. Reshapes share one.
    private var bufferOf: ValueMap<Int>
    private(set) var inputBuffers: [Int] = []
    private(set) var outputBuffers: [Int] = []
    /// Of each output whose extent along an axis is known only after a run, where that is.
    private(set) var outputCuts: [OutputCut?] = []

    /// - Throws: `.unsupported` with every node that cannot run, by name.
    init(_ graph: Graph) throws(RuntimeError) {
        self.graph = graph
        ternary = TernaryValues(graph)
        flow = ValueFlow(graph)
        bufferOf = ValueMap(over: graph)
        paddedLayouts = ValueMap(over: graph)
        putOffTransposes = graph.transposesBeforeQuantization(flow)
        integerLayers = graph.integerLayers(flow, largestReduction: Self.maximumInt8Reduction)
        unreadDequantizations = graph.unreadDequantizations(flow, integerLayers)
        let (attentions, resizes) = (graph.attentions(flow), graph.resizes(flow))
        let integerAttentions = integerAttentions()
        let taken = Set(
            attentions.values.flatMap(\.absorbed) + integerAttentions.values.flatMap(\.absorbed)
                + resizes.values.flatMap(\.absorbed))
        let (residuals, layers) = findResidualLayers(besides: taken)
        residualLayers = residuals
        paddedLayouts = findPaddedLayouts()
        for input in graph.inputs {
            let index = newBuffer(byteCount: byteCount(input))
            bufferOf[input] = index
            inputBuffers.append(index)
        }
        let absorbed = layers.union(taken)
        var problems: [String] = []
        for (index, node) in graph.nodes.enumerated() where !absorbed.contains(index) {
            do {
                if let pieces = attentions[index] {
                    try lowerAttention(node, pieces)
                } else if let pieces = integerAttentions[index] {
                    try lowerIntegerAttention(node, pieces)
                } else if let pieces = resizes[index] {
                    try lowerResize(node, pieces)
                } else if let residual = residualLayers[index] {
                    try lowerResidualLayer(residual)
                } else {
                    try lower(node)
                }
            } catch {
                problems.append("\(node.name): \(error.message)")
                for output in node.outputs { bufferOf[output] = newBuffer(byteCount: byteCount(output)) }
            }
        }
        guard problems.isEmpty else {
            throw RuntimeError(
                .unsupported,
                "no kernel can run \(problems.count == 1 ? "this step" : "these steps"): "
                    + problems.joined(separator: "; "))
        }
        for output in graph.outputs { outputBuffers.append(try outputBuffer(for: output)) }
        let end = max(steps.count - 1, 0)
        for cut in graph.outputCuts {
            outputCuts.append(try cut.map { (cut) throws(RuntimeError) in OutputCut(cut.axis, try operand(cut.count)) })
            if case .buffer(let index, _)? = outputCuts.last??.count { buffers[index].lastStep = end }
        }
        for index in inputBuffers { buffers[index].firstStep = 0 }
        for index in outputBuffers { buffers[index].lastStep = end }
    }

    /// An output buffer of its own, so that outputs are neither inputs, constants nor one another.
    private mutating func outputBuffer(for output: ValueID) throws(RuntimeError) -> Int {
        try checkExtents(output)
        if let index = bufferOf[output], !inputBuffers.contains(index), !outputBuffers.contains(index) { return index }
        let index = newBuffer(byteCount: byteCount(output))
        let value = graph[output]
        copy(
            CopyBox(extent: [value.shape.elementCount ?? 0], inStride: [1], outStride: [1]),
            elementSize: value.dtype.byteSize, from: try operand(output), to: index, node: value.name)
        return index
    }

    // MARK: What the families use

    /// Every step works on at least one element.
    func checkExtents(_ id: ValueID) throws(RuntimeError) {
        guard graph[id].shape.elementCount != nil else {
            throw RuntimeError(.unsupported, "\(graph[id].name) is \(graph[id].shape), which has unknown extents")
        }
    }

    /// The one grid of an int8 activation.
    func grid(_ value: Value) throws(RuntimeError) -> AffineQuantization {
        guard let affine = value.encoding.affine, affine.isPerTensor else {
            throw RuntimeError(.unsupported, "\(value.name) is int8 and needs one scale and one zero point")
        }
        return affine
    }

    /// A factor between grids; kernels take finite ones.
    func factor(_ value: Double) throws(RuntimeError) -> Float {
        let factor = Float(value)
        guard factor.isFinite else {
            throw RuntimeError(.unsupported, "the scales of inputs and output are too far apart")
        }
        return factor
    }

    func byteCount(_ id: ValueID) -> Int { (graph[id].shape.elementCount ?? 0) * graph[id].dtype.byteSize }

    func elementCount(_ id: ValueID) -> Int { graph[id].shape.elementCount ?? 0 }

    mutating func newBuffer(byteCount: Int) -> Int {
        buffers.append(PlannedBuffer(byteCount: byteCount, firstStep: steps.count, lastStep: steps.count))
        return buffers.count - 1
    }

    /// The buffer that `node` writes its output to.
    mutating func outputOf(_ node: Node) -> Int {
        let index = newBuffer(byteCount: byteCount(node.outputs[0]))
        bufferOf[node.outputs[0]] = index
        return index
    }

    mutating func setBuffer(of value: ValueID, to index: Int) { bufferOf[value] = index }

    /// Makes `output` another name for the bytes of `input`.
    mutating func alias(_ output: ValueID, to input: ValueID) throws(RuntimeError) {
        if case .buffer(let index, _) = try operand(input) {
            bufferOf[output] = index
        } else {
            let index = newBuffer(byteCount: byteCount(output))
            copy(
                CopyBox(extent: [elementCount(output)], inStride: [1], outStride: [1]),
                elementSize: graph[output].dtype.byteSize, from: try operand(input), to: index,
                node: graph[output].name)
            bufferOf[output] = index
        }
    }

    func operand(_ id: ValueID) throws(RuntimeError) -> Operand {
        if let index = bufferOf[id] { return .buffer(index) }
        if let constant = graph[id].constant { return .constant(constant) }
        throw RuntimeError(.unsupported, "the value \(graph[id].name) is made by no node")
    }

    func input(_ node: Node, _ index: Int) throws(RuntimeError) -> ValueID {
        guard index < node.inputs.count, let id = node.inputs[index] else {
            throw RuntimeError(.unsupported, "input \(index) is missing")
        }
        return id
    }

    mutating func emit(_ step: LoweredStep) {
        let now = steps.count
        for case .buffer(let index, _)? in step.inputs { buffers[index].lastStep = max(buffers[index].lastStep, now) }
        buffers[step.output].lastStep = max(buffers[step.output].lastStep, now)
        steps.append(step)
    }

    /// A step of a family that packs nothing.
    mutating func emit<Parameters>(
        _ family: ounce_family, _ parameters: Parameters, owning: [Tensor] = [], inputs: [Operand], output: Int,
        cost: Int, node: String
    ) {
        emit(
            LoweredStep(
                node: node, work: .kernel(family), parameters: StepParameters(parameters, owning: owning), weights: nil,
                inputs: inputs, output: output, cost: cost, macs: 0, packingKey: ""))
    }

    private mutating func lower(_ node: Node) throws(RuntimeError) {
        guard hasKernel(node) else { return try lowerGeneric(node) }
        for id in node.inputs.compactMap({ $0 }) + node.outputs { try checkExtents(id) }
        switch node.op {
        case .conv(let conv): try lowerConvolution(node, conv, nil)
        case .fullyConnected(let activation): try lowerFullyConnected(node, activation, nil)
        case .pool(let pool): try lowerPooling(node, pool)
        case .reduce(let reduction, let axes, _): try lowerReduction(node, reduction, axes: axes)
        case .binary(let op, let activation): try lowerBinary(node, op, activation)
        case .unary(let op): try lowerUnary(node, op)
        case .softmax(let axis): try lowerSoftmax(node, axis: axis)
        case .layerNormalization(let axes, let epsilon):
            try lowerLayerNormalization(node, axes: axes, epsilon: epsilon)
        case .reshape: try lowerReshape(node)
        case .transpose(let permutation): try lowerTranspose(node, permutation)
        case .concat(let axis): try lowerConcat(node, axis: axis)
        case .slice(let ranges): try lowerSlice(node, ranges)
        case .pad(let before, let after, let value): try lowerPad(node, before: before, after: after, value: value)
        case .quantize: try lowerQuantize(node)
        case .dequantize where unreadDequantizations.contains(node.outputs[0]): break
        case .dequantize: try lowerDequantize(node)
        case .quantizeAs: try lowerQuantizeAs(node)
        case .matMul where multipliesIntegers(node): try lowerIntegerMatMul(node)
        case .matMul: try lowerMatMul(node)
        case .recurrent(let layer): try lowerRecurrent(node, layer)
        case .batchNormalization:
            throw RuntimeError(.unsupported, "batch normalisation is left; simplify the graph before it is lowered")
        default: try lowerGeneric(node)
        }
    }

    /// Whether kernels of the table compute the node; what they do not runs as a plain loop over numbers of any type.
    func hasKernel(_ node: Node) -> Bool {
        guard elementCount(node.outputs[0]) > 0, let first = node.inputs.first, let x = first,
            node.inputs.allSatisfy({ $0.map { elementCount($0) > 0 } ?? true })
        else { return node.op.isQuantization }
        let isReal = graph[x].dtype == .float32 || isQuantized(x)
        func isConstant(_ index: Int) -> Bool {
            index >= node.inputs.count || node.inputs[index].map { graph[$0].constant != nil } ?? true
        }
        switch node.op {
        case .conv: return isReal && graph[x].shape.rank <= 4 && isConstant(1) && isConstant(2)
        case .fullyConnected: return isReal && isConstant(1) && isConstant(2)
        case .pool: return isReal && graph[x].shape.rank <= 4
        case .reduce(let reduction, _, _): return isReal && reduction != .product
        case .binary(let op, _): return isReal && op.isArithmetic
        case .unary(.function(let function)): return isQuantized(x) || (function.kernel != nil && isReal)
        case .matMul, .unary, .softmax: return isReal
        case .recurrent(let layer): return hasRecurrentKernel(node, layer)
        case .layerNormalization:
            return node.inputs.allSatisfy { $0.map { graph[$0].dtype == .float32 || isQuantized($0) } ?? true }
        default: return true
        }
    }
}

extension Op {
    /// Operators between numbers and what they stand for, which generic loops do not do.
    fileprivate var isQuantization: Bool {
        switch self {
        case .quantize, .quantizeAs, .dequantize: true
        default: false
        }
    }
}
