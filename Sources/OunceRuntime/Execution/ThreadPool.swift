import COunceKernels
import Glibc
import Synchronization

/// Threads that share one step's parts at a time.
///
/// Parts are claimed one by one from a ticket word, so a thread that the system has put aside holds up nobody: the caller
/// does what is left and waits only for parts that are being worked on. Between steps the threads spin briefly, then sleep on
/// a futex: an idle pool costs nothing.
package final class ThreadPool: @unchecked Sendable {
    /// Context, part, and which of the threads runs it (0: the caller).
    package typealias Body = @convention(c) (UnsafeRawPointer, Int32, Int32) -> Void

    /// The process's pool; it grows to the largest number of threads asked for.
    package static let shared = ThreadPool()

    package static let maximumThreads = 64
    private static let spins = 1000

    /// Words that threads wait on; in memory of their own because a futex needs a fixed address.
    private struct Words {
        /// From the upper end: number of the job (32 bits), threads that may take part (16), parts not claimed yet (16).
        var ticket: UInt64 = 0
        /// Number of the job, for sleepers.
        var generation: UInt32 = 0
        /// Parts that are not done yet.
        var pending: UInt32 = 0
        var sleepers: UInt32 = 0
    }
    private let words: UnsafeMutablePointer<Words>
    private let workers = Mutex<Int32>(0)
    private var body: Body?
    private var context: UnsafeRawPointer?

    private init() {
        words = .allocate(capacity: 1)
        words.initialize(to: Words())
    }

    private var ticket: UnsafeMutablePointer<UInt64> { words.pointer(to: \.ticket).unsafelyUnwrapped }
    private var generation: UnsafeMutablePointer<UInt32> { words.pointer(to: \.generation).unsafelyUnwrapped }
    private var pending: UnsafeMutablePointer<UInt32> { words.pointer(to: \.pending).unsafelyUnwrapped }
    private var sleepers: UnsafeMutablePointer<UInt32> { words.pointer(to: \.sleepers).unsafelyUnwrapped }

    /// Calls `body` for each part in `0..<parts` (at most 65535), on the calling thread and up to `threads - 1` others, and returns when all
    /// are done. Where another call is under way, the caller does all parts itself.
    package func run(parts: Int32, threads: Int, context: UnsafeRawPointer, _ body: Body) {
        let done: Void? = workers.withLockIfAvailable { workers in
            while workers < min(threads, Self.maximumThreads) - 1 {
                guard startWorker(index: workers + 1) else { break }
                workers += 1
            }
            self.body = body
            self.context = context
            ounce_atomic_store(pending, UInt32(parts))
            let job = ounce_atomic_load(generation) &+ 1
            ounce_atomic_store64(ticket, UInt64(job) << 32 | UInt64(threads) << 16 | UInt64(parts))
            _ = ounce_atomic_add(generation, 1)
            if ounce_atomic_load(sleepers) > 0 { ounce_futex_wake(generation, min(workers, Int32(threads - 1))) }
            work(job: job, thread: 0)
            waitForOthers()
        }
        if done == nil {
            for part in 0..<parts { body(context, part, 0) }
        }
    }

    /// Claims and does parts of this job until none is left.
    private func work(job: UInt32, thread: Int32) {
        while true {
            let now = ounce_atomic_load64(ticket)
            let left = now & 0xFFFF
            guard now >> 32 == UInt64(job), left > 0, UInt64(thread) < now >> 16 & 0xFFFF else { return }
            guard ounce_atomic_exchange64(ticket, now, now - 1) != 0 else { continue }
            // A claimed part keeps the job alive: body and context are this job's.
            if let body, let context { body(context, Int32(left - 1), thread) }
            if ounce_atomic_add(pending, UInt32.max) == 1, thread != 0 { ounce_futex_wake(pending, 1) }
        }
    }

    private func waitForOthers() {
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
            init(_ pool: ThreadPool, _ index: Int32) {
                self.pool = pool
                self.index = index
            }
        }
        let start = Unmanaged.passRetained(Start(self, index))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                start.pool.serve(thread: start.index)
                return nil
            }, start.toOpaque())
        guard status == 0 else {
            start.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    private func serve(thread: Int32) {
        var seen: UInt32 = 0
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
            work(job: seen, thread: thread)
        }
    }
}
