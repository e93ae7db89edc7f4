import OunceGraph
import OunceRuntime

/// What the server needs of a model. Safe to call from several threads at once.
package protocol ServedModel: AnyObject, Sendable {
    var inputs: [TensorInfo] { get }
    var outputs: [TensorInfo] { get }
    var memoryBytes: Int { get }

    /// - Parameter tensors: in the order of `inputs`.
    /// - Returns: in the order of `outputs`.
    func run(_ tensors: [Tensor]) throws(RuntimeError) -> [Tensor]
}

extension Model: ServedModel {}

/// One version of a model, ready to serve. Whoever holds it holds a lease: it is freed with its last holder.
package final class ModelVersion: Sendable {
    package let name: String
    /// Names exactly these bits: the beginning of the artifact's key.
    package let version: String
    package let model: any ServedModel
    package let details: Details

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
