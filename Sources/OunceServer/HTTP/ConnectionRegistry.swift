import NIOCore

/// The open connections of a server; used on its event loop only.
final class ConnectionRegistry {
    private let core: ServerCore
    private var handlers: [ObjectIdentifier: HTTPHandler] = [:]

    init(core: ServerCore) { self.core = core }

    func add(_ handler: HTTPHandler) {
        handlers[ObjectIdentifier(handler)] = handler
        core.connections.store(handlers.count, ordering: .relaxed)
        if core.isDraining { handler.drain() }
    }

    func remove(_ handler: HTTPHandler) {
        handlers[ObjectIdentifier(handler)] = nil
        core.connections.store(handlers.count, ordering: .relaxed)
    }

    func drain() { for handler in handlers.values { handler.drain() } }
}
