import OunceGraph

/// Reads TFLite models into graphs. TFLite lies channels-last as the graph does, so axes stay where they are.
package enum TFLiteImporter {
    /// The bytes 4 to 7 of every file.
    static let identifier: [UInt8] = Array("TFL3".utf8)

    /// Weights refer to the file, which stays mapped as long as the graph lives.
    ///
    /// - Parameter given: shapes for inputs whose extents the model may change (its shape signature).
    /// - Throws: `FormatError`; one error lists everything that is not supported.
    static func parse(
        _ content: FileBytes, name: String, given: InputBindings
    ) throws(FormatError) -> Graph {
        guard content.dropFirst(4).starts(with: identifier) else {
            throw FormatError(.corrupt, "this is no TFLite model")
        }
        var translation: TFLiteTranslation
        do throws(ImportFailure) {
            translation = try TFLiteTranslation(content, name: name, given: given)
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
