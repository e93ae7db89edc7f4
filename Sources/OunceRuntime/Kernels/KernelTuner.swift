import COunceKernels
import OunceGraph

/// Chooses the kernels of one plan.
struct KernelTuner {
    private let selection: KernelSelection
    private let deadline: Double
    private var hasNews = false
    /// Bytes by which kernels may still make weights larger than the table's choice would.
    private(set) var spareBytes: Int

    /// Each candidate runs for at least this long in each of the rounds, and at least once.
    private static let roundSeconds = 30e-6
    private static let rounds = 4
    /// What takes this many times as long as another is not run again.
    private static let hopeless = 1.4
    private static let largeBytes = 1 << 20

    init(_ selection: KernelSelection, spareBytes: Int) {
        self.selection = selection
        self.spareBytes = spareBytes
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
        let affordable = kernels.filter { Self.extraBytes(of: $0, beside: preferred, step) <= spareBytes }
        let choice = chosen(
            step, among: affordable, preferred: preferred, inputBytes: inputBytes, outputBytes: outputBytes,
            memoryLimit: memoryLimit)
        spareBytes -= Self.extraBytes(of: choice.kernel, beside: preferred, step)
        return choice
    }

    /// By how much Winograd's convolution makes the weights larger.
    private static func extraBytes(of kernel: Kernel, beside preferred: Kernel, _ step: LoweredStep) -> Int {
        guard kernel.variant == Kernel.winograd, let weights = step.weights else { return 0 }
        let parameters = UnsafeRawPointer(step.parameters.pointer)
        func bytes(_ kernel: Kernel) -> Int {
            PackedWeights.byteCount(of: weights, kernel, parameters: parameters) ?? 0
        }
        return max(bytes(kernel) - bytes(preferred), 0)
    }

    private mutating func chosen(
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
        for group in isLarge ? candidates.reversed().map({ [$0] }) : [candidates.reversed()] {
            let runs = group.compactMap(run)
            guard runs.count == group.count else { return Choice(kernel: preferred) }
            for _ in 0..<Self.rounds {
                let best = min(timed.map(\.seconds).min() ?? .infinity, runs.map(\.best).min() ?? .infinity)
                for run in runs
                where run.best == .infinity || (Model.now() < deadline && run.best <= best * Self.hopeless) {
                    run.measure(Self.roundSeconds)
                }
            }
            for run in runs {
                timed.append((run.kernel, run.best))
                if !isLarge { packed[run.kernel.name] = run.packed }
            }
        }
        confirm(&timed, preferred: preferred, run)
        timed.sort { $0.seconds < $1.seconds }
        guard let fastest = timed.first?.kernel else { return Choice(kernel: preferred) }
        let timings = timed.map {
            KernelTiming(kernel: $0.kernel.name, microseconds: ($0.seconds * 1e9).rounded() / 1e3)
        }
        KernelTimings.shared.add(timings, for: key)
        hasNews = true
        return Choice(kernel: fastest, timings: timings, packed: packed[fastest.name])
    }

    /// A kernel that the table does not prefer must win twice: other programs may have disturbed the one that it does.
    private func confirm(
        _ timed: inout [(kernel: Kernel, seconds: Double)], preferred: Kernel, _ run: (Kernel) -> KernelRun?
    ) {
        guard let fastest = timed.min(by: { $0.seconds < $1.seconds })?.kernel, fastest.name != preferred.name else {
            return
        }
        for index in timed.indices where [fastest.name, preferred.name].contains(timed[index].kernel.name) {
            guard let again = run(timed[index].kernel) else { return }
            for _ in 0..<Self.rounds where Model.now() < deadline { again.measure(Self.roundSeconds) }
            timed[index].seconds = min(timed[index].seconds, again.best)
        }
    }

    /// At 200 GMAC/s, or 20 elements in a nanosecond: what an ordinary core does at best.
    static func estimatedMicroseconds(_ step: LoweredStep) -> Double {
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
        if p.has_residual != 0 { key += " residual" }
        if kernels.contains(where: { !$0.variant.isEmpty && $0.variant != Kernel.winograd }) {
            key += " w" + String(StableHash.of(weights.weights.bytes), radix: 16)
        }
        for kernel in kernels { key += " " + kernel.name }
        return key
    }
}

extension Kernel {
    /// The variant for which weights matter only in whether it can do a step.
    static let winograd = "winograd"

    /// What follows the instruction set in its name: the kind of weights that it is for, or its way; empty for any.
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
