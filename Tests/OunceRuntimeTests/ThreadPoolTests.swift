import OunceRuntime
import OunceTestSupport
import Synchronization
import Testing

/// Parts of jobs on several threads.
@Suite struct ThreadPoolTests {
    /// How often each part of a job ran, and which threads took part.
    private final class Counts: Sendable {
        let parts: Mutex<[Int]>
        let threads = Mutex<Set<Int32>>([])

        init(_ count: Int) { parts = Mutex([Int](repeating: 0, count: count)) }
    }

    private static func runJob(parts: Int, threads: Int) -> Counts {
        let counts = Counts(parts)
        ThreadPool.shared.run(
            parts: Int32(parts), threads: threads, context: Unmanaged.passUnretained(counts).toOpaque()
        ) { context, part, thread in
            let counts = Unmanaged<Counts>.fromOpaque(context).takeUnretainedValue()
            counts.parts.withLock { $0[Int(part)] += 1 }
            counts.threads.withLock { _ = $0.insert(thread) }
        }
        return counts
    }

    /// From several callers at once, with pauses that let the workers fall asleep now and then.
    @Test func eachPartRunsOnce() async {
        print("seeds 0..<4")
        await withTaskGroup(of: Void.self) { group in
            for seed in UInt64(0)..<4 {
                group.addTask {
                    var random = RandomSource(seed: seed)
                    for job in 0..<500 {
                        let (parts, threads) = (random.int(1...40), random.int(1...5))
                        let counts = Self.runJob(parts: parts, threads: threads)
                        #expect(counts.parts.withLock { $0.allSatisfy { $0 == 1 } }, "seed \(seed), job \(job)")
                        #expect(counts.threads.withLock { $0.allSatisfy { $0 >= 0 && $0 < Int32(threads) } })
                        if job % 50 == 0 { try? await Task.sleep(for: .microseconds(200)) }
                    }
                }
            }
        }
    }

    /// A caller does not return while another thread works on a part.
    @Test func waitsForAll() {
        final class Flag: Sendable { let done = Atomic<Int>(0) }
        for _ in 0..<20 {
            let flag = Flag()
            ThreadPool.shared.run(parts: 4, threads: 3, context: Unmanaged.passUnretained(flag).toOpaque()) {
                context, part, _ in
                let flag = Unmanaged<Flag>.fromOpaque(context).takeUnretainedValue()
                let begin = ContinuousClock.now
                while ContinuousClock.now - begin < .microseconds(part == 0 ? 300 : 20) {}
                flag.done.add(1, ordering: .sequentiallyConsistent)
            }
            #expect(flag.done.load(ordering: .sequentiallyConsistent) == 4)
        }
    }

    /// Each thread begins with the share that is its own in every job, so that it finds there what it wrote before.
    @Test func threadsBeginWithTheirShares() {
        final class Order: Sendable { let parts = Mutex<[Int32: [Int32]]>([:]) }
        var began = (own: 0, elsewhere: 0)
        for _ in 0..<100 {
            let order = Order()
            ThreadPool.shared.run(parts: 6, threads: 3, context: Unmanaged.passUnretained(order).toOpaque()) {
                context, part, thread in
                let order = Unmanaged<Order>.fromOpaque(context).takeUnretainedValue()
                order.parts.withLock { $0[thread, default: []].append(part) }
                let begin = ContinuousClock.now
                while ContinuousClock.now - begin < .microseconds(100) {}
            }
            order.parts.withLock { parts in
                for (thread, done) in parts {
                    if done[0] == 2 * thread { began.own += 1 } else { began.elsewhere += 1 }
                }
            }
        }
        // A thread that the system puts aside for a while finds its share done.
        #expect(began.own > began.elsewhere)
    }
}
