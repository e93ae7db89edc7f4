import COunceKernels
import OunceGraph

/// One step of a plan: a kernel or a generic loop with everything it needs but the arena.
struct PlannedStep: Sendable {
    let node: String
    let kernelName: String
    /// The instructions of its kernel; nil for a plain loop.
    var isa: ounce_isa?
    /// Whether it computes with float32.
    var isFloat = false
    let run: GenericStep
    let parameters: StepParameters
    let packed: PackedWeights?
    let inputs: [Operand?]
    let output: Int
    /// Bytes from the output buffer's start to where the step writes.
    let outputOffset: Int
    let units: Int
    /// Threads that it is split over.
    var threads = 1
    let macs: Int
    /// What it takes on one thread: measured, else a guess.
    let microseconds: Double
    /// What candidate kernels took where they were measured, fastest first.
    var timings: [KernelTiming] = []
}

/// A model prepared for one set of input shapes: immutable, shared by the sessions that run it.
final class Plan: Sendable {
    let steps: [PlannedStep]
    let buffers: [PlannedBuffer]
    let arenaBytes: Int
    /// Scratch of one thread.
    let scratchBytes: Int
    let threads: Int
    /// Of what a client gives and gets.
    let inputBuffers: ArraySlice<Int>
    let outputBuffers: ArraySlice<Int>
    /// With the largest extents that they can have.
    let outputTypes: [TensorType]
    let outputCuts: [OutputCut?]
    /// Where each state is before and after a run.
    let stateInputBuffers: ArraySlice<Int>
    let stateOutputBuffers: ArraySlice<Int>

    /// Of the memory that the device profile allows, how much may be spent on weights that are larger for speed.
    private static let largestShareForSpeed = 4

    /// - Parameter graph: with static shapes.
    /// - Throws: `.unsupported` where a step has no kernel, `.memory` where arena or weights exceed the limit.
    static func make(
        graph: Graph, isas: InstructionSets, options: RuntimeOptions, weights: inout [String: PackedWeights]
    ) throws(RuntimeError) -> Plan {
        let known = weights
        let spare = options.memoryLimit.map { $0 / largestShareForSpeed } ?? .max
        do {
            return try Plan(graph: graph, isas: isas, options: options, spareBytes: spare, weights: &weights)
        } catch {
            guard error.code == .memory else { throw error }
            weights = known
            return try Plan(graph: graph, isas: isas, options: options, spareBytes: 0, weights: &weights)
        }
    }

    private init(
        graph: Graph, isas: InstructionSets, options: RuntimeOptions, spareBytes: Int,
        weights: inout [String: PackedWeights]
    ) throws(RuntimeError) {
        let lowering = try Lowering(graph)
        var buffers = lowering.buffers
        guard let arena = MemoryPlanner.plan(&buffers) else {
            throw RuntimeError(.memory, "the tensors of this model do not fit an address space")
        }
        let memoryLimit = options.memoryLimit
        threads = max(1, min(options.threads, ThreadPool.maximumThreads))
        try Self.check(arena, limit: memoryLimit, what: "intermediate tensors")
        var scratch = 0
        var planned: [PlannedStep] = []
        var tuner = KernelTuner(options.selection, spareBytes: spareBytes)
        for step in RepeatedBorders.removed(from: lowering.steps, buffers) {
            planned.append(
                try Self.plan(
                    step, isas: isas, memoryLimit: memoryLimit, buffers: buffers, tuner: &tuner,
                    weights: &weights, scratch: &scratch))
        }
        tuner.finish()
        steps = planned
        self.buffers = buffers
        arenaBytes = arena
        scratchBytes = (scratch + 63) / 64 * 64
        let states = graph.initialStates.count
        inputBuffers = lowering.inputBuffers.dropLast(states)
        outputBuffers = lowering.outputBuffers.dropLast(states)
        outputTypes = graph.clientOutputs.map { graph[$0].type }
        outputCuts = lowering.outputCuts
        stateInputBuffers = lowering.inputBuffers.suffix(states)
        stateOutputBuffers = lowering.outputBuffers.suffix(states)
        try Self.checkStates(graph)
        let packed = weights.values.reduce(0) { $0 + $1.bytes.count }
        try Self.check(arena + packed + scratchBytes * threads, limit: memoryLimit, what: "weights and tensors")
    }

    /// The same with its steps split over so many threads each.
    init(_ plan: Plan, threads: [Int]) {
        steps = zip(plan.steps, threads).map { step, threads in
            var step = step
            step.threads = threads
            return step
        }
        buffers = plan.buffers
        arenaBytes = plan.arenaBytes
        scratchBytes = plan.scratchBytes
        self.threads = plan.threads
        inputBuffers = plan.inputBuffers
        outputBuffers = plan.outputBuffers
        outputTypes = plan.outputTypes
        outputCuts = plan.outputCuts
        stateInputBuffers = plan.stateInputBuffers
        stateOutputBuffers = plan.stateOutputBuffers
    }

    /// What a run stores is what the next one reads.
    private static func checkStates(_ graph: Graph) throws(RuntimeError) {
        for state in graph.states {
            let (start, end) = (graph[state.start], graph[state.end])
            guard start.type == end.type, state.initial.dtype == start.dtype, state.initial.shape == start.shape else {
                throw RuntimeError(
                    .unsupported,
                    "the state \(start.name) is \(start.dtype) \(start.shape) before a run and \(end.dtype) \(end.shape) "
                        + "after it; a state stays of one type and size")
            }
        }
    }

    private static func check(_ bytes: Int, limit: Int?, what: String) throws(RuntimeError) {
        guard let limit, bytes > limit else { return }
        throw RuntimeError(
            .memory,
            "\(what) take \(bytes) bytes, the device profile allows \(limit); raise its memory or take a "
                + "smaller model or batch")
    }

    private static func plan(
        _ step: LoweredStep, isas: InstructionSets, memoryLimit: Int?, buffers: [PlannedBuffer],
        tuner: inout KernelTuner, weights: inout [String: PackedWeights], scratch: inout Int
    ) throws(RuntimeError) -> PlannedStep {
        switch step.work {
        case .generic(let name, let run):
            return PlannedStep(
                node: step.node, kernelName: name, run: run, parameters: step.parameters, packed: nil,
                inputs: step.inputs, output: step.output, outputOffset: step.outputOffset, units: 1, macs: step.macs,
                microseconds: KernelTuner.estimatedMicroseconds(step))
        case .kernel(let family):
            let params = UnsafeRawPointer(step.parameters.pointer)
            let kernels = KernelTable.candidates(
                family, params: params, weights: step.weights, isas: isas, variants: tuner.wantsVariants)
            guard let preferred = kernels.last else {
                throw RuntimeError(
                    .unsupported,
                    "\(step.node): no kernel of \(String(cString: ounce_family_name(family))) takes this step")
            }
            let choice = tuner.choose(
                step, among: kernels, preferred: preferred, inputBytes: byteCount(of: step.inputs.first, buffers),
                outputBytes: buffers[step.output].byteCount, memoryLimit: memoryLimit)
            let kernel = choice.kernel
            guard let run = kernel.entry.pointee.run, let units = kernel.entry.pointee.units else {
                throw RuntimeError(.unsupported, "\(step.node): the kernel \(kernel.name) is incomplete")
            }
            var packed: PackedWeights?
            if let stepWeights = step.weights {
                if let known = choice.packed { weights["\(step.packingKey) \(kernel.name)"] = known }
                packed = try pack(step, stepWeights, kernel, limit: memoryLimit, into: &weights)
            }
            scratch = max(scratch, kernel.entry.pointee.scratch_size.map { Int(clamping: $0(params)) } ?? 0)
            let known = choice.timings.first { $0.kernel == kernel.name }?.microseconds
            return PlannedStep(
                node: step.node, kernelName: kernel.name, isa: kernel.isa,
                isFloat: kernel.entry.pointee.family.isFloat, run: run, parameters: step.parameters, packed: packed,
                inputs: step.inputs, output: step.output, outputOffset: step.outputOffset,
                units: Int(clamping: units(params)), macs: step.macs,
                microseconds: known ?? KernelTuner.estimatedMicroseconds(step), timings: choice.timings)
        }
    }

    /// Bytes of a step's inputs, packed weights and output.
    func bytesMoved(by step: PlannedStep) -> Int {
        let inputs = step.inputs.reduce(0) { $0 + Self.byteCount(of: $1, buffers) }
        return inputs + (step.packed?.bytes.count ?? 0) + buffers[step.output].byteCount
    }

    private static func byteCount(of operand: Operand??, _ buffers: [PlannedBuffer]) -> Int {
        switch operand ?? nil {
        case .buffer(let index, _): buffers[index].byteCount
        case .constant(let tensor): tensor.byteCount
        case nil: 0
        }
    }

    private static func pack(
        _ step: LoweredStep, _ source: StepWeights, _ kernel: Kernel, limit: Int?,
        into weights: inout [String: PackedWeights]
    ) throws(RuntimeError) -> PackedWeights? {
        guard let bytes = PackedWeights.byteCount(of: source, kernel, parameters: step.parameters.pointer) else {
            return nil
        }
        let key = "\(step.packingKey) \(kernel.name)"
        if let known = weights[key] { return known }
        try check(bytes, limit: limit, what: "the weights of \(step.node)")
        let packed = PackedWeights(byteCount: bytes)
        packed.fill(from: source, kernel, parameters: step.parameters.pointer)
        weights[key] = packed
        return packed
    }
}

extension ounce_family {
    /// Whether its kernels multiply float32 numbers.
    fileprivate var isFloat: Bool {
        [OUNCE_CONV_F32, OUNCE_DWCONV_F32, OUNCE_MATMUL_F32, OUNCE_ATTENTION_F32].contains(self)
    }
}
