import OunceGraph

/// What is wrong with a file, where, and how to mend it.
package struct FormatError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// The operating system refused to read or write.
        case io
        /// The file breaks the rules of its format.
        case corrupt
        /// The file is sound but asks for what this version does not do.
        case unsupported
        /// The file claims more than may be loaded.
        case limit
        /// What was to be written cannot be.
        case invalidArgument
    }
    package let code: Code
    package let message: String
    /// Inputs of the model whose values would have to be known on import.
    package private(set) var neededInputs: [String] = []
    /// Inputs of the model with open extents, where knowing these might help.
    package private(set) var openInputs: [OpenInput] = []

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    func needing(_ inputs: [String], open: [OpenInput] = []) -> FormatError {
        var error = self
        error.neededInputs = inputs
        error.openInputs = open
        return error
    }

    package var description: String { message }

    /// Maps the file at `path`.
    static func mapping(_ path: String, maximumBytes: Int) throws(FormatError) -> MappedFile {
        do {
            return try MappedFile(path: path, maximumBytes: maximumBytes)
        } catch { throw FormatError(.io, error.description) }
    }

    /// A copy of the whole file at `path`.
    static func content(_ path: String, maximumBytes: Int) throws(FormatError) -> [UInt8] {
        let file = try mapping(path, maximumBytes: maximumBytes)
        return withExtendedLifetime(file) { Array(file.bytes) }
    }

    /// The same error with the file that it concerns in front.
    func inFile(_ path: String) -> FormatError {
        FormatError(code, "\(path): \(message)").needing(neededInputs, open: openInputs)
    }
}
