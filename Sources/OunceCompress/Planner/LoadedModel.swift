import OunceFormats
import OunceGraph
import OunceRuntime

/// A model file or an artifact, ready to be looked at, run or compressed.
package struct LoadedModel: Sendable {
    /// Simplified: what the runtime lowers.
    package let graph: Graph
    /// Bytes of the file.
    package let byteCount: Int
    /// SHA-256 of the file.
    package let hash: String
    /// Set where the file is an artifact.
    package let artifact: Artifact?

    /// Reads ONNX, TFLite or `.ounce`, whichever the file's content is.
    ///
    /// - Parameter states: inputs and outputs that are bound together as states, by name.
    /// - Throws: `.input` with all that is wrong or not supported.
    package init(path: String, states: [(input: String, output: String)] = []) throws(CompressError) {
        let file = try CompressError.wrapping(.input) { try MappedFile(path: path) }
        byteCount = file.bytes.count
        let isArtifact: Bool
        (hash, isArtifact) = withExtendedLifetime(file) { (sha256Hex(file.bytes), Artifact.isArtifact(file.bytes)) }
        if isArtifact {
            let opened = try CompressError.wrapping(.input) { try Artifact.open(path: path) }
            artifact = opened
            graph = try CompressError.wrapping(.input) {
                states.isEmpty ? opened.graph : try opened.graph.binding(states: states)
            }
        } else {
            artifact = nil
            graph = try CompressError.wrapping(.input) {
                do {
                    let loaded = try ModelFile.load(path: path)
                    return try (states.isEmpty ? loaded : loaded.binding(states: states)).simplified()
                } catch let error as GraphError {
                    throw CompressError(.input, "\(path): \(error)")
                }
            }
        }
    }

    /// What data must have arrays for.
    package var inputs: [TensorInfo] {
        graph.clientInputs.map { TensorInfo(name: graph[$0].name, dtype: graph[$0].dtype, shape: graph[$0].shape) }
    }

    /// The model prepared to run.
    package func model(_ options: RuntimeOptions) throws(CompressError) -> Model {
        try CompressError.wrapping(.input) { try Model(graph: graph, options: options) }
    }
}
