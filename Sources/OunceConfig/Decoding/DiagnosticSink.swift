/// Collects what is wrong with one file while its decoding goes on.
final class DiagnosticSink {
    /// A file with more mistakes than this is another kind of file.
    static let limit = 100

    let file: String
    private(set) var diagnostics: [Diagnostic] = []

    init(file: String) { self.file = file }

    func report(_ mark: Mark, _ message: String, _ remedy: String) {
        guard diagnostics.count < Self.limit else { return }
        diagnostics.append(
            Diagnostic(file: file, line: mark.line, column: mark.column, message: message, remedy: remedy))
    }
}
