import OunceGraph
import OunceRuntime

/// A request in terms of tensors, whatever protocol it came by.
package struct InferenceRequest: Sendable {
    package struct Input: Sendable {
        package var name: String
        package var tensor: Tensor
        package init(name: String, tensor: Tensor) {
            self.name = name
            self.tensor = tensor
        }
    }

    package var id: String?
    package var inputs: [Input]
    /// Names of the outputs wanted; nil: all.
    package var outputs: [String]?
    /// nil: the request stands alone.
    package var sequence: SequenceControl?

    package init(
        id: String? = nil, inputs: [Input], outputs: [String]? = nil, sequence: SequenceControl? = nil
    ) {
        self.id = id
        self.inputs = inputs
        self.outputs = outputs
        self.sequence = sequence
    }
}

package struct InferenceReply: Sendable {
    package var outputs: [(name: String, tensor: Tensor)]
}

/// What every front end serves; knows nothing of HTTP.
package final class InferenceService: Sendable {
    package let store: ModelStore
    package let serverVersion: String
    package let sequenceLimits: SequenceLimits
    /// Told of each request that failed, with the model's name and the reason; must not block.
    package let onFailure: @Sendable (_ model: String, ServiceError) -> Void

    package init(
        store: ModelStore, serverVersion: String, sequenceLimits: SequenceLimits = SequenceLimits(),
        onFailure: @escaping @Sendable (_ model: String, ServiceError) -> Void = { _, _ in }
    ) {
        self.store = store
        self.serverVersion = serverVersion
        self.sequenceLimits = sequenceLimits
        self.onFailure = onFailure
    }

    /// Every model is ready.
    package var isReady: Bool {
        store.entries.allSatisfy { if case .ready = $0.state { true } else { false } }
    }

    /// Runs a request whose model was leased already, so that decoding and running see the same version.
    package func run(_ request: InferenceRequest, on loaded: ModelVersion) throws(ServiceError) -> InferenceReply {
        let model = loaded.model
        let inputs = try ordered(request.inputs, for: loaded)
        let wanted = try outputIndices(request.outputs, of: loaded)
        let results = try run(inputs, on: loaded, in: request.sequence)
        guard results.count == model.outputs.count else {
            throw ServiceError(
                .internal, "model '\(loaded.name)' gave \(results.count) outputs, not \(model.outputs.count)")
        }
        return InferenceReply(outputs: wanted.map { (model.outputs[$0].name, results[$0]) })
    }

    /// Without a sequence from the initial states, which are not kept. A model without states gives the same in any sequence.
    private func run(
        _ inputs: [Tensor], on loaded: ModelVersion, in sequence: SequenceControl?
    ) throws(ServiceError) -> [Tensor] {
        var stream: StreamState?
        if let sequence, !loaded.model.states.isEmpty {
            stream = try loaded.sequences.stream(
                for: sequence, of: loaded, limits: sequenceLimits, now: Clock.nanoseconds())
        }
        do throws(RuntimeError) {
            let results = try loaded.model.run(inputs, stream: stream)
            if let stream, let sequence, sequence.isEnd { loaded.sequences.end(sequence.id, stream) }
            return results
        } catch {
            if let stream, let sequence, sequence.isStart { loaded.sequences.end(sequence.id, stream) }
            throw ServiceError(error)
        }
    }

    private func ordered(
        _ given: [InferenceRequest.Input], for loaded: ModelVersion
    ) throws(ServiceError) -> [Tensor] {
        let infos = loaded.model.inputs
        var tensors: [Tensor] = []
        for info in infos {
            let matches = given.filter { $0.name == info.name }
            guard let input = matches.first, matches.count == 1 else {
                throw ServiceError(
                    .invalid,
                    matches.isEmpty
                        ? "input '\(info.name)' is missing; model '\(loaded.name)' takes \(list(infos))"
                        : "input '\(info.name)' is there \(matches.count) times; give it once")
            }
            try check(input.tensor, against: info, of: loaded)
            tensors.append(input.tensor)
        }
        guard given.count == infos.count else {
            let extra = given.first { input in !infos.contains { $0.name == input.name } }
            throw ServiceError(
                .invalid,
                "model '\(loaded.name)' has no input '\(excerpt(extra?.name ?? ""))'; it takes \(list(infos))")
        }
        return tensors
    }

    private func check(_ tensor: Tensor, against info: TensorInfo, of loaded: ModelVersion) throws(ServiceError) {
        guard tensor.dtype == info.dtype else {
            throw ServiceError(
                .invalid,
                "input '\(info.name)' of model '\(loaded.name)' is \(Datatype(info.dtype).rawValue), "
                    + "not \(Datatype(tensor.dtype).rawValue)")
        }
        let fits =
            tensor.shape.rank == info.shape.rank
            && zip(tensor.shape.dims, info.shape.dims).allSatisfy { $1 < 0 || $0 == $1 }
        guard fits else {
            throw ServiceError(
                .invalid,
                "input '\(info.name)' of model '\(loaded.name)' has shape \(info.shape), not \(tensor.shape)")
        }
    }

    private func outputIndices(_ names: [String]?, of loaded: ModelVersion) throws(ServiceError) -> [Int] {
        let infos = loaded.model.outputs
        guard let names else { return Array(infos.indices) }
        var indices: [Int] = []
        for name in names {
            guard let index = infos.firstIndex(where: { $0.name == name }) else {
                throw ServiceError(
                    .invalid, "model '\(loaded.name)' has no output '\(excerpt(name))'; it gives \(list(infos))")
            }
            guard !indices.contains(index) else {
                throw ServiceError(.invalid, "output '\(name)' is asked for twice; ask for it once")
            }
            indices.append(index)
        }
        return indices
    }

    private func list(_ infos: [TensorInfo]) -> String { infos.map { "'\($0.name)'" }.joined(separator: ", ") }
}
