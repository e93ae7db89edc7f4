import Glibc
import Synchronization

/// How often something happened and how long it took in all.
package struct DurationSum: Sendable, Hashable {
    package var count: UInt64 = 0
    package var nanoseconds: UInt64 = 0

    mutating func add(_ duration: UInt64) {
        count &+= 1
        nanoseconds &+= duration
    }
}

/// What a model has done since the daemon started; it outlives the model's versions.
package final class ModelStatistics: Sendable {
    package struct Snapshot: Sendable {
        package var success = DurationSum()
        package var failure = DurationSum()
        package var queue = DurationSum()
        package var computeInput = DurationSum()
        package var computeInfer = DurationSum()
        package var computeOutput = DurationSum()
        /// Wall clock, in milliseconds since 1970; 0: never.
        package var lastInference: UInt64 = 0
        /// Of successful requests, from the last byte of the request to the finished reply.
        package var latency = LatencyHistogram()
    }

    private let state = Mutex(Snapshot())

    package init() {}

    package var snapshot: Snapshot { state.withLock { $0 } }

    func recordSuccess(_ times: RequestTimes) {
        let wallClock = Clock.wallMilliseconds()
        state.withLock { state in
            state.success.add(times.total)
            state.queue.add(times.queue)
            state.computeInput.add(times.input)
            state.computeInfer.add(times.infer)
            state.computeOutput.add(times.output)
            state.lastInference = wallClock
            state.latency.record(nanoseconds: times.total)
        }
    }

    func recordFailure(nanoseconds: UInt64) { state.withLock { $0.failure.add(nanoseconds) } }
}

/// When the steps of one request ended, in nanoseconds of the monotonic clock.
struct RequestTimes {
    var received: UInt64
    var started: UInt64 = 0
    var decoded: UInt64 = 0
    var inferred: UInt64 = 0
    var encoded: UInt64 = 0

    var queue: UInt64 { started &- received }
    var input: UInt64 { decoded &- started }
    var infer: UInt64 { inferred &- decoded }
    var output: UInt64 { encoded &- inferred }
    var total: UInt64 { encoded &- received }
}

enum Clock {
    static func nanoseconds() -> UInt64 { read(CLOCK_MONOTONIC) }
    static func wallMilliseconds() -> UInt64 { read(CLOCK_REALTIME) / 1_000_000 }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var now = timespec()
        clock_gettime(clock, &now)
        return UInt64(truncatingIfNeeded: now.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: now.tv_nsec)
    }
}
