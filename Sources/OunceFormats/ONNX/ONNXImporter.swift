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
    package static func load(path: String, given: InputBindings = InputBindings()) throws(FormatError) -> Graph {
        let bytes = try FormatError.content(path, maximumBytes: maximumBytes)
        do {
            return try parse(bytes: bytes, name: ModelFile.name(ofPath: path), given: given)
        } catch { throw error.inFile(path) }
    }

    /// - Parameter given: values and extents for inputs of the model. A model whose shapes depend on the value of an input
    ///   (the target of a Reshape, the k of a TopK) can only be planned with it; where such a value is missing the error
    ///   names the input in `neededInputs`. Where extents are missing, a batch of 1 is tried; if that does not help the
    ///   error has the inputs in `openInputs`.
    package static func parse(
        bytes: [UInt8], name: String = "model", given: InputBindings = InputBindings()
    ) throws(FormatError) -> Graph {
        let model = try decode(bytes)
        let opset = try opset(of: model)
        let unknown = given.unknownNames(among: model.graph.input.map(\.name))
        guard unknown.isEmpty else {
            throw FormatError(
                .invalidArgument,
                "the model has no input '\(unknown[0])'; its inputs are "
                    + model.graph.input.prefix(16).map { "'\($0.name)'" }.joined(separator: ", "))
        }
        func translate(_ given: InputBindings) throws(FormatError) -> Graph {
            var translation = ONNXTranslation(opset: opset, name: name, fileBytes: bytes.count, given: given)
            return try translation.translate(model.graph)
        }
        do {
            return try translate(given)
        } catch {
            guard error.code == .unsupported else { throw error }
            guard let single = model.graph.withBatchOfOne(given) else { throw error.namingOpenInputs() }
            do { return try translate(single) } catch { throw error.namingOpenInputs() }
        }
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

extension ONNXGraphProto {
    /// The bindings with every open first extent of an input set to 1, and with it the extents of the same name; nil where
    /// there is none.
    fileprivate func withBatchOfOne(_ given: InputBindings) -> InputBindings? {
        let open = input.filter { input in
            given.values[input.name] == nil && !initializer.contains { $0.name == input.name }
        }
        func isOpen(_ input: ONNXValueInfoProto, _ axis: Int) -> Bool {
            let dims = input.type.tensorType.shape.dim
            guard dims.indices.contains(axis), dims[axis].extent < 0 else { return false }
            let bound = given.shapes[input.name]?.dims ?? []
            return !bound.indices.contains(axis) || bound[axis] < 0
        }
        let batches = open.filter { isOpen($0, 0) }
        guard !batches.isEmpty else { return nil }
        let names = Set(batches.map { $0.type.tensorType.shape.dim[0].dimParam }).subtracting([""])
        var bound = given
        for input in open {
            let dims = input.type.tensorType.shape.dim
            var shape = given.shapes[input.name] ?? Shape(dims.map(\.extent))
            guard shape.rank == dims.count else { continue }
            for axis in dims.indices where isOpen(input, axis) && (axis == 0 || names.contains(dims[axis].dimParam)) {
                shape[axis] = 1
            }
            bound.shapes[input.name] = shape
        }
        return bound
    }
}
