import OunceGraph

/// Reads ONNX models into graphs.
///
/// Operators with spatial axes are brought to channels-last order by transpositions around each; everything else keeps
/// ONNX's order of axes. What is computed from constants alone is computed here. Weights refer to the file, which stays
/// mapped as long as the graph lives.
package enum ONNXImporter {
    package static let opsets = 1...28
    package static let maximumBytes = 1 << 31

    /// - Parameter given: values and extents for inputs of the model. A model whose shapes depend on the value of an input
    ///   (the target of a Reshape, the k of a TopK) can only be planned with it; where such a value is missing the error
    ///   names the input in `neededInputs`. Where extents are missing, a batch of 1 is tried; if that does not help the
    ///   error has the inputs in `openInputs`.
    /// - Throws: `FormatError` that names the file; one error lists everything that is not supported.
    package static func load(path: String, given: InputBindings = InputBindings()) throws(FormatError) -> Graph {
        let file = try FormatError.mapping(path, maximumBytes: maximumBytes)
        do {
            return try parse(
                FileBytes(file), name: ModelFile.name(ofPath: path), folder: ExternalFolder(ofFile: path), given: given)
        } catch { throw error.inFile(path) }
    }

    /// As `load`, for a model in memory, which cannot have numbers in other files.
    package static func parse(
        bytes: [UInt8], name: String = "model", given: InputBindings = InputBindings()
    ) throws(FormatError) -> Graph {
        try parse(FileBytes(bytes), name: name, folder: nil, given: given)
    }

    static func parse(
        _ content: FileBytes, name: String, folder: ExternalFolder?, given: InputBindings
    ) throws(FormatError) -> Graph {
        var reader = ONNXReader(folder: folder)
        let model = try reader.model(content)
        let opset = try opset(of: model)
        let functions = try ONNXFunctions(model.functions)
        let unknown = given.unknownNames(among: model.graph.input.map(\.name))
        guard unknown.isEmpty else {
            throw FormatError(
                .invalidArgument,
                "the model has no input '\(unknown[0])'; its inputs are "
                    + model.graph.input.prefix(16).map { "'\($0.name)'" }.joined(separator: ", "))
        }
        func translate(_ given: InputBindings) throws(FormatError) -> Graph {
            var translation = ONNXTranslation(
                opset: opset, functions: functions, name: name, fileBytes: content.count, given: given)
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
