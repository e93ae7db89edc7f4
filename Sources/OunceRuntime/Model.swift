import OunceGraph
import Synchronization

/// Name, element type and extents of an input or output as a client sees it; -1 is a variable extent.
package struct TensorInfo: Sendable, Hashable {
    package var name: String
    package var dtype: DType
    package var shape: Shape

    package init(name: String, dtype: DType, shape: Shape) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
    }
}

/// What of the device a model may use.
package struct RuntimeOptions: Sendable, Hashable {
    /// Names of the instruction sets whose kernels may run; nil is whatever the CPU has. "scalar" always may.
    package var allowedISAs: Set<String>?
    package var threads: Int
    /// Most bytes that weights, plans and arenas may take together; nil is no limit.
    package var memoryLimit: Int?
    package var selection: KernelSelection

    package init(
        allowedISAs: Set<String>? = nil, threads: Int = 1, memoryLimit: Int? = nil,
        selection: KernelSelection = .tableOrder
    ) {
        self.allowedISAs = allowedISAs
        self.threads = threads
        self.memoryLimit = memoryLimit
        self.selection = selection
    }
}

/// A model ready to run: kernels chosen, weights packed. Safe to call from several threads at once.
package final class Model: Sendable {
    package let name: String
    package let inputs: [TensorInfo]
    package let outputs: [TensorInfo]
    /// What it keeps from one run of a stream to the next; none: a model that only computes.
    package let states: [TensorInfo]
    /// What each of `states` is when a stream starts.
    let initialStates: [Tensor]
    /// Bytes that the states of one stream take.
    let stateBytes: Int

    private let graph: Graph
    let isas: InstructionSets
    private let options: RuntimeOptions
    private let state = Mutex(State())

    private struct State {
        var weights: [String: PackedWeights] = [:]
        /// Most recently used last.
        var plans: [(shapes: [Shape], plan: Plan, idle: [Session])] = []
        var sessionBytes = 0
        var streamBytes = 0

        var memoryBytes: Int { weights.values.reduce(0) { $0 + $1.bytes.count } + sessionBytes + streamBytes }
    }
    private static let maximumPlans = 4
    private static let maximumIdleSessions = 4

    /// Prepares `graph` for this device: lowers it, chooses kernels, packs weights.
    ///
    /// - Throws: `.unsupported` naming every operator that no kernel can run, `.memory` where the limit does not suffice.
    package init(graph: Graph, options: RuntimeOptions) throws(RuntimeError) {
        self.graph = graph
        self.options = options
        name = graph.name
        func info(_ id: ValueID) -> TensorInfo {
            TensorInfo(name: graph[id].name, dtype: graph[id].dtype, shape: graph[id].shape)
        }
        inputs = graph.clientInputs.map(info)
        outputs = zip(graph.clientOutputs, graph.outputCuts).map { id, cut in
            var output = info(id)
            if let cut { output.shape[cut.axis] = Shape.unknown }
            return output
        }
        states = graph.states.map { info($0.start) }
        initialStates = graph.initialStates
        stateBytes = graph.stateBytes
        isas = try InstructionSets.permitted(allowed: options.allowedISAs)
        let shapes = inputs.map(\.shape.smallest)
        do throws(RuntimeError) {
            let session = try take(shapes)
            give(session, shapes)
        } catch {
            // Extents of 1 need not fit where the model leaves more open than the batch: the first request tells.
            guard error.code == .invalidInput, inputs.contains(where: { $0.shape.dims.dropFirst().contains { $0 < 0 } })
            else { throw error }
        }
    }

    /// Names of the instruction sets that its kernels may use.
    package var instructionSets: [String] { isas.names }

    package var threads: Int { options.threads }

    /// How the numbers of the input or output of this name stand for real ones.
    package func encoding(of name: String) -> Encoding? {
        (graph.inputs + graph.outputs).first { graph[$0].name == name }.map { graph[$0].encoding }
    }

    /// Bytes that weights, plans and arenas take now.
    package var memoryBytes: Int { state.withLock { $0.memoryBytes } }

    /// One inference.
    ///
    /// - Parameters:
    ///   - tensors: in the order of `inputs`, each of its type and of a shape that fits.
    ///   - stream: carries the model's states from one run to the next; nil: from the initial states, which are not kept.
    /// - Returns: in the order of `outputs`.
    /// - Throws: `.invalidInput` naming the input that does not fit; `.memory` where a plan for these shapes does not fit.
    package func run(_ tensors: [Tensor], stream: StreamState? = nil) throws(RuntimeError) -> [Tensor] {
        let shapes = try check(tensors)
        guard stream.map({ $0.model === self }) ?? true else {
            throw RuntimeError(.invalidInput, "the stream belongs to another model than \(name)")
        }
        let session = try take(shapes)
        defer { give(session, shapes) }
        for (tensor, buffer) in zip(tensors, session.plan.inputBuffers) {
            session.bytes(of: buffer).copyMemory(from: tensor.bytes)
        }
        if let stream {
            stream.run(session)
        } else {
            session.resetStates(initialStates)
            session.run()
        }
        var results: [Tensor] = []
        for (index, buffer) in session.plan.outputBuffers.enumerated() {
            let (dtype, shape) = (session.plan.outputTypes[index].dtype, session.shape(ofOutput: index))
            let byteCount = (shape.elementCount ?? 0) * dtype.byteSize
            let bytes = UnsafeRawBufferPointer(rebasing: session.bytes(of: buffer).prefix(byteCount))
            let storage = TensorStorage(byteCount: bytes.count) { $0.copyMemory(from: bytes) }
            guard let tensor = Tensor(dtype: dtype, shape: shape, storage: storage) else {
                throw RuntimeError(.unsupported, "an output of \(name) has no static shape")
            }
            results.append(tensor)
        }
        return results
    }

    /// A new stream in the initial states.
    ///
    /// - Throws: `.memory` where the limit does not suffice for one more.
    package func makeStream() throws(RuntimeError) -> StreamState {
        let fits = state.withLock { state in
            if let limit = options.memoryLimit, state.memoryBytes + stateBytes > limit { return false }
            state.streamBytes += stateBytes
            return true
        }
        guard fits else {
            throw RuntimeError(
                .memory,
                "one more stream of \(name) takes \(stateBytes) bytes, more than the device profile's memory leaves")
        }
        return StreamState(self)
    }

    func release(streamBytes: Int) { state.withLock { $0.streamBytes -= streamBytes } }

    /// Replays the self-checks of an artifact: of a model with states, as consecutive runs of one stream.
    ///
    /// - Throws: `.selfCheck` where an output differs in a single bit.
    package func verify(_ checks: [SelfCheck]) throws(RuntimeError) {
        let stream = try makeStream()
        for (number, check) in checks.enumerated() {
            let results = try run(check.inputs, stream: stream)
            guard results.count == check.outputs.count else {
                throw RuntimeError(
                    .selfCheck,
                    "self-check \(number) holds \(check.outputs.count) outputs, the model has \(results.count)")
            }
            for (index, (result, expected)) in zip(results, check.outputs).enumerated() {
                guard result.shape == expected.shape, result.bytes.elementsEqual(expected.bytes) else {
                    throw RuntimeError(
                        .selfCheck,
                        "self-check \(number): output \(outputs[index].name) differs from what the artifact "
                            + "holds; it is not served")
                }
            }
        }
    }

    /// Runs `body` with a session for inputs of `shapes`, nil: extents of 1 for unknown ones.
    func withSession<R>(
        shapes given: [Shape]?, _ body: (Session) -> R
    ) throws(RuntimeError) -> R {
        let shapes = given ?? inputs.map(\.shape.smallest)
        let session = try take(shapes)
        defer { give(session, shapes) }
        return body(session)
    }

    func check(_ tensors: [Tensor]) throws(RuntimeError) -> [Shape] {
        guard tensors.count == inputs.count else {
            throw RuntimeError(.invalidInput, "\(name) takes \(inputs.count) inputs, \(tensors.count) were given")
        }
        for (tensor, info) in zip(tensors, inputs) {
            guard tensor.dtype == info.dtype else {
                throw RuntimeError(
                    .invalidInput, "input \(info.name) is \(tensor.dtype), the model takes \(info.dtype)")
            }
            let fits =
                tensor.shape.rank == info.shape.rank
                && zip(tensor.shape.dims, info.shape.dims).allSatisfy { $1 < 0 ? $0 > 0 : $0 == $1 }
            guard fits else {
                throw RuntimeError(
                    .invalidInput, "input \(info.name) has shape \(tensor.shape), the model takes \(info.shape)")
            }
        }
        return tensors.map(\.shape)
    }

    // MARK: Plans and sessions

    private func take(_ shapes: [Shape]) throws(RuntimeError) -> Session {
        let found: Result<(Plan, Session?), RuntimeError> = state.withLock { state in
            do throws(RuntimeError) {
                let index = try planIndex(for: shapes, &state)
                let plan = state.plans[index].plan
                if let idle = state.plans[index].idle.popLast() { return .success((plan, idle)) }
                let size = Session.byteCount(of: plan)
                if let limit = options.memoryLimit, state.memoryBytes + size > limit {
                    throw RuntimeError(
                        .memory,
                        "one more run of \(name) at a time takes \(size) bytes, more than the device profile's memory leaves"
                    )
                }
                state.sessionBytes += size
                return .success((plan, nil))
            } catch {
                return .failure(error)
            }
        }
        let (plan, idle) = try found.get()
        return idle ?? Session(plan: plan)
    }

    private func planIndex(for shapes: [Shape], _ state: inout State) throws(RuntimeError) -> Int {
        if let index = state.plans.firstIndex(where: { $0.shapes == shapes }) {
            if index != state.plans.count - 1 { state.plans.append(state.plans.remove(at: index)) }
            return state.plans.count - 1
        }
        let bound: Graph
        do {
            bound = try graph.bound(to: Dictionary(zip(inputs.map(\.name), shapes)) { first, _ in first })
        } catch {
            throw RuntimeError(.invalidInput, error.description)
        }
        var options = options
        if !state.plans.isEmpty { options.selection = options.selection.whileServing }
        let untuned = try Plan.make(graph: bound, isas: isas, options: options, weights: &state.weights)
        let plan = ThreadTuner(options.selection, limit: untuned.threads).tuned(
            untuned, memoryLeft: options.memoryLimit.map { $0 - state.memoryBytes })
        if state.plans.count >= Self.maximumPlans {
            let dropped = state.plans.removeFirst()
            state.sessionBytes -= dropped.idle.reduce(0) { $0 + $1.byteCount }
        }
        state.plans.append((shapes, plan, []))
        return state.plans.count - 1
    }

    private func give(_ session: Session, _ shapes: [Shape]) {
        state.withLock { state in
            guard let index = state.plans.firstIndex(where: { $0.plan === session.plan }),
                state.plans[index].idle.count < Self.maximumIdleSessions
            else {
                state.sessionBytes -= session.byteCount
                return
            }
            state.plans[index].idle.append(session)
        }
    }
}
