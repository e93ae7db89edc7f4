import COunceKernels
import Glibc
import Synchronization

/// Threads that share one step's units at a time. Between steps they spin briefly, then sleep on a futex, so that an idle
/// pool costs nothing and a busy board is not fought over.
final class ThreadPool: @unchecked Sendable {
    typealias Body = @convention(c) (UnsafeRawPointer, Int32) -> Void

    /// The process's pool; it grows to the largest number of threads asked for.
    static let shared = ThreadPool()

    private static let spins = 2000
    static let maximumThreads = 64

    /// Words that threads wait on; in memory of their own because a futex needs a fixed address.
    private struct Words {
        var generation: UInt32 = 0
        var pending: UInt32 = 0
        var sleepers: UInt32 = 0
    }
    private let words: UnsafeMutablePointer<Words>
    private let busy = Mutex<Int>(0)
    private var body: Body?
    private var context: UnsafeRawPointer?
    private var participants: Int32 = 0

    private init() {
        words = .allocate(capacity: 1)
        words.initialize(to: Words())
    }

    private var generation: UnsafeMutablePointer<UInt32> { words.pointer(to: \.generation).unsafelyUnwrapped }
    private var pending: UnsafeMutablePointer<UInt32> { words.pointer(to: \.pending).unsafelyUnwrapped }
    private var sleepers: UnsafeMutablePointer<UInt32> { words.pointer(to: \.sleepers).unsafelyUnwrapped }

    /// Calls `body(context, index)` for each index in `0..<threads`, index 0 on the calling thread, and returns when all are
    /// done. Where another call is under way, the caller does all of them itself.
    func run(threads: Int, context: UnsafeRawPointer, _ body: Body) {
        let done: Void? = busy.withLockIfAvailable { workers in
            while workers < min(threads, Self.maximumThreads) - 1 {
                guard startWorker(index: Int32(workers + 1)) else { break }
                workers += 1
            }
            let helpers = Int32(min(workers, threads - 1))
            self.body = body
            self.context = context
            participants = helpers
            // Every worker counts down, also one with nothing to do: so none can still read the job when the next is set.
            ounce_atomic_store(pending, UInt32(workers))
            _ = ounce_atomic_add(generation, 1)
            if ounce_atomic_load(sleepers) > 0 { ounce_futex_wake(generation, Int32(workers)) }
            body(context, 0)
            for index in stride(from: helpers + 1, to: Int32(threads), by: 1) { body(context, index) }
            waitForWorkers()
        }
        if done == nil {
            for index in 0..<Int32(threads) { body(context, index) }
        }
    }

    private func waitForWorkers() {
        var spins = 0
        while true {
            let left = ounce_atomic_load(pending)
            if left == 0 { return }
            spins += 1
            if spins < Self.spins { ounce_pause() } else { ounce_futex_wait(pending, left) }
        }
    }

    private func startWorker(index: Int32) -> Bool {
        final class Start {
            let pool: ThreadPool
            let index: Int32
            let seen: UInt32
            init(_ pool: ThreadPool, _ index: Int32, _ seen: UInt32) {
                self.pool = pool
                self.index = index
                self.seen = seen
            }
        }
        let start = Unmanaged.passRetained(Start(self, index, ounce_atomic_load(generation)))
        var thread = pthread_t()
        let status = pthread_create(&thread, nil, { argument in
            guard let argument else { return nil }
            let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
            start.pool.work(index: start.index, since: start.seen)
            return nil
        }, start.toOpaque())
        guard status == 0 else {
            start.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    private func work(index: Int32, since start: UInt32) {
        var seen = start
        while true {
            var spins = 0
            while ounce_atomic_load(generation) == seen {
                spins += 1
                if spins < Self.spins {
                    ounce_pause()
                } else {
                    _ = ounce_atomic_add(sleepers, 1)
                    ounce_futex_wait(generation, seen)
                    _ = ounce_atomic_add(sleepers, UInt32.max)
                }
            }
            seen = ounce_atomic_load(generation)
            if index <= participants, let body, let context { body(context, index) }
            if ounce_atomic_add(pending, UInt32.max) == 1 { ounce_futex_wake(pending, 1) }
        }
    }
}
