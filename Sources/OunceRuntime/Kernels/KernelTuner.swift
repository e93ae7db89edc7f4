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

    /// Keeps what was measured.
    func finish() {
        if hasNews, case .measured(_, let directory?) = selection { KernelTimings.shared.save(in: directory) }
    }

    /// Portable kernels are left out where others are, and of kernels for the same kind of weights all but the two that the
    /// table prefers: narrower instruction sets lose.
    private static func worthMeasuring(_ kernels: [Kernel]) -> [Kernel] {
        let vector = kernels.filter { $0.isa != OUNCE_ISA_SCALAR }
        var taken: [String: Int] = [:]
        var kept: [Kernel] = []
        for kernel in (vector.isEmpty ? kernels : vector).reversed() {
            taken[kernel.variant, default: 0] += 1
            if taken[kernel.variant, default: 0] <= 2 { kept.insert(kernel, at: 0) }
        }
        return kept
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

/// A candidate with memory to run in.
private final class KernelRun {
    let kernel: Kernel
    let packed: PackedWeights
    private(set) var best = Double.infinity
    private let step: LoweredStep
    private let input: PackedWeights
    private let output: PackedWeights
    private let scratch: PackedWeights
    private let units: Int64

    /// Fails where the memory that the profile allows does not suffice.
    init?(
        _ kernel: Kernel, _ step: LoweredStep, _ weights: StepWeights, inputBytes: Int, outputBytes: Int,
        memoryLimit: Int?
    ) {
        let entry = kernel.entry.pointee
        let params = step.parameters.pointer
        guard let bytes = PackedWeights.byteCount(of: weights, kernel, parameters: params), entry.pack != nil,
            let units = entry.units
        else { return nil }
        let scratchBytes = Int(clamping: entry.scratch_size.map { $0(params) } ?? 0)
        let (total, overflow) = [bytes, scratchBytes, inputBytes, outputBytes].reduce((0, false)) {
            let (sum, overflow) = $0.0.addingReportingOverflow($1)
            return (sum, overflow || $0.1)
        }
        guard !overflow, total <= memoryLimit ?? .max else { return nil }
        self.kernel = kernel
        self.step = step
        self.units = units(params)
        packed = PackedWeights(byteCount: bytes)
        input = PackedWeights(byteCount: inputBytes)
        output = PackedWeights(byteCount: outputBytes)
        scratch = PackedWeights(byteCount: scratchBytes)
        packed.fill(from: weights, kernel, parameters: params)
        // Ordinary numbers of either type, the same for every candidate: 0.5 as float, else 1 and -1.
        let isFloat = entry.family == OUNCE_CONV_F32 || entry.family == OUNCE_DWCONV_F32
        for index in input.bytes.indices {
            input.bytes[index] = isFloat ? [0, 0, 0, 0x3F][index % 4] : index % 3 == 0 ? 1 : 0xFF
        }
    }

    func measure(_ seconds: Double) {
        guard let run = kernel.entry.pointee.run else { return }
        var call = ounce_call()
        call.params = UnsafeRawPointer(step.parameters.pointer)
        call.packed = UnsafeRawPointer(packed.bytes.baseAddress)
        call.in.0 = UnsafeRawPointer(input.bytes.baseAddress)
        call.out = output.bytes.baseAddress
        call.scratch = scratch.bytes.baseAddress
        if best == .infinity { run(&call, 0, units) }
        let begin = Model.now()
        var last = begin
        repeat {
            run(&call, 0, units)
            let now = Model.now()
            best = min(best, now - last)
            last = now
        } while last - begin < seconds
    }
}

extension Kernel {
    /// What follows the instruction set in its name: the kind of weights that it is for; empty for any.
    var variant: String {
        name.split(separator: "_").dropFirst(3).joined(separator: "_")
    }
}

extension ounce_family {
    fileprivate var hasConvolutionParameters: Bool {
        [OUNCE_CONV_F32, OUNCE_CONV_S8, OUNCE_CONV_S8F32, OUNCE_DWCONV_F32, OUNCE_DWCONV_S8].contains(self)
    }
}
