import COunceKernels
import OunceGraph

/// Chooses the kernels of one plan.
struct KernelTuner {
    private let selection: KernelSelection
    private let deadline: Double
    private var hasNews = false

    /// Each candidate runs for at least this long in each of the rounds, and at least once.
    private static let roundSeconds = 30e-6
    private static let rounds = 4
    private static let largeBytes = 1 << 20

    init(_ selection: KernelSelection) {
        self.selection = selection
        if case .measured(let seconds, _) = selection {
            deadline = Model.now() + seconds
        } else {
            deadline = 0
        }
    }

    /// Whether kernels for weights of some kind may run.
    var wantsVariants: Bool { selection != .tableOrder }

    struct Choice {
        var kernel: Kernel
        /// Of the candidates, fastest first; empty where none was measured.
        var timings: [KernelTiming] = []
        /// The chosen kernel's weights where measuring packed them.
        var packed: PackedWeights?
    }

    /// - Parameters:
    ///   - kernels: those that can do the step, the table's choice last; not empty.
    ///   - inputBytes: of the step's first input; `outputBytes`: of its output.
    mutating func choose(
        _ step: LoweredStep, among kernels: [Kernel], preferred: Kernel, inputBytes: Int, outputBytes: Int,
        memoryLimit: Int?
    ) -> Choice {
        if case .variant(let variant) = selection {
            return Choice(kernel: kernels.last { $0.variant == variant } ?? preferred)
        }
        guard case .measured(_, let directory) = selection, let weights = step.weights else {
            return Choice(kernel: preferred)
        }
        let candidates = Self.worthMeasuring(kernels)
        guard candidates.count > 1, let key = Self.key(of: step, weights, candidates) else {
            return Choice(kernel: preferred)
        }
        if let known = KernelTimings.shared.timings(of: key, directory: directory),
            let best = known.min(by: { $0.microseconds < $1.microseconds }),
            let kernel = candidates.first(where: { $0.name == best.kernel })
        {
            return Choice(kernel: kernel, timings: known)
        }
        guard Model.now() < deadline else { return Choice(kernel: preferred) }
        func run(_ kernel: Kernel) -> KernelRun? {
            KernelRun(kernel, step, weights, inputBytes: inputBytes, outputBytes: outputBytes, memoryLimit: memoryLimit)
        }
        var timed: [(kernel: Kernel, seconds: Double)] = []
        var packed: [String: PackedWeights] = [:]
        // In turns, so that a disturbance meets all; large weights are packed for one kernel at a time, and not kept.
        let isLarge = weights.weights.byteCount > Self.largeBytes
        for group in isLarge ? candidates.map({ [$0] }) : [candidates] {
            let runs = group.compactMap(run)
            guard runs.count == group.count else { return Choice(kernel: preferred) }
            for _ in 0..<Self.rounds {
                for run in runs where Model.now() < deadline || run.best == .infinity { run.measure(Self.roundSeconds) }
            }
            for run in runs {
                timed.append((run.kernel, run.best))
                if !isLarge { packed[run.kernel.name] = run.packed }
            }
        }
        timed.sort { $0.seconds < $1.seconds }
        guard let fastest = timed.first?.kernel else { return Choice(kernel: preferred) }
        let timings = timed.map {
            KernelTiming(kernel: $0.kernel.name, microseconds: ($0.seconds * 1e9).rounded() / 1e3)
        }
        KernelTimings.shared.add(timings, for: key)
        hasNews = true
        return Choice(kernel: fastest, timings: timings, packed: packed[fastest.name])
    }

    /// How many threads the chosen kernel is split over: as many as were measured to be fastest, else as many as are likely to
    /// pay.
    mutating func threads(
        for step: LoweredStep, _ choice: Choice, units: Int, limit: Int, inputBytes: Int, outputBytes: Int,
        memoryLimit: Int?
    ) -> Int {
        let most = min(limit, units)
        let known = choice.timings.first { $0.kernel == choice.kernel.name }?.microseconds
        let alone = known ?? Self.estimatedMicroseconds(step)
        guard most > 1, alone >= Self.leastMicroseconds else { return 1 }
        let likely = max(1, min(most, Int(alone / Self.microsecondsPerThread)))
        guard case .measured(_, let directory) = selection, let weights = step.weights,
            let base = Self.key(of: step, weights, [choice.kernel])
        else { return likely }
        let key = "\(base) threads \(most)"
        if let best = KernelTimings.shared.timings(of: key, directory: directory)?.first,
            let count = Int(best.kernel), (1...most).contains(count)
        {
            return count
        }
        guard Model.now() < deadline,
            let run = KernelRun(
                choice.kernel, step, weights, inputBytes: inputBytes, outputBytes: outputBytes,
                memoryLimit: memoryLimit, threads: most)
        else { return likely }
        var timed: [KernelTiming] = []
        for count in Set([1, (most + 1) / 2, most]).sorted() {
            run.best = .infinity
            for _ in 0..<Self.rounds { run.measure(Self.roundSeconds, threads: count) }
            timed.append(KernelTiming(kernel: "\(count)", microseconds: (run.best * 1e9).rounded() / 1e3))
        }
        timed.sort { $0.microseconds < $1.microseconds }
        let fastest = timed.first.flatMap { Int($0.kernel) } ?? 1
        // Long steps lose by being split only where other programs took the CPUs meanwhile: that is not worth keeping.
        if fastest == 1, alone >= Self.surelyWorthSplitting { return likely }
        KernelTimings.shared.add(timed, for: key)
        hasNews = true
        return fastest
    }

    /// Steps shorter than this are over before another thread has heard of them.
    private static let leastMicroseconds = 3.0
    private static let microsecondsPerThread = 4.0
    private static let surelyWorthSplitting = 20.0

    /// At 200 GMAC/s, or 20 elements in a nanosecond: what an ordinary core does at best.
    private static func estimatedMicroseconds(_ step: LoweredStep) -> Double {
        step.macs > 0 ? Double(step.macs) / 1e5 : Double(step.cost) / 2e4
    }

    /// Keeps what was measured.
    func finish() {
        if hasNews, case .measured(_, let directory?) = selection { KernelTimings.shared.save(in: directory) }
    }

    /// Portable kernels are left out where others are, and of kernels for the same kind of weights all but the two that the
    /// table prefers: narrower instruction sets lose. AMX comes on top, for it pays in some layers only.
    private static func worthMeasuring(_ kernels: [Kernel]) -> [Kernel] {
        let vector = kernels.filter { $0.isa != OUNCE_ISA_SCALAR }
        let variants = (vector.isEmpty ? kernels : vector).map { ($0, $0.variant) }
        return variants.enumerated().filter { place, kernel in
            kernel.0.isa == OUNCE_ISA_AMX
                || variants[(place + 1)...].count { $0.1 == kernel.1 && $0.0.isa != OUNCE_ISA_AMX } < 2
        }.map(\.element.0)
    }

    /// Tells apart steps that may run at different speeds: geometry, candidates and, where a kernel depends on them, weights.
    private static func key(of step: LoweredStep, _ weights: StepWeights, _ kernels: [Kernel]) -> String? {
        guard case .kernel(let family) = step.work, family.hasConvolutionParameters else { return nil }
        let p = step.parameters.pointer.assumingMemoryBound(to: ounce_conv_params.self).pointee
        var key =
            "\(String(cString: ounce_family_name(family))) \(p.batch)x\(p.out_h)x\(p.out_w) \(p.in_c)>\(p.out_c)/\(p.groups) "
            + "k\(p.kernel_h)x\(p.kernel_w) s\(p.stride_h)x\(p.stride_w) d\(p.dilation_h)x\(p.dilation_w) "
            + "i\(p.in_image),\(p.in_row),\(p.in_pixel) o\(p.out_pixel)"
        if p.in_ternary != 0 { key += " ternary" }
        if kernels.contains(where: { !$0.variant.isEmpty }) {
            key += " w" + String(StableHash.of(weights.weights.bytes), radix: 16)
        }
        return key + " " + kernels.map(\.name).joined(separator: ",")
    }
}

extension Kernel {
    /// What follows the instruction set in its name: the kind of weights that it is for; empty for any.
    var variant: String {
        var rest = name.utf8[...]
        for _ in 0..<3 {
            guard let mark = rest.firstIndex(of: UInt8(ascii: "_")) else { return "" }
            rest = rest[rest.index(after: mark)...]
        }
        return String(decoding: rest, as: UTF8.self)
    }
}

extension ounce_family {
    fileprivate var hasConvolutionParameters: Bool {
        [OUNCE_CONV_F32, OUNCE_CONV_S8, OUNCE_CONV_S8F32, OUNCE_DWCONV_F32, OUNCE_DWCONV_S8].contains(self)
    }
}
