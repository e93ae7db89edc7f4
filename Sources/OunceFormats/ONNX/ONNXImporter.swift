import OunceGraph

/// Reads ONNX models into graphs.
///
/// Operators with spatial axes are brought to channels-last order by transpositions around each; everything else keeps
/// ONNX's order of axes. What is computed from constants alone is computed here. Weights refer to the file, which stays
/// mapped as long as the graph lives.
package enum ONNXImporter {
    package static let opsets = 1...25
    package static let maximumBytes = 1 << 31

    /// - Parameter constants: values for inputs of the model, which then are constants and no inputs any more. A model
    ///   whose shapes depend on the value of an input (the target of a Reshape, the k of a TopK) can only be planned with
    ///   it; where such a value is missing the error names the input in `neededInputs`.
    /// - Throws: `FormatError` that names the file; one error lists everything that is not supported.
    package static func load(path: String, constants: [String: Tensor] = [:]) throws(FormatError) -> Graph {
        let file = try FormatError.mapping(path, maximumBytes: maximumBytes)
        do {
            return try parse(
                FileBytes(file), name: ModelFile.name(ofPath: path), folder: ExternalFolder(ofFile: path),
                constants: constants)
        } catch { throw error.inFile(path) }
    }

    /// As `load`, for a model in memory, which cannot have numbers in other files.
    package static func parse(
        bytes: [UInt8], name: String = "model", constants: [String: Tensor] = [:]
    ) throws(FormatError) -> Graph {
        try parse(FileBytes(bytes), name: name, folder: nil, constants: constants)
    }

    static func parse(
        _ content: FileBytes, name: String, folder: ExternalFolder?, constants: [String: Tensor] = [:]
    ) throws(FormatError) -> Graph {
        var reader = ONNXReader(folder: folder)
        let model = try reader.model(content)
        var translation = ONNXTranslation(
            opset: try opset(of: model), functions: try ONNXFunctions(model.functions), name: name,
            fileBytes: content.count, constants: constants)
        return try translation.translate(model.graph)
    }

    /// The names of the model's inputs in order, without those that have a value in the model.
    package static func inputNames(path: String) throws(FormatError) -> [String] {
        var reader = ONNXReader()
        let graph = try reader.model(FileBytes(try FormatError.mapping(path, maximumBytes: maximumBytes))).graph
        let given = Set(graph.initializer.map(\.name))
        return graph.input.map(\.name).filter { !given.contains($0) }
    }

    private static func opset(of model: ONNXModelProto) throws(FormatError) -> Int {
        guard model.hasGraph, !model.graph.node.isEmpty || !model.graph.output.isEmpty else {
            throw FormatError(.corrupt, "this is no ONNX model: it has no graph")
        }
        let standard = model.opsetImport.first { $0.domain.isEmpty || $0.domain == "ai.onnx" }
        // A model all of whose nodes are of other domains need not state it.
        guard let version = standard?.version ?? (model.opsetImport.isEmpty ? nil : 17) else {
            throw FormatError(.corrupt, "the model does not say which version of ONNX's operators it uses")
        }
        guard let opset = Int(exactly: version), opsets.contains(opset) else {
            throw FormatError(
                .unsupported,
                "the model uses opset \(version); export it with one from \(opsets.lowerBound) to \(opsets.upperBound)")
        }
        return opset
    }
}
