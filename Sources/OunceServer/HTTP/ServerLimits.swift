import NIOCore

/// What one server takes on.
package struct ServerLimits: Sendable, Hashable {
    /// Of one request's body, in bytes.
    package var maxBody = 64 << 20
    /// Of all bodies that are being received or worked on, in bytes.
    package var maxBufferedBytes = 256 << 20
    package var maxConnections = 64
    /// Inferences that run or wait; one more is refused.
    package var maxPending = 64
    /// Threads that run inferences.
    package var workers = 1
    /// For the body of a request to come, and for an inference to begin.
    package var requestTimeout: Duration = .seconds(30)
    /// For the next request of a connection to come, its head whole.
    package var idleTimeout: Duration = .seconds(120)
    package var maxPathBytes = 4096
    package var maxHeaderBytes = 32 << 10

    package init() {}
}
