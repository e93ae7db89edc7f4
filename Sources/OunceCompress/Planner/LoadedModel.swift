import OunceFormats
import OunceGraph
import OunceRuntime

/// A model file or an artifact, ready to be looked at, run or compressed.
package struct LoadedModel: Sendable {
    /// Simplified: what the runtime lowers.
    package let graph: Graph
    /// Bytes of the file.
    package let byteCount: Int
    private let file: MappedFile
    /// Set where the file is an artifact.
    package let artifact: Artifact?

    /// Reads ONNX, TFLite or `.ounce`, whichever the file's content is.
    ///
    /// - Throws: `.input` with all that is wrong or not supported.
    package init(path: String) throws(CompressError) {
        let file = try CompressError.wrapping(.input) { try MappedFile(path: path) }
        self.file = file
        byteCount = file.bytes.count
        if Artifact.isArtifact(file.bytes) {
            let opened = try CompressError.wrapping(.input) { try Artifact.open(path: path) }
            artifact = opened
            graph = opened.graph
        } else {
            artifact = nil
            graph = try CompressError.wrapping(.input) {
                do {
                    return try ModelFile.load(path: path).simplified()
                } catch let error as GraphError {
                    throw CompressError(.input, "\(path): \(error)")
                }
            }
        }
    }

    /// SHA-256 of the file.
    package var hash: String { sha256Hex(file.bytes, of: file) }

    /// What data must have arrays for.
    package var inputs: [TensorInfo] {
        graph.inputs.map { TensorInfo(name: graph[$0].name, dtype: graph[$0].dtype, shape: graph[$0].shape) }
    }

    /// The model prepared to run.
    package func model(_ options: RuntimeOptions) throws(CompressError) -> Model {
        try CompressError.wrapping(.input) { try Model(graph: graph, options: options) }
    }
}
