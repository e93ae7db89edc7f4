import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

/// The HTTP/1.1 front end on a listening Unix socket.
///
/// One thread does all input and output; inferences run on threads of their own.
package final class HTTPServer: Sendable {
    private let core: ServerCore
    private let group: MultiThreadedEventLoopGroup
    private let registry: NIOLoopBoundBox<ConnectionRegistry>
    private let channel: any Channel

    /// Starts serving on `socket`, a bound Unix socket, which the server owns from now on.
    package init(
        socket: Int32, service: InferenceService, control: (any ServerControl)? = nil,
        limits: ServerLimits = ServerLimits()
    ) throws(ServiceError) {
        let core = ServerCore(service: service, control: control, limits: limits)
        self.core = core
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let registry = NIOLoopBoundBox.makeBoxSendingValue(ConnectionRegistry(core: core), eventLoop: group.next())
        self.registry = registry
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 8192, maximum: 1 << 18)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try Self.configure(channel, core, registry.value) }
            }
        do {
            channel = try bootstrap.withBoundSocket(socket).wait()
        } catch {
            try? group.syncShutdownGracefully()
            try? core.workers.syncShutdownGracefully()
            throw ServiceError(.internal, "cannot serve on the socket: \(error)")
        }
    }

    private static func configure(_ channel: any Channel, _ core: ServerCore, _ registry: ConnectionRegistry) throws {
        let open = core.connections.load(ordering: .relaxed)
        // Past the limit a connection gets a reply that says so; far past it, none.
        guard open < 2 * core.limits.maxConnections else { throw ChannelError.connectPending }
        var headers = NIOHTTPDecoderLimitConfiguration()
        headers.maxHeaderFieldSize = core.limits.maxHeaderBytes
        headers.maxHeaderListSize = core.limits.maxHeaderBytes
        headers.maxHeaderFieldCount = 100
        let decoder = HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: headers)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(HTTPResponseEncoder())
        try pipeline.addHandler(ByteToMessageHandler(decoder))
        try pipeline.addHandler(HTTPServerPipelineHandler())
        try pipeline.addHandler(
            HTTPHandler(core: core, registry: registry, isRefused: open >= core.limits.maxConnections))
    }

    /// Calls `done` on the event loop: it was reached, so it makes progress.
    package func ping(_ done: @escaping @Sendable () -> Void) { group.next().execute(done) }

    /// Accepts no more, lets what is under way end, and closes. Blocks for `deadline` at most.
    package func shutdown(deadline: Duration) {
        guard core.startDraining() else { return }
        try? channel.close().wait()
        group.next().execute { [registry] in registry.value.drain() }
        let end = ContinuousClock.now + deadline
        while core.connections.load(ordering: .relaxed) > 0, ContinuousClock.now < end { usleep(5000) }
        try? group.syncShutdownGracefully()
        try? core.workers.syncShutdownGracefully()
    }
}
