import OunceGraph

/// A model in any format that is read.
package enum ModelFile {
    /// The graph of the model at `path`; the content, not the file's name, says whether it is ONNX or TFLite.
    ///
    /// - Parameter given: what is known of its inputs beforehand.
    /// - Throws: `FormatError` that names the file and lists everything in it that is not supported.
    package static func load(path: String, given: InputBindings = InputBindings()) throws(FormatError) -> Graph {
        let file = try FormatError.mapping(path, maximumBytes: ONNXImporter.maximumBytes)
        do {
            return try parse(
                FileBytes(file), name: name(ofPath: path), folder: ExternalFolder(ofFile: path), given: given)
        } catch { throw error.inFile(path) }
    }

    /// A model in memory, which cannot have numbers in other files.
    package static func parse(
        bytes: [UInt8], name: String = "model", given: InputBindings = InputBindings()
    ) throws(FormatError) -> Graph {
        try parse(FileBytes(bytes), name: name, folder: nil, given: given)
    }

    private static func parse(
        _ content: FileBytes, name: String, folder: ExternalFolder?, given: InputBindings
    ) throws(FormatError) -> Graph {
        guard !content.isEmpty else { throw FormatError(.corrupt, "the model is empty") }
        if content.dropFirst(4).starts(with: TFLiteImporter.identifier) {
            return try TFLiteImporter.parse(content, name: name, given: given)
        }
        return try ONNXImporter.parse(content, name: name, folder: folder, given: given)
    }

    /// The last part of `path` without its extension.
    static func name(ofPath path: String) -> String {
        let file = path.split(separator: "/").last.map(String.init) ?? path
        guard let dot = file.lastIndex(of: "."), dot != file.startIndex else { return file }
        return String(file[..<dot])
    }
}
