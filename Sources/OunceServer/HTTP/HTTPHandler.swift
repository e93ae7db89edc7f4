import NIOCore
import NIOHTTP1

/// One connection: gathers a request, has it answered, writes the reply, and waits for the next.
///
/// NIO's pipeline handler in front of it hands on one request at a time, so that replies keep the order of requests.
final class HTTPHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case idle
        /// The head is here, the body is coming.
        case receiving(Request)
        /// The request is with a worker or the daemon.
        case working(Request)
        /// Answered before its end; what still comes is dropped, then the connection closes.
        case discarding
    }

    private struct Request {
        let head: HTTPRequestHead
        let route: Route
        var body: ByteBuffer
        /// Counted against the server's room for bodies.
        var reserved: Int
    }

    private let core: ServerCore
    private let registry: ConnectionRegistry
    /// Answers the first request with 503, because there are too many connections.
    private let isRefused: Bool
    private var state = State.idle
    /// When `state` last changed.
    private var since = NIODeadline.now()
    private var context: ChannelHandlerContext?
    private var timer: RepeatedTask?

    init(core: ServerCore, registry: ConnectionRegistry, isRefused: Bool) {
        self.core = core
        self.registry = registry
        self.isRefused = isRefused
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        registry.add(self)
        let shortest = min(core.limits.requestTimeout, core.limits.idleTimeout).timeAmount
        let tick = TimeAmount.nanoseconds(max(20_000_000, min(shortest.nanoseconds / 4, 5_000_000_000)))
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleRepeatedTask(initialDelay: tick, delay: tick) { _ in bound.value.checkTime() }
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    private func end() {
        guard context != nil else { return }
        if case .receiving(let request) = state { core.release(bytes: request.reserved) }
        timer?.cancel()
        timer = nil
        context = nil
        registry.remove(self)
    }

    /// Closes the connection, at once where it is idle, else behind the reply.
    func drain() {
        if case .idle = state { context?.close(promise: nil) }
    }

    private func checkTime() {
        let waited = NIODeadline.now() - since
        switch state {
        case .idle: if waited > core.limits.idleTimeout.timeAmount { context?.close(promise: nil) }
        case .receiving:
            if waited > core.limits.requestTimeout.timeAmount {
                refuse(ServiceError(.timeout, "the request's body did not come within \(core.limits.requestTimeout)"))
            }
        case .discarding: if waited > core.limits.requestTimeout.timeAmount { context?.close(promise: nil) }
        case .working: break
        }
    }

    private func enter(_ next: State) {
        state = next
        since = .now()
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): begin(head, context)
        case .body(let part): append(part)
        case .end: finish(context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The decoder closes the channel after an error of its own; a reply that has begun cannot be taken back.
        if error is HTTPParserError, case .idle = state {
            enter(.discarding)
            write(
                HTTPReply(ServiceError(.invalid, "this is no HTTP/1.1 request: \(error)")), .http1_1, keepAlive: false,
                false)
        }
        context.close(promise: nil)
    }

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let route: Route
        do throws(ServiceError) {
            guard !isRefused else { throw ServiceError(.unavailable, "too many connections; try again later") }
            guard head.uri.utf8.count <= core.limits.maxPathBytes else {
                throw ServiceError(.invalid, "the path has more than \(core.limits.maxPathBytes) bytes")
            }
            route = try Route(uri: head.uri)
            try check(head, route)
        } catch {
            return refuse(error, head: head)
        }
        let length = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
        let reserved = max(0, length)
        guard core.reserve(bytes: reserved) else {
            return refuse(
                ServiceError(.unavailable, "no room for another request of \(length) bytes; try again later"),
                head: head)
        }
        // What is claimed may never come: allocate for a small body at once, and grow for a large one.
        var body = ByteBuffer()
        if reserved > 0 { body = context.channel.allocator.buffer(capacity: min(reserved, 1 << 20)) }
        enter(.receiving(Request(head: head, route: route, body: body, reserved: reserved)))
        if head.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" }) {
            let interim = HTTPResponseHead(version: head.version, status: .continue)
            context.writeAndFlush(wrapOutboundOut(.head(interim)), promise: nil)
        }
    }

    private func check(_ head: HTTPRequestHead, _ route: Route) throws(ServiceError) {
        let isAllowed = route.isPost ? head.method == .POST : head.method == .GET || head.method == .HEAD
        guard isAllowed else {
            throw ServiceError(
                .methodNotAllowed, "\(head.method) is not taken here; use \(route.isPost ? "POST" : "GET")")
        }
        if let encoding = head.headers.first(name: "content-encoding"), encoding.lowercased() != "identity" {
            throw ServiceError(.invalid, "compressed bodies are not taken; send it without Content-Encoding")
        }
        guard let length = head.headers.first(name: "content-length") else { return }
        guard let bytes = Int(length), bytes <= core.limits.maxBody else {
            throw ServiceError(
                .tooLarge, "the body has \(excerpt(length)) bytes; at most \(core.limits.maxBody) are taken")
        }
    }

    private func append(_ part: ByteBuffer) {
        guard case .receiving(var request) = state else { return }
        let total = request.body.readableBytes + part.readableBytes
        guard total <= core.limits.maxBody else {
            return refuse(
                ServiceError(.tooLarge, "the body has more than the \(core.limits.maxBody) bytes that are taken"))
        }
        // A chunked body has no length beforehand: it is counted as it comes.
        if total > request.reserved {
            guard core.reserve(bytes: total - request.reserved) else {
                return refuse(ServiceError(.unavailable, "no room for the request's body; try again later"))
            }
            request.reserved = total
        }
        // Give up the state's reference, so that appending does not copy what is there.
        state = .discarding
        if request.body.capacity == 0 {
            request.body = part
        } else {
            request.body.writeImmutableBuffer(part)
        }
        state = .receiving(request)
    }

    private func finish(_ context: ChannelHandlerContext) {
        switch state {
        case .receiving(let request):
            enter(.working(request))
            dispatch(request, context)
        case .discarding: context.close(promise: nil)
        case .idle, .working: break
        }
    }

    // MARK: Answering

    private func dispatch(_ request: Request, _ context: ChannelHandlerContext) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        let done: @Sendable (HTTPReply) -> Void = { reply in
            eventLoop.execute { bound.value.complete(reply) }
        }
        switch request.route {
        case .infer(let name, let version):
            let header = request.head.headers.first(name: "inference-header-content-length")
            let jsonLength = header.flatMap { Int($0) }
            guard header == nil || jsonLength != nil else {
                return complete(
                    HTTPReply(
                        ServiceError(
                            .invalid, "Inference-Header-Content-Length is no number: '\(excerpt(header ?? ""))'")))
            }
            core.infer(
                request.body, jsonLength: jsonLength, name: name, version: version,
                allocator: context.channel.allocator, done: done)
        case .reload: reload(context, done)
        default:
            do throws(ServiceError) {
                complete(try core.answer(request.route, body: request.body))
            } catch {
                complete(HTTPReply(error))
            }
        }
    }

    private func reload(_ context: ChannelHandlerContext, _ done: @escaping @Sendable (HTTPReply) -> Void) {
        guard let control = core.control else {
            return complete(HTTPReply(ServiceError(.unsupported, "this server has nothing to reload")))
        }
        PeerCredentials.check(context.channel) { isAllowed in
            guard isAllowed else {
                return done(
                    HTTPReply(
                        ServiceError(
                            .forbidden, "only root and the daemon's own user may reload; use systemctl reload ounced")))
            }
            control.reload { result in
                done(result.isFailure ? HTTPReply(ServiceError(.invalid, result.message)) : HTTPReply(result))
            }
        }
    }

    private func complete(_ reply: HTTPReply) {
        guard case .working(let request) = state else { return }
        core.release(bytes: request.reserved)
        enter(.idle)
        let isUpgrade = request.head.headers.contains(name: "upgrade")
        let keepAlive = request.head.isKeepAlive && !isUpgrade && !core.isDraining
        write(reply, request.head.version, keepAlive: keepAlive, request.head.method == .HEAD)
    }

    /// Answers before the request's end; the rest of it is read and dropped, so that the client can read the answer.
    private func refuse(_ error: ServiceError, head: HTTPRequestHead? = nil) {
        var head = head
        if case .receiving(let request) = state {
            core.release(bytes: request.reserved)
            head = request.head
        }
        enter(.discarding)
        var reply = HTTPReply(error)
        if error.code == .methodNotAllowed, let head, let route = try? Route(uri: head.uri) {
            reply.allow = route.isPost ? "POST" : "GET, HEAD"
        }
        write(reply, .http1_1, keepAlive: false, head?.method == .HEAD, closing: false)
    }

    private func write(
        _ reply: HTTPReply, _ version: HTTPVersion, keepAlive: Bool, _ omitsBody: Bool, closing: Bool = true
    ) {
        guard let context else { return }
        context.write(wrapOutboundOut(.head(reply.head(version: version, keepAlive: keepAlive))), promise: nil)
        if !omitsBody, reply.body.readableBytes > 0 {
            context.write(wrapOutboundOut(.body(.byteBuffer(reply.body))), promise: nil)
        }
        guard !keepAlive, closing else {
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            return
        }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in bound.value.close(promise: nil) }
    }
}
