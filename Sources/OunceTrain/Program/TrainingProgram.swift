import OunceGraph
import OunceRuntime

/// A graph laid out for training with one set of input shapes: steps forward, the same steps backward, and all memory
/// that they need. A pass allocates nothing.
package final class TrainingProgram {
    package struct Options {
        /// The constants that get gradients.
        package var trainable: Set<ValueID>
        /// Values and constants that are rounded to a grid before they are used.
        package var quantizers: [ValueID: FakeQuantizer]
        /// Constants of which only the signs count.
        package var binaryWeights: [ValueID: BinaryQuantizer] = [:]
        /// For outputs of signs, in place of the usual gradient.
        package var signs: [ValueID: SignEstimator] = [:]
        /// Values whose channels' Taylor importance is gathered.
        package var probes: [ValueID]
        /// How batch normalisations that are left in the graph behave.
        package var updatesStatistics: Bool
        package var statisticsMomentum: Float
        /// Whether losses act before a softmax that makes an output.
        package var headsBeforeSoftmax = true
        package var threads: Int
        package var allowedISAs: Set<String>?

        package init(
            trainable: Set<ValueID>, quantizers: [ValueID: FakeQuantizer] = [:], probes: [ValueID] = [],
            updatesStatistics: Bool = false, statisticsMomentum: Float = 0.1, threads: Int = 1,
            allowedISAs: Set<String>? = nil
        ) {
            self.trainable = trainable
            self.quantizers = quantizers
            self.probes = probes
            self.updatesStatistics = updatesStatistics
            self.statisticsMomentum = statisticsMomentum
            self.threads = threads
            self.allowedISAs = allowedISAs
        }

        var batchNormalization: BatchNormalizationStep.Mode {
            updatesStatistics ? .training(momentum: statisticsMomentum) : .frozen
        }
    }

    package let parameters: [TrainingParameter]
    /// In the order of the probes asked for.
    package let importance: [ChannelImportance]
    let inputs: [Slot]
    let outputs: [Slot]
    /// Where losses act: the outputs, each before its softmax where it has one.
    let heads: [Slot]
    /// Whether a head is the input of a softmax that makes the output.
    let isSoftmax: [Bool]
    let kernels: TrainingKernels
    let runner: PartRunner
    private let steps: [TrainingStep]
    private let arena: TrainBuffer
    /// By the step before whose backward pass they look.
    private let probes: [(step: Int, probe: ChannelImportance)]
    /// Running statistics that the program changes, by their constants.
    private let statistics: [(ValueID, Slot)]

    /// - Parameter graph: with static shapes.
    /// - Throws: `.unsupported` naming every node without a gradient.
    package init(graph: Graph, options: Options) throws(TrainError) {
        do {
            kernels = TrainingKernels(isas: try InstructionSets.permitted(allowed: options.allowedISAs))
        } catch {
            throw TrainError(.unsupported, error.message)
        }
        var builder = ProgramBuilder(graph: graph, options: options, kernels: kernels)
        try builder.build()
        var (inputs, outputs, heads, isSoftmax): ([Slot], [Slot], [Slot], [Bool]) = ([], [], [], [])
        for id in graph.inputs { inputs.append(try builder.slot(id)) }
        let producers = graph.producers()
        for id in graph.outputs {
            outputs.append(try builder.slot(id))
            var head = id
            if options.headsBeforeSoftmax, let node = producers[id].map({ graph.nodes[$0] }),
                case .softmax(let axis) = node.op, axis == graph[id].shape.rank - 1,
                let before = node.inputs.first.flatMap({ $0 })
            {
                head = before
            }
            heads.append(try builder.slot(head))
            isSoftmax.append(head != id)
        }
        var probed: [(slot: Slot, probe: ChannelImportance)] = []
        for id in options.probes {
            let slot = try builder.slot(id)
            probed.append((slot, ChannelImportance(slot)))
        }
        var statistics: [(ValueID, Slot)] = []
        if options.updatesStatistics {
            for node in graph.nodes {
                guard case .batchNormalization = node.op else { continue }
                for id in node.inputs.dropFirst(3).compactMap({ $0 }) { statistics.append((id, try builder.slot(id))) }
            }
        }
        (self.inputs, self.outputs, self.heads, self.isSoftmax) = (inputs, outputs, heads, isSoftmax)
        self.statistics = statistics
        parameters = builder.parameters
        steps = builder.steps
        importance = probed.map(\.probe)
        probes = probed.compactMap { probed in
            builder.steps.firstIndex { $0.output === probed.slot }.map { ($0, probed.probe) }
        }
        runner = PartRunner(parts: max(1, min(options.threads, ThreadPool.maximumThreads)))
        Self.layOutGradients(steps, heads: heads)
        arena = try Self.layOutMemory(steps, kept: outputs + heads, heads: heads, probes: probes)
        for step in steps { step.prepare(parts: runner.parts) }
    }

    /// Decides which step is the first to write each gradient, the others add, and which steps have nothing to do.
    private static func layOutGradients(_ steps: [TrainingStep], heads: [Slot]) {
        for head in heads where head.needsGradient { head.hasGradientWriter = true }
        for step in steps.reversed() {
            guard step.output.needsGradient, step.output.hasGradientWriter else {
                step.skipsBackward = true
                continue
            }
            for target in step.targets.compactMap({ $0 }) {
                target.accumulates = target.slot.isParameter || target.slot.hasGradientWriter
                target.slot.hasGradientWriter = true
            }
        }
    }

    private static func layOutMemory(
        _ steps: [TrainingStep], kept: [Slot], heads: [Slot], probes: [(step: Int, probe: ChannelImportance)]
    ) throws(TrainError) -> TrainBuffer {
        var buffers: [TrainBuffer] = []
        var known: Set<ObjectIdentifier> = []
        func use(_ buffer: TrainBuffer?, at point: Int) {
            guard let buffer, !buffer.isPersistent else { return }
            if known.insert(ObjectIdentifier(buffer)).inserted { buffers.append(buffer) }
            buffer.use(at: point)
        }
        let loss = steps.count
        for (index, step) in steps.enumerated() {
            for slot in step.inputs + [step.output] { use(slot.value, at: index) }
            guard !step.skipsBackward else { continue }
            let point = 2 * loss - index
            for buffer in step.backwardBuffers { use(buffer, at: point) }
            use(step.output.gradient, at: point)
            for target in step.targets { use(target?.slot.gradient, at: point) }
        }
        for slot in kept { use(slot.value, at: loss) }
        for head in heads { use(head.gradient, at: loss) }
        for (index, probe) in probes {
            use(probe.slot.value, at: 2 * loss - index)
            use(probe.slot.gradient, at: 2 * loss - index)
        }
        var planned = buffers.map {
            PlannedBuffer(byteCount: $0.byteCount, firstStep: $0.firstUse, lastStep: $0.lastUse)
        }
        guard let size = MemoryPlanner.plan(&planned), size < 1 << 40 else {
            throw TrainError(.memory, "the values of this model do not fit an address space; take a smaller batch")
        }
        let arena = TrainBuffer(persistent: size)
        for (buffer, place) in zip(buffers, planned) { buffer.place(at: arena.raw + place.offset) }
        return arena
    }

    var statisticBuffers: [TrainBuffer] { statistics.map(\.1.value) }
    /// Samples of a batch see each other.
    var usesBatchStatistics: Bool { !statistics.isEmpty }

    /// Bytes of values and gradients.
    package var arenaBytes: Int { arena.byteCount }
    package var instructionSet: String { kernels.name }
    package var stepCount: Int { steps.count }

    /// Computes the outputs for what lies in the inputs.
    package func forward() {
        for step in steps { runner.forward(step) }
    }

    /// Computes the gradients of parameters (added to what they hold) from those of the heads.
    package func backward() {
        var next = probes.count - 1
        let order = probes.indices.sorted { probes[$0].step < probes[$1].step }
        for (index, step) in steps.enumerated().reversed() {
            while next >= 0, probes[order[next]].step == index {
                probes[order[next]].probe.gather()
                next -= 1
            }
            runner.backward(step)
        }
    }

    package func zeroGradients() {
        for parameter in parameters { parameter.slot.gradient?.zero() }
    }

    /// `graph` with the constants that this program trained.
    package func updated(_ graph: Graph) -> Graph {
        var graph = graph
        func put(_ id: ValueID, _ slot: Slot) {
            let floats = Array(UnsafeBufferPointer(start: slot.x, count: slot.count))
            if let tensor = Tensor(floats, shape: slot.shape) { graph[id].constant = tensor }
        }
        for parameter in parameters { parameter.id.map { put($0, parameter.slot) } }
        for (id, slot) in statistics { put(id, slot) }
        return graph
    }
}

/// First-order Taylor importance of the channels (last axis) of a value: the mean over samples of
/// `|sum over places of value * gradient|` (arXiv 1611.06440).
package final class ChannelImportance {
    let slot: Slot
    /// One for each channel; sums over the samples seen.
    package private(set) var scores: [Float]
    package private(set) var samples = 0
    private var sums: [Float]
    /// Second moments of the gradient where they are wanted.
    var moments: GradientMoments?

    init(_ slot: Slot) {
        self.slot = slot
        let channels = slot.shape.dims.last ?? 1
        scores = [Float](repeating: 0, count: channels)
        sums = scores
    }

    func gather() {
        let (channels, batch) = (scores.count, max(slot.shape.dims.first ?? 1, 1))
        guard slot.needsGradient, slot.hasGradientWriter, channels > 0 else { return }
        moments?.add(slot)
        let rows = slot.count / channels / batch
        for sample in 0..<batch {
            for c in 0..<channels { sums[c] = 0 }
            for row in 0..<rows {
                let place = (sample * rows + row) * channels
                for c in 0..<channels { sums[c] += slot.x[place + c] * slot.dx[place + c] }
            }
            for c in 0..<channels { scores[c] += abs(sums[c]) }
        }
        samples += batch
    }
}
