import OunceFormats
import OunceGraph
import OunceRuntime

/// What went wrong while data were read or a model compressed, where, and how to mend it.
package struct CompressError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// Data that do not fit the model or the metric.
        case data
        /// A recipe that cannot be applied to this model.
        case recipe
        /// No recipe keeps what the user asked for.
        case refused
        /// A model, artifact or data file that cannot be read.
        case input
        /// An output that cannot be written.
        case output
    }
    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }

    /// Runs `body` and turns the errors of the modules below into this one.
    static func wrapping<T>(_ code: Code, _ body: () throws -> T) throws(CompressError) -> T {
        do {
            return try body()
        } catch let error as CompressError {
            throw error
        } catch {
            throw CompressError(code, "\(error)")
        }
    }
}
