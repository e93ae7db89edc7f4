/// What went wrong in the runtime, where, and how to mend it.
package struct RuntimeError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// An input of a request or call does not fit the model.
        case invalidInput
        /// The model needs something that this version or this device does not have.
        case unsupported
        /// The memory that the device profile allows does not suffice.
        case memory
        /// A file is damaged or no artifact.
        case corrupt
        /// The operating system refused to read or write.
        case io
        /// The stored self-check gives other bits here.
        case selfCheck
    }
    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
