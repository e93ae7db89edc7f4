import OunceRuntime

/// The protocol's small answers, under the names of the wire (which `HTTPReply` turns into snake case).
enum Documents {
    struct Server: Encodable {
        let name = "ounce"
        let version: String
        let extensions = ["binary_tensor_data", "model_repository", "sequence", "statistics"]
    }

    struct Health: Encodable {
        let live: Bool?
        let ready: Bool?
    }

    struct ModelReady: Encodable {
        let name: String
        let ready: Bool
    }

    struct Tensor: Encodable {
        let name: String
        let datatype: String
        let shape: [Int]

        init(_ info: TensorInfo) {
            name = info.name
            datatype = Datatype(info.dtype).rawValue
            shape = info.shape.dims
        }
    }

    struct Model: Encodable {
        let name: String
        let versions: [String]
        let platform = "ounce"
        let inputs: [Tensor]
        let outputs: [Tensor]
        let parameters: Parameters?

        /// Of a model that keeps states between the requests of a sequence.
        struct Parameters: Encodable {
            let stateful = true
        }

        init(_ loaded: ModelVersion) {
            name = loaded.name
            versions = [loaded.version]
            inputs = loaded.model.inputs.map(Tensor.init)
            outputs = loaded.model.outputs.map(Tensor.init)
            parameters = loaded.model.states.isEmpty ? nil : Parameters()
        }
    }

    struct IndexEntry: Encodable {
        let name: String
        let version: String?
        let state: String
        let reason: String

        init(_ entry: ModelStore.Entry) {
            name = entry.name
            switch entry.state {
            case .loading(let progress): (version, state, reason) = (nil, "LOADING", progress)
            case .ready(let loaded): (version, state, reason) = (loaded.version, "READY", entry.lastProblem ?? "")
            case .failed(let why): (version, state, reason) = (nil, "UNAVAILABLE", why)
            case .unloaded: (version, state, reason) = (nil, "UNAVAILABLE", "unloaded")
            }
        }
    }

    struct Statistics: Encodable {
        let modelStats: [ModelStatistics]
    }

    struct ModelStatistics: Encodable {
        struct Sum: Encodable {
            let count: UInt64
            let ns: UInt64
            init(_ sum: DurationSum) { (count, ns) = (sum.count, sum.nanoseconds) }
        }

        struct Inference: Encodable {
            let success, fail, queue, computeInput, computeInfer, computeOutput: Sum
        }

        struct Memory: Encodable {
            let type = "CPU"
            let id = 0
            let byteSize: Int
        }

        struct Batch: Encodable {}

        let name: String
        let version: String
        let lastInference: UInt64
        let inferenceCount: UInt64
        let executionCount: UInt64
        let inferenceStats: Inference
        let batchStats: [Batch] = []
        let memoryUsage: [Memory]

        init(_ entry: ModelStore.Entry) {
            let sums = entry.statistics.snapshot
            name = entry.name
            if case .ready(let loaded) = entry.state {
                version = loaded.version
                memoryUsage = [Memory(byteSize: loaded.model.memoryBytes)]
            } else {
                version = ""
                memoryUsage = []
            }
            lastInference = sums.lastInference
            inferenceCount = sums.success.count
            executionCount = sums.success.count
            inferenceStats = Inference(
                success: Sum(sums.success), fail: Sum(sums.failure), queue: Sum(sums.queue),
                computeInput: Sum(sums.computeInput), computeInfer: Sum(sums.computeInfer),
                computeOutput: Sum(sums.computeOutput))
        }
    }
}
