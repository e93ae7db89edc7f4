import OunceRuntime

/// Why a request is refused; every front end turns it into its own status code.
package struct ServiceError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// The request is wrong.
        case invalid
        /// This client may not.
        case forbidden
        /// No such model, version or path.
        case notFound
        /// The path exists, but not with this method.
        case methodNotAllowed
        /// The client took too long.
        case timeout
        /// Larger than the settings allow.
        case tooLarge
        /// A part of the protocol that is not served.
        case unsupported
        /// Too much to do, or not ready yet: try again later.
        case unavailable
        /// The fault is here.
        case `internal`
    }
    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package init(_ error: RuntimeError) {
        switch error.code {
        case .invalidInput: self.init(.invalid, error.message)
        case .unsupported: self.init(.unsupported, error.message)
        case .memory: self.init(.unavailable, error.message)
        case .corrupt, .io, .selfCheck: self.init(.internal, error.message)
        }
    }

    package var description: String { message }
}
