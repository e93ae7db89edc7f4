/// What the daemon serves, where and within which limits. All paths are resolved.
package struct DaemonSettings: Sendable, Hashable {
    package enum ProfileChoice: Sendable, Hashable {
        case file(String)
        case inline(DeviceProfile)
    }

    package struct Server: Sendable, Hashable {
        /// Of the Unix socket, at most 107 bytes.
        package let socket: String
        /// The socket's group; nil: the daemon's own.
        package let group: String?
        /// The socket's permission bits.
        package let mode: UInt32
        /// The longest request body, in bytes.
        package let maxRequest: Int
        package let maxConnections: Int
        /// nil: none.
        package let requestTimeout: Duration?
        /// Sequences that are kept for each model with states.
        package let maxSequences: Int
        /// A sequence without a request for so long is over.
        package let sequenceTimeout: Duration
    }

    /// Limits of the child that compresses.
    package struct Compress: Sendable, Hashable {
        /// nil: the profile's memory.
        package let memory: MemoryLimit?
        /// nil: none.
        package let timeout: Duration?
    }

    package enum LogLevel: String, Sendable, Hashable, CaseIterable {
        case trace, debug, info, notice, warning, error, critical
    }

    package let profile: ProfileChoice
    /// Where recipes that are given by name are; nil: `recipes` beside the settings or in a share directory.
    package let recipesDirectory: String?
    package let stateDirectory: String
    package let models: [ModelSettings]
    package let server: Server
    package let compress: Compress
    package let logLevel: LogLevel
}

/// One model to serve.
package struct ModelSettings: Sendable, Hashable {
    package enum Origin: Sendable, Hashable {
        /// A float model, to be compressed.
        case source(String)
        /// A ready `.ounce` file.
        case artifact(String)
    }

    package enum RecipeChoice: Sendable, Hashable {
        case auto
        case file(String)
        case inline(Recipe)
    }

    package enum Metric: String, Sendable, Hashable, CaseIterable {
        case top1, auc, mse, fidelity
    }

    package struct Accuracy: Sendable, Hashable {
        package let metric: Metric
        /// How much worse than the float model it may be: percentage points; with mse, per cent more error.
        package let maxDrop: Double?
        /// The least that is accepted, as a fraction.
        package let floor: Double?
    }

    package let name: String
    package let origin: Origin
    package let recipe: RecipeChoice
    /// Extents of the source's inputs that it leaves open; -1 keeps one open.
    package let shapes: [String: [Int]]
    /// Inputs of the source that get a fixed number.
    package let values: [String: Double]
    /// `.npz` or `.npy` files.
    package let calibration: String?
    package let validation: String?
    /// Samples that recipes with training train with.
    package let training: String?
    package let accuracy: Accuracy?
    /// The 99th percentile of the time for one request that is aimed at.
    package let latencyP99: Duration?
    /// nil: what the profile allows.
    package let threads: Int?
    /// Outputs that are inputs of the next run, by the input's name.
    package let states: [String: String]
}
