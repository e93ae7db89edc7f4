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
    /// - Parameters:
    ///   - given: extents and values of inputs that the model leaves open.
    ///   - states: inputs and outputs that are bound together as states, by name.
    ///   - data: a file of samples; a model that cannot be planned without knowing its extents gets those of the samples.
    /// - Throws: `.input` with all that is wrong or not supported.
    package init(
        path: String, given: InputBindings = InputBindings(), states: [(input: String, output: String)] = [],
        data: String? = nil
    ) throws(CompressError) {
        let file = try CompressError.wrapping(.input) { try MappedFile(path: path) }
        self.file = file
        byteCount = file.bytes.count
        if Artifact.isArtifact(file.bytes) {
            let opened = try CompressError.wrapping(.input) { try Artifact.open(path: path) }
            guard given.shapes.isEmpty, given.values.isEmpty else {
                throw CompressError(
                    .input, "\(path): the shapes and values of an artifact's inputs are settled when it is made")
            }
            artifact = opened
            graph = try CompressError.wrapping(.input) {
                states.isEmpty ? opened.graph : try opened.graph.binding(states: states)
            }
        } else {
            artifact = nil
            graph = try Self.graph(path, given, states, data)
        }
    }

    private static func graph(
        _ path: String, _ given: InputBindings, _ states: [(input: String, output: String)], _ data: String?
    ) throws(CompressError) -> Graph {
        func load(_ given: InputBindings) throws -> Graph {
            let loaded = try ModelFile.load(path: path, given: given)
            return try (states.isEmpty ? loaded : loaded.binding(states: states)).simplified()
        }
        return try CompressError.wrapping(.input) {
            do {
                return try load(given)
            } catch let error as FormatError {
                guard let data, !error.openInputs.isEmpty else { throw error }
                var bound = given
                for (name, shape) in try Dataset.shapes(path: data, open: error.openInputs) {
                    bound.shapes[name] = shape
                }
                return try load(bound)
            } catch let error as GraphError {
                throw CompressError(.input, "\(path): \(error)")
            }
        }
    }

    /// SHA-256 of the file.
    package var hash: String { sha256Hex(file.bytes, of: file) }

    /// What data must have arrays for.
    package var inputs: [TensorInfo] {
        graph.clientInputs.map { TensorInfo(name: graph[$0].name, dtype: graph[$0].dtype, shape: graph[$0].shape) }
    }

    /// The model prepared to run.
    package func model(_ options: RuntimeOptions) throws(CompressError) -> Model {
        try CompressError.wrapping(.input) { try Model(graph: graph, options: options) }
    }
}
