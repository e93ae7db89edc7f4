import OunceFormats
import OunceGraph
import OunceRuntime

/// A model file or an artifact, ready to be looked at, run or compressed.
package struct LoadedModel: Sendable {
    /// Simplified: what the runtime lowers.
    package let graph: Graph
    /// As it was read, where it holds normalisations whose statistics simplifying folds away.
    package let source: Graph?
    /// Bytes of the file.
    package let byteCount: Int
    private let file: MappedFile
    /// Set where the file is an artifact.
    package let artifact: Artifact?

    /// Reads ONNX, TFLite or `.ounce`, whichever the file's content is.
    ///
    /// - Parameters:
    ///   - given: extents and values of inputs that the model leaves open, and its states.
    ///   - data: a file of samples; a model that cannot be planned without knowing its extents gets those of the samples.
    /// - Throws: `.input` with all that is wrong or not supported.
    package init(path: String, given: InputBindings = InputBindings(), data: String? = nil) throws(CompressError) {
        let file = try CompressError.wrapping(.input) { try MappedFile(path: path) }
        self.file = file
        byteCount = file.bytes.count
        if Artifact.isArtifact(file.bytes) {
            let opened = try CompressError.wrapping(.input) { try Artifact.open(file, path: path) }
            guard given.shapes.isEmpty, given.values.isEmpty else {
                throw CompressError(
                    .input, "\(path): the shapes and values of an artifact's inputs are settled when it is made")
            }
            artifact = opened
            source = nil
            graph = try CompressError.wrapping(.input) {
                try opened.graph.binding(states: given.states)
            }
        } else {
            artifact = nil
            let read = try Self.graph(path, given, data)
            source = read.hasBatchNormalization ? read : nil
            graph = try CompressError.wrapping(.input) {
                do throws(GraphError) {
                    return try read.simplified()
                } catch {
                    throw CompressError(.input, "\(path): \(error)")
                }
            }
        }
    }

    /// Not simplified.
    private static func graph(
        _ path: String, _ given: InputBindings, _ data: String?
    ) throws(CompressError) -> Graph {
        return try CompressError.wrapping(.input) {
            do {
                return try ModelFile.load(path: path, given: given).binding(states: given.states)
            } catch let error as FormatError {
                guard let data, !error.openInputs.isEmpty else { throw error }
                var bound = given
                // A state of unknown extents is that of one stream; it is no part of the data.
                let states = Set(given.states.map(\.input))
                for input in error.openInputs where states.contains(input.name) {
                    bound.shapes[input.name] = input.shape.smallest
                }
                let open = error.openInputs.filter { !states.contains($0.name) }
                for (name, shape) in try Dataset.shapes(path: data, open: open, isSequential: !states.isEmpty) {
                    bound.shapes[name] = states.isEmpty ? shape : shape.smallest
                }
                return try ModelFile.load(path: path, given: bound).binding(states: given.states)
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

extension Graph {
    fileprivate var hasBatchNormalization: Bool {
        nodes.contains { if case .batchNormalization = $0.op { true } else { false } }
    }
}
