import OunceGraph

/// A model in any format that is read.
package enum ModelFile {
    /// The graph of the model at `path`; the content, not the file's name, says whether it is ONNX or TFLite.
    ///
    /// - Throws: `FormatError` that names the file and lists everything in it that is not supported.
    package static func load(path: String) throws(FormatError) -> Graph {
        let bytes = try FormatError.content(path, maximumBytes: ONNXImporter.maximumBytes)
        do {
            return try parse(bytes: bytes, name: name(ofPath: path))
        } catch { throw error.inFile(path) }
    }

    package static func parse(bytes: [UInt8], name: String = "model") throws(FormatError) -> Graph {
        guard !bytes.isEmpty else { throw FormatError(.corrupt, "the model is empty") }
        if bytes.dropFirst(4).starts(with: TFLiteImporter.identifier) {
            return try TFLiteImporter.parse(bytes: bytes, name: name)
        }
        return try ONNXImporter.parse(bytes: bytes, name: name)
    }

    /// The last part of `path` without its extension.
    static func name(ofPath path: String) -> String {
        let file = path.split(separator: "/").last.map(String.init) ?? path
        guard let dot = file.lastIndex(of: "."), dot != file.startIndex else { return file }
        return String(file[..<dot])
    }
}
