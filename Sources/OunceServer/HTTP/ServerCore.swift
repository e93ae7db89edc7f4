import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// What all connections of a server share.
final class ServerCore: Sendable {
    let service: InferenceService
    let control: (any ServerControl)?
    let limits: ServerLimits
    let workers: NIOThreadPool

    let connections = Atomic<Int>(0)
    private let pending = Atomic<Int>(0)
    private let bufferedBytes = Atomic<Int>(0)
    private let draining = Atomic<Bool>(false)

    init(service: InferenceService, control: (any ServerControl)?, limits: ServerLimits) {
        self.service = service
        self.control = control
        self.limits = limits
        workers = NIOThreadPool(numberOfThreads: max(1, limits.workers))
        workers.start()
    }

    var isDraining: Bool { draining.load(ordering: .acquiring) }

    /// False where it had started already.
    func startDraining() -> Bool { !draining.exchange(true, ordering: .acquiringAndReleasing) }

    /// Counts bytes that a body will take. False: there is no room, and nothing was counted.
    func reserve(bytes: Int) -> Bool {
        let total = bufferedBytes.wrappingAdd(bytes, ordering: .relaxed).newValue
        if total <= limits.maxBufferedBytes { return true }
        release(bytes: bytes)
        return false
    }

    func release(bytes: Int) { bufferedBytes.wrappingSubtract(bytes, ordering: .relaxed) }

    // MARK: Infer

    /// Runs an infer request on a worker thread and gives the reply to `done` there.
    func infer(
        _ body: ByteBuffer, jsonLength: Int?, name: String, version: String?, allocator: ByteBufferAllocator,
        done: @escaping @Sendable (HTTPReply) -> Void
    ) {
        guard pending.wrappingAdd(1, ordering: .relaxed).newValue <= limits.maxPending else {
            pending.wrappingSubtract(1, ordering: .relaxed)
            let error = ServiceError(.unavailable, "\(limits.maxPending) requests are waiting already; try again later")
            service.onFailure(name, error)
            return done(HTTPReply(error))
        }
        let received = Clock.nanoseconds()
        workers.submit { state in
            let reply: HTTPReply
            if case .active = state {
                reply = self.work(body, jsonLength, name, version, received, allocator)
            } else {
                reply = HTTPReply(ServiceError(.unavailable, "the server is stopping"))
            }
            self.pending.wrappingSubtract(1, ordering: .relaxed)
            done(reply)
        }
    }

    private func work(
        _ body: ByteBuffer, _ jsonLength: Int?, _ name: String, _ version: String?, _ received: UInt64,
        _ allocator: ByteBufferAllocator
    ) -> HTTPReply {
        var times = RequestTimes(received: received)
        times.started = Clock.nanoseconds()
        var statistics: ModelStatistics?
        do throws(ServiceError) {
            let lease = try service.store.lease(name, version: version)
            statistics = lease.statistics
            guard times.queue < UInt64(clamping: limits.requestTimeout.nanoseconds) else {
                throw ServiceError(
                    .unavailable, "the request waited longer than \(limits.requestTimeout); try again later")
            }
            let (request, format) = try InferRequestDecoder.decode(body, jsonLength: jsonLength)
            times.decoded = Clock.nanoseconds()
            let reply = try service.run(request, on: lease.model)
            times.inferred = Clock.nanoseconds()
            let encoded = InferReplyEncoder(
                reply, of: lease.model, id: request.id, format: format, allocator: allocator)
            times.encoded = Clock.nanoseconds()
            lease.statistics.recordSuccess(times)
            return HTTPReply(encoded)
        } catch {
            statistics?.recordFailure(nanoseconds: Clock.nanoseconds() &- received)
            service.onFailure(name, error)
            return HTTPReply(error)
        }
    }

    // MARK: Everything else

    /// Answers what needs no worker.
    func answer(_ route: Route, body: ByteBuffer) throws(ServiceError) -> HTTPReply {
        let store = service.store
        switch route {
        case .live: return HTTPReply(Documents.Health(live: true, ready: nil))
        case .ready:
            let isReady = service.isReady && !isDraining
            var reply = HTTPReply(Documents.Health(live: nil, ready: isReady))
            if !isReady { reply.status = .serviceUnavailable }
            return reply
        case .serverMetadata: return HTTPReply(Documents.Server(version: service.serverVersion))
        case .modelMetadata(let name, let version):
            return HTTPReply(Documents.Model(try store.lease(name, version: version).model))
        case .modelReady(let name, let version):
            do throws(ServiceError) {
                _ = try store.lease(name, version: version)
                return HTTPReply(Documents.ModelReady(name: name, ready: true))
            } catch {
                guard error.code == .unavailable else { throw error }
                var reply = HTTPReply(Documents.ModelReady(name: name, ready: false))
                reply.status = .serviceUnavailable
                return reply
            }
        case .statistics(nil, _): return statistics(store.entries)
        case .statistics(let name?, let version):
            if version != nil { _ = try store.lease(name, version: version) }
            guard let entry = store.entry(name) else {
                throw ServiceError(.notFound, "there is no model '\(excerpt(name))'")
            }
            return statistics([entry])
        case .repositoryIndex:
            let readyOnly = try Self.wantsReadyOnly(body)
            let entries = store.entries.filter { entry in
                if case .ready = entry.state { true } else { !readyOnly }
            }
            return HTTPReply(entries.map(Documents.IndexEntry.init))
        case .status:
            return HTTPReply(
                ServerStatus(daemon: control?.daemonStatus(), models: store.entries.map { ModelStatus($0) }))
        case .infer, .reload: throw ServiceError(.internal, "not answered here")
        }
    }

    private func statistics(_ entries: [ModelStore.Entry]) -> HTTPReply {
        HTTPReply(Documents.Statistics(modelStats: entries.map { Documents.ModelStatistics($0) }))
    }

    /// Reads `{"ready": true}`; an empty body asks for all.
    private static func wantsReadyOnly(_ body: ByteBuffer) throws(ServiceError) -> Bool {
        let result: Result<Bool, JSONError> = body.withUnsafeReadableBytes { bytes in
            guard !bytes.isEmpty else { return .success(false) }
            do throws(JSONError) {
                var reader = JSONReader(bytes)
                var ready = false
                var first = true
                try reader.beginObject()
                while let name = try reader.nextMember(&first) {
                    if name == "ready" { ready = try reader.bool() } else { try reader.skipValue() }
                }
                try reader.finish()
                return .success(ready)
            } catch {
                return .failure(error)
            }
        }
        do throws(JSONError) {
            return try result.get()
        } catch {
            throw ServiceError(.invalid, "the request's JSON is wrong at byte \(error.offset): \(error.message)")
        }
    }
}

extension Duration {
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : product &+ attoseconds / 1_000_000_000
    }

    var timeAmount: TimeAmount { .nanoseconds(nanoseconds) }
}
