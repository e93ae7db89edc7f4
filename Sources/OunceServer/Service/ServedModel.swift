import OunceGraph
import OunceRuntime

/// What the server needs of a model. Safe to call from several threads at once.
package protocol ServedModel: AnyObject, Sendable {
    var inputs: [TensorInfo] { get }
    var outputs: [TensorInfo] { get }
    /// What it keeps between the runs of a stream.
    var states: [TensorInfo] { get }
    var memoryBytes: Int { get }

    /// - Parameters:
    ///   - tensors: in the order of `inputs`.
    ///   - stream: whose states it starts from and leaves; nil: the initial ones, and none.
    /// - Returns: in the order of `outputs`.
    func run(_ tensors: [Tensor], stream: StreamState?) throws(RuntimeError) -> [Tensor]

    func makeStream() throws(RuntimeError) -> StreamState
}

extension Model: ServedModel {}

/// One version of a model, ready to serve. Whoever holds it holds a lease: it is freed with its last holder.
package final class ModelVersion: Sendable {
    package let name: String
    /// Names exactly these bits: the beginning of the artifact's key.
    package let version: String
    package let model: any ServedModel
    package let details: Details
    let sequences = SequenceTable()

    /// What `ounce status` shows of it.
    package struct Details: Sendable {
        package var key: String
        package var profile: String
        package var recipe: String
        package var report: Report?
        /// Size of the artifact.
        package var artifactBytes: Int
        /// Of one inference, when the model was prepared on this device; 0: not measured.
        package var latencyMicroseconds: Int

        package init(
            key: String, profile: String, recipe: String, report: Report?, artifactBytes: Int, latencyMicroseconds: Int
        ) {
            self.key = key
            self.profile = profile
            self.recipe = recipe
            self.report = report
            self.artifactBytes = artifactBytes
            self.latencyMicroseconds = latencyMicroseconds
        }
    }

    package init(name: String, version: String, model: any ServedModel, details: Details) {
        self.name = name
        self.version = version
        self.model = model
        self.details = details
    }
}
