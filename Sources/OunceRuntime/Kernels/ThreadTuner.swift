import COunceKernels
import OunceGraph

/// Chooses over how many threads each step of a plan is split.
///
/// What a thread writes in one step it finds in its caches in the next, so that steps are not judged one by one: the whole plan is
/// timed with the work that a thread must have to be worth its while set higher and lower, and the fastest is taken.
struct ThreadTuner {
    private let selection: KernelSelection
    private let limit: Int

    /// Microseconds of work for each thread of a step; without bound: one thread for everything.
    private static let shares = [Double.infinity, 8, 4, 2, 1, 0.5]
    /// Where nothing is measured.
    private static let ordinaryShare = 4.0
    /// A plan that takes less is over before another thread has heard of it.
    private static let leastMicroseconds = 2.0
    /// Plans that take longer on one thread hardly depend on how their short steps are split.
    private static let longMicroseconds = 5_000.0
    /// Two threads help from here on. Where they do not, other programs had the CPUs meanwhile.
    private static let surelyWorthSplitting = 50.0
    /// More threads are taken where they save more than this.
    private static let worthwhile = 0.97
    private static let rounds = 4
    /// Of each turn, half to wake the other threads and to fill the caches.
    private static let turnSeconds = 0.5e-3
    private static let longestSeconds = 0.1

    init(_ selection: KernelSelection, limit: Int) {
        self.selection = selection
        self.limit = limit
    }

    /// The plan with its steps split.
    func tuned(_ plan: Plan, memoryLeft: Int?) -> Plan {
        guard limit > 1 else { return plan }
        let total = plan.steps.reduce(0) { $0 + $1.microseconds }
        let ordinary = total < 2 * Self.ordinaryShare ? .infinity : Self.ordinaryShare
        guard case .measured(let seconds, let directory) = selection, total < Self.longMicroseconds,
            total >= Self.leastMicroseconds, Session.byteCount(of: plan) <= memoryLeft ?? .max
        else { return Plan(plan, threads: threads(of: plan, share: ordinary)) }
        let key = key(of: plan)
        if let best = KernelTimings.shared.timings(of: key, directory: directory)?.first,
            let share = Self.shares.first(where: { Self.name($0) == best.kernel })
        {
            return Plan(plan, threads: threads(of: plan, share: share))
        }
        let timed = measure(plan, seconds: min(seconds, Self.longestSeconds))
        var best = timed[0]
        for candidate in timed.dropFirst() where candidate.seconds < best.seconds * Self.worthwhile { best = candidate }
        guard best.share != .infinity || total < Self.surelyWorthSplitting else {
            return Plan(plan, threads: threads(of: plan, share: ordinary))
        }
        let timings = ([best] + timed.filter { $0.share != best.share }).map {
            KernelTiming(kernel: Self.name($0.share), microseconds: ($0.seconds * 1e9).rounded() / 1e3)
        }
        KernelTimings.shared.add(timings, for: key)
        if let directory { KernelTimings.shared.save(in: directory) }
        return Plan(plan, threads: threads(of: plan, share: best.share))
    }

    private func threads(of plan: Plan, share: Double) -> [Int] {
        plan.steps.map { step in
            guard share < .infinity, step.units > 1 else { return 1 }
            return max(1, min(limit, step.units, Int(min(step.microseconds / share, Double(limit)))))
        }
    }

    /// The best time with each share, in turns so that a disturbance meets all. Shares that split alike are timed once.
    private func measure(_ plan: Plan, seconds: Double) -> [(share: Double, seconds: Double)] {
        var candidates: [(share: Double, threads: [Int])] = []
        for share in Self.shares {
            let threads = threads(of: plan, share: share)
            if candidates.last?.threads != threads { candidates.append((share, threads)) }
        }
        let session = Session(plan: plan)
        var best = candidates.map { (share: $0.share, seconds: Double.infinity) }
        let deadline = Model.now() + seconds
        for _ in 0..<Self.rounds where candidates.count > 1 && Model.now() < deadline {
            for (index, candidate) in candidates.enumerated() {
                session.split(over: candidate.threads)
                let start = Model.now()
                var last = start
                repeat {
                    session.run()
                    let now = Model.now()
                    if last - start >= Self.turnSeconds / 2 {
                        best[index].seconds = min(best[index].seconds, now - last)
                    }
                    last = now
                } while last - start < Self.turnSeconds || best[index].seconds == .infinity
            }
        }
        return best
    }

    private static func name(_ share: Double) -> String { share == .infinity ? "1 thread" : "\(share) us" }

    private func key(of plan: Plan) -> String {
        let steps = plan.steps.map { "\($0.kernelName) \($0.units) \($0.macs) \($0.packed?.bytes.count ?? 0)" }
        return "threads \(limit) \(String(StableHash.of(steps.joined(separator: "\n")), radix: 16))"
    }
}
