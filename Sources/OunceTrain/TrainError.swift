/// What went wrong in training, where, and how to mend it.
package struct TrainError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// An operator without a gradient, or a graph that cannot be trained.
        case unsupported
        /// Data that do not fit the model or the loss.
        case data
        /// A checkpoint that is damaged or belongs to another run.
        case checkpoint
        /// The loss is no number any more.
        case diverged
        /// Training memory beyond what addresses allow.
        case memory
    }
    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
