import OunceGraph

/// A model in any format that is read.
package enum ModelFile {
    /// The graph of the model at `path`; the content, not the file's name, says whether it is ONNX or TFLite.
    ///
    /// - Parameter given: what is known of its inputs beforehand.
    /// - Throws: `FormatError` that names the file and lists everything in it that is not supported.
    package static func load(path: String, given: InputBindings = InputBindings()) throws(FormatError) -> Graph {
        let bytes = try FormatError.content(path, maximumBytes: ONNXImporter.maximumBytes)
        do {
            return try parse(bytes: bytes, name: name(ofPath: path), given: given)
        } catch { throw error.inFile(path) }
    }

    /// The content of the file at `path`, where it is not larger than models may be.
    package static func bytes(path: String) throws(FormatError) -> [UInt8] {
        try FormatError.content(path, maximumBytes: ONNXImporter.maximumBytes)
    }

    package static func parse(
        bytes: [UInt8], name: String = "model", given: InputBindings = InputBindings()
    ) throws(FormatError) -> Graph {
        guard !bytes.isEmpty else { throw FormatError(.corrupt, "the model is empty") }
        if bytes.dropFirst(4).starts(with: TFLiteImporter.identifier) {
            return try TFLiteImporter.parse(bytes: bytes, name: name, given: given)
        }
        return try ONNXImporter.parse(bytes: bytes, name: name, given: given)
    }

    /// The last part of `path` without its extension.
    static func name(ofPath path: String) -> String {
        let file = path.split(separator: "/").last.map(String.init) ?? path
        guard let dot = file.lastIndex(of: "."), dot != file.startIndex else { return file }
        return String(file[..<dot])
    }
}
