import OunceGraph

/// Turns the nodes of a graph with static shapes into training steps.
struct ProgramBuilder {
    let graph: Graph
    let options: TrainingProgram.Options
    let kernels: TrainingKernels
    private(set) var steps: [TrainingStep] = []
    private(set) var parameters: [TrainingParameter] = []
    /// As consumers see them: behind a quantiser where there is one.
    private var slots: [ValueID: Slot] = [:]
    private let trainable: Set<ValueID>
    private var missing: [String] = []

    init(graph: Graph, options: TrainingProgram.Options, kernels: TrainingKernels) {
        self.graph = graph
        self.options = options
        self.kernels = kernels
        trainable = options.trainable
    }

    /// - Throws: `.unsupported` naming every node that cannot be trained.
    mutating func build() throws(TrainError) {
        for id in graph.inputs {
            let slot = Slot(name: graph[id].name, type: graph[id].type, isPersistent: true, needsGradient: false)
            try define(id, slot)
        }
        for node in graph.nodes {
            guard let output = node.outputs.first else { continue }
            do throws(TrainError) {
                try add(node, output)
            } catch {
                guard error.code == .unsupported else { throw error }
                missing.append(error.message)
                let stand = Slot(name: graph[output].name, type: graph[output].type, needsGradient: false)
                slots[output] = stand
            }
        }
        guard missing.isEmpty else {
            throw TrainError(.unsupported, "this model cannot be trained: " + missing.joined(separator: "; "))
        }
    }

    /// The slot that readers of a value use; makes those of constants.
    mutating func slot(_ id: ValueID) throws(TrainError) -> Slot {
        if let known = slots[id] { return known }
        let value = graph[id]
        guard let constant = value.constant else {
            throw TrainError(.unsupported, "\(value.name): is used before it is made")
        }
        let isParameter = trainable.contains(id) && constant.dtype == .float32
        let slot = Slot(
            name: value.name, type: value.type, isParameter: isParameter, isPersistent: true, needsGradient: isParameter
        )
        slot.value.raw.copyMemory(
            from: constant.bytes.baseAddress ?? UnsafeRawPointer(slot.value.raw), byteCount: constant.byteCount)
        if isParameter { parameters.append(TrainingParameter(name: value.name, id: id, slot: slot)) }
        try define(id, slot)
        return slots[id] ?? slot
    }

    /// Records the slot of a value, and wraps it where a quantiser is asked for.
    private mutating func define(_ id: ValueID, _ slot: Slot) throws(TrainError) {
        slots[id] = slot
        if let binary = options.binaryWeights[id] { return try define(id, slot, binary) }
        guard let quantizer = options.quantizers[id] else { return }
        let extent = quantizer.axis.map { slot.shape.dims.indices.contains($0) ? slot.shape[$0] : -1 } ?? 1
        guard quantizer.scales.count == extent, slot.type.dtype == .float32 else {
            throw TrainError(.unsupported, "\(slot.name): \(quantizer.scales.count) scales for \(extent) channels")
        }
        let scale = Slot(
            name: slot.name + " scale", type: TensorType(.float32, [extent]), isParameter: quantizer.learnsScale,
            isPersistent: true, needsGradient: quantizer.learnsScale)
        for index in quantizer.scales.indices { scale.x[index] = 1 }
        if quantizer.learnsScale {
            parameters.append(TrainingParameter(name: scale.name, id: nil, quantizes: id, slot: scale))
        }
        let rounded = Slot(
            name: slot.name, type: slot.type, needsGradient: slot.needsGradient || quantizer.learnsScale)
        steps.append(
            FakeQuantizationStep(
                name: slot.name, x: slot, scale: scale, output: rounded, quantizer: quantizer, kernels: kernels))
        slots[id] = rounded
    }

    /// Wraps weights of which only the signs count.
    private mutating func define(_ id: ValueID, _ slot: Slot, _ quantizer: BinaryQuantizer) throws(TrainError) {
        let count = quantizer.sizes.count
        guard slot.shape.dims.first == count, [1, count].contains(quantizer.estimator.widths.count) else {
            throw TrainError(
                .unsupported, "\(slot.name): \(count) sizes for weights of shape \(slot.shape)")
        }
        let factor = Slot(
            name: slot.name + " size", type: TensorType(.float32, [count]), isParameter: quantizer.learnsSizes,
            isPersistent: true, needsGradient: quantizer.learnsSizes)
        for index in 0..<count { factor.x[index] = 1 }
        if quantizer.learnsSizes {
            parameters.append(TrainingParameter(name: factor.name, id: nil, quantizes: id, slot: factor))
        }
        let signs = Slot(
            name: slot.name, type: slot.type, needsGradient: slot.needsGradient || quantizer.learnsSizes)
        steps.append(BinaryWeightStep(name: slot.name, x: slot, factor: factor, output: signs, quantizer: quantizer))
        slots[id] = signs
    }

    /// A slot for what a step computes from `inputs`.
    func result(_ name: String, _ type: TensorType, from inputs: [Slot]) -> Slot {
        Slot(name: name, type: type, needsGradient: type.dtype == .float32 && inputs.contains { $0.needsGradient })
    }

    mutating func append(_ step: TrainingStep) { steps.append(step) }

    /// `x` with its axes permuted.
    mutating func transposed(_ x: Slot, _ permutation: [Int], name: String) throws(TrainError) -> Slot {
        let type = TensorType(x.type.dtype, Shape(permutation.map { x.shape[$0] }))
        let output = result(name, type, from: [x])
        guard
            let step = MovementStep(
                name: name, op: .transpose(permutation), operands: [(x.type, nil)], moved: [x], output: output)
        else { throw TrainError(.unsupported, "\(name): its axes cannot be moved") }
        steps.append(step)
        return output
    }

    /// `x` repeated to `shape`.
    mutating func expanded(_ x: Slot, to shape: Shape, name: String) throws(TrainError) -> Slot {
        if x.shape == shape { return x }
        let output = result(name, TensorType(x.type.dtype, shape), from: [x])
        guard x.type.dtype == .float32,
            let step = MovementStep(
                name: name, op: .expand(shape.dims), operands: [(x.type, nil)], moved: [x], output: output)
        else { throw TrainError(.unsupported, "\(name): cannot be broadcast") }
        steps.append(step)
        return output
    }

    private mutating func add(_ node: Node, _ output: ValueID) throws(TrainError) {
        var operands: [Slot?] = []
        for id in node.inputs { operands.append(try id.map { (id) throws(TrainError) in try slot(id) }) }
        let given = operands.compactMap { $0 }
        let result = result(graph[output].name, graph[output].type, from: given)
        guard graph[output].encoding == .plain, given.allSatisfy({ $0.type.dtype != .int8 }) else {
            throw TrainError(.unsupported, "\(node.name): is quantised; fine-tune the float model before")
        }
        try addStep(node, operands, result)
        try define(output, result)
    }
}
