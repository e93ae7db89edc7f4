import COunceKernels
import Glibc
import Synchronization

/// Threads that share one step's parts at a time.
///
/// Parts are claimed one by one from a ticket word, each thread beginning with a share of its own, which is the same in step
/// after step: what it reads it has mostly written itself. A thread that the system has put aside holds up nobody: the others
/// do what is left of its share and wait only for parts that are being worked on. Between steps the threads spin briefly, then
/// sleep on a futex: an idle pool costs nothing.
package final class ThreadPool: @unchecked Sendable {
    /// Context, part, and which of the threads runs it (0: the caller).
    package typealias Body = @convention(c) (UnsafeRawPointer, Int32, Int32) -> Void

    /// The process's pool; it grows to the largest number of threads asked for.
    package static let shared = ThreadPool()

    package static let maximumThreads = 32
    /// A bit of the ticket for each.
    package static let maximumParts: Int32 = 32
    /// How long a thread that waits looks before it sleeps. Longer than the gaps between the split steps of a model, and short
    /// enough that a board's other programs do not feel it.
    private static let spinNanoseconds: Int64 = 50_000

    /// Words that threads wait on, in memory of their own because a futex needs a fixed address; each on cache lines of its own,
    /// since it is written by one side while the other looks.
    private enum Word: Int, CaseIterable {
        /// From the upper end: number of the job (16 bits), parts (8), threads that may take part (8), a bit for each part that
        /// is not claimed yet.
        case ticket
        /// Parts that are not done yet.
        case pending
        /// Whether the caller sleeps until none is left.
        case callerSleeps
        /// Changes when sleepers are woken.
        case alarm
        case sleepers
        /// Where the last caller ran that woke workers: its number and 1; 0: unknown. Workers keep off that CPU.
        case callerCPU

        static let stride = 128
    }
    private let words: UnsafeMutableRawPointer
    /// Of the workers; 0: not started yet.
    private let threadIDs: UnsafeMutablePointer<UInt32>
    private let workers = Mutex<Int32>(0)
    private var job: UInt16 = 0
    private var body: Body?
    private var context: UnsafeRawPointer?

    private init() {
        words = .allocate(byteCount: Word.allCases.count * Word.stride, alignment: Word.stride)
        words.initializeMemory(as: UInt8.self, repeating: 0, count: Word.allCases.count * Word.stride)
        threadIDs = .allocate(capacity: Self.maximumThreads)
        threadIDs.initialize(repeating: 0, count: Self.maximumThreads)
    }

    private func word(_ word: Word) -> UnsafeMutablePointer<UInt32> {
        (words + word.rawValue * Word.stride).assumingMemoryBound(to: UInt32.self)
    }
    private var ticket: UnsafeMutablePointer<UInt64> {
        (words + Word.ticket.rawValue * Word.stride).assumingMemoryBound(to: UInt64.self)
    }

    /// Calls `body` for each part in `0..<parts` (the caller alone does those beyond `maximumParts`), on the calling thread and up
    /// to `threads - 1` others, and returns when all are done. Where another call is under way, the caller does all parts itself.
    package func run(parts: Int32, threads: Int, context: UnsafeRawPointer, _ body: Body) {
        let done: Void? = workers.withLockIfAvailable { workers in
            while workers < min(threads, Self.maximumThreads) - 1 {
                guard startWorker(index: workers + 1) else { break }
                workers += 1
            }
            self.body = body
            self.context = context
            job &+= 1
            let shared = UInt64(min(parts, Self.maximumParts))
            let threads = UInt64(max(1, min(threads, Self.maximumThreads)))
            ounce_atomic_store(word(.pending), UInt32(shared))
            let unclaimed = UInt64(1) << shared - 1
            ounce_atomic_store64(ticket, UInt64(job) << 48 | shared << 40 | threads << 32 | unclaimed)
            wake(min(workers, Int32(threads) - 1))
            work(job: job, thread: 0)
            for part in min(parts, Self.maximumParts)..<parts { body(context, part, 0) }
            waitForOthers()
        }
        if done == nil {
            for part in 0..<parts { body(context, part, 0) }
        }
    }

    /// Claims and does parts of this job until none is left.
    private func work(job: UInt16, thread: Int32) {
        while true {
            let now = ounce_atomic_load64(ticket)
            let left = now & 0xFFFF_FFFF
            let (parts, threads) = (now >> 40 & 0xFF, now >> 32 & 0xFF)
            guard now >> 48 == UInt64(job), left != 0, UInt64(thread) < threads else { return }
            // The first that is left from where the thread's share begins.
            let own = left & (UInt64.max << (UInt64(thread) * parts / threads))
            let part = (own != 0 ? own : left).trailingZeroBitCount
            guard ounce_atomic_exchange64(ticket, now, now ^ (1 << UInt64(part))) != 0 else { continue }
            // A claimed part keeps the job alive: body and context are this job's.
            if let body, let context { body(context, Int32(truncatingIfNeeded: part), thread) }
            if ounce_atomic_add(word(.pending), UInt32.max) == 1, ounce_atomic_load(word(.callerSleeps)) != 0 {
                ounce_futex_wake(word(.pending), 1)
            }
        }
    }

    /// A worker counts itself among the sleepers before it looks at the ticket for the last time: either it sees the new job,
    /// or the caller sees it.
    private func wake(_ count: Int32) {
        guard ounce_atomic_load(word(.sleepers)) > 0 else { return }
        keepOffCaller()
        _ = ounce_atomic_add(word(.alarm), 1)
        ounce_futex_wake(word(.alarm), count)
    }

    /// A busy system may wake a worker on the very CPU of the caller, where it gets to run when all is done.
    private func keepOffCaller() {
        let cpu = ounce_current_cpu()
        guard ounce_atomic_load(word(.callerCPU)) != UInt32(bitPattern: cpu &+ 1) else { return }
        ounce_atomic_store(word(.callerCPU), UInt32(bitPattern: cpu &+ 1))
        for index in 0..<Self.maximumThreads where ounce_atomic_load(threadIDs + index) != 0 {
            ounce_keep_off(Int32(bitPattern: ounce_atomic_load(threadIDs + index)), cpu)
        }
    }

    private func waitForOthers() {
        let pending = word(.pending)
        var left = ounce_atomic_load(pending)
        while left != 0 {
            ounce_spin_while(pending, left, Self.spinNanoseconds)
            let now = ounce_atomic_load(pending)
            if now == left {
                ounce_atomic_store(word(.callerSleeps), 1)
                ounce_futex_wait(pending, left)
                ounce_atomic_store(word(.callerSleeps), 0)
            }
            left = ounce_atomic_load(pending)
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
        let id = ounce_thread_id()
        ounce_atomic_store(threadIDs + Int(thread), UInt32(bitPattern: id))
        ounce_keep_off(id, Int32(bitPattern: ounce_atomic_load(word(.callerCPU))) &- 1)
        func jobNumber(_ ticket: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: ticket >> 48) }
        var done: UInt16 = 0
        while true {
            var now = ounce_atomic_load64(ticket)
            if jobNumber(now) == done {
                ounce_spin_while64(ticket, now, Self.spinNanoseconds)
                now = ounce_atomic_load64(ticket)
            }
            if jobNumber(now) == done {
                let alarm = ounce_atomic_load(word(.alarm))
                _ = ounce_atomic_add(word(.sleepers), 1)
                if jobNumber(ounce_atomic_load64(ticket)) == done { ounce_futex_wait(word(.alarm), alarm) }
                _ = ounce_atomic_add(word(.sleepers), UInt32.max)
            } else {
                done = jobNumber(now)
                work(job: done, thread: thread)
            }
        }
    }
}
