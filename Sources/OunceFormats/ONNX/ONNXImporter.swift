import OunceGraph
import SwiftProtobuf

/// Reads ONNX models into graphs.
///
/// Operators with spatial axes are brought to channels-last order by transpositions around each; everything else keeps
/// ONNX's order of axes. What is computed from constants alone is computed here.
package enum ONNXImporter {
    package static let opsets = 1...28
    package static let maximumBytes = 1 << 29

    /// - Throws: `FormatError` that names the file; one error lists everything that is not supported.
    package static func load(path: String, constants: [String: Tensor] = [:]) throws(FormatError) -> Graph {
        let bytes = try FormatError.content(path, maximumBytes: maximumBytes)
        do {
            return try parse(bytes: bytes, name: ModelFile.name(ofPath: path), constants: constants)
        } catch { throw error.inFile(path) }
    }

    /// - Parameter constants: values for inputs of the model, which then are constants and no inputs any more. A model
    ///   whose shapes depend on the value of an input (the target of a Reshape, the k of a TopK) can only be planned with
    ///   it; where such a value is missing the error names the input in `neededInputs`.
    package static func parse(
        bytes: [UInt8], name: String = "model", constants: [String: Tensor] = [:]
    ) throws(FormatError) -> Graph {
        let model = try decode(bytes)
        var translation = ONNXTranslation(
            opset: try opset(of: model), name: name, fileBytes: bytes.count, constants: constants)
        return try translation.translate(model.graph)
    }

    /// The names of the model's inputs in order, without those that have a value in the model.
    package static func inputNames(bytes: [UInt8]) throws(FormatError) -> [String] {
        let graph = try decode(bytes).graph
        let given = Set(graph.initializer.map(\.name))
        return graph.input.map(\.name).filter { !given.contains($0) }
    }

    private static func decode(_ bytes: [UInt8]) throws(FormatError) -> ONNXModelProto {
        guard bytes.count <= maximumBytes else {
            throw FormatError(.limit, "the model has \(bytes.count) bytes, at most \(maximumBytes) are read")
        }
        try ONNXSizeCheck.check(bytes)
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        options.messageDepthLimit = 16
        do {
            return try ONNXModelProto(serializedBytes: bytes, options: options)
        } catch { throw FormatError(.corrupt, "this is no ONNX model (\(error))") }
    }

    private static func opset(of model: ONNXModelProto) throws(FormatError) -> Int {
        guard model.hasGraph, !model.graph.node.isEmpty || !model.graph.output.isEmpty else {
            throw FormatError(.corrupt, "this is no ONNX model: it has no graph")
        }
        let imports = model.opsetImport
        let standard = imports.first { $0.domain.isEmpty || $0.domain == "ai.onnx" }
        // A model may use operators of other domains alone.
        guard let version = standard?.version ?? (imports.isEmpty ? nil : Int64(opsets.upperBound)) else {
            throw FormatError(.corrupt, "the model does not say which version of ONNX's operators it uses")
        }
        guard let opset = Int(exactly: version), opsets.contains(opset) else {
            throw FormatError(
                .unsupported,
                "the model uses opset \(version); export it with one from \(opsets.lowerBound) to \(opsets.upperBound)")
        }
        guard model.functions.isEmpty, model.graph.sparseInitializer.isEmpty else {
            throw FormatError(
                .unsupported, "the model has functions or sparse weights of its own; export it with neither")
        }
        return opset
    }
}
