import OunceGraph

/// Reads TFLite models into graphs. TFLite lies channels-last as the graph does, so axes stay where they are.
package enum TFLiteImporter {
    /// The bytes 4 to 7 of every file.
    static let identifier: [UInt8] = Array("TFL3".utf8)
    package static let maximumBytes = 1 << 29

    /// - Throws: `FormatError` that names the file; one error lists everything that is not supported.
    package static func load(path: String, given: InputBindings = InputBindings()) throws(FormatError) -> Graph {
        let bytes = try FormatError.content(path, maximumBytes: maximumBytes)
        do {
            return try parse(bytes: bytes, name: ModelFile.name(ofPath: path), given: given)
        } catch { throw error.inFile(path) }
    }

    /// - Parameter given: shapes for inputs whose extents the model may change (its shape signature).
    package static func parse(
        bytes: [UInt8], name: String = "model", given: InputBindings = InputBindings()
    ) throws(FormatError) -> Graph {
        guard bytes.count <= maximumBytes else {
            throw FormatError(.limit, "the model has \(bytes.count) bytes, at most \(maximumBytes) are read")
        }
        guard bytes.dropFirst(4).starts(with: identifier) else {
            throw FormatError(.corrupt, "this is no TFLite model")
        }
        let file = TensorStorage(byteCount: bytes.count) { $0.copyBytes(from: bytes) }
        defer { withExtendedLifetime(file) {} }
        var translation: TFLiteTranslation
        do throws(ImportFailure) {
            translation = try TFLiteTranslation(ByteView(file.bytes), name: name, given: given)
            do throws(ImportFailure) {
                try translation.translate()
            } catch .fatal(let error) {
                throw .fatal(error.needing([], open: translation.openInputs).namingOpenInputs())
            }
        } catch {
            switch error {
            case .fatal(let error): throw error
            case .unsupported(let reason): throw FormatError(.unsupported, reason)
            }
        }
        return try translation.builder.finish()
    }
}
