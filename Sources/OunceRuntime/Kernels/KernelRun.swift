import COunceKernels
import OunceGraph

/// A candidate with memory to run in.
final class KernelRun {
    let kernel: Kernel
    let packed: PackedWeights
    var best = Double.infinity
    private let step: LoweredStep
    private let input: PackedWeights
    private let output: PackedWeights
    private let residual: PackedWeights?
    private let scratch: PackedWeights
    private let call: UnsafeMutablePointer<StepCall>

    /// Fails where the memory that the profile allows does not suffice.
    init?(
        _ kernel: Kernel, _ step: LoweredStep, _ weights: StepWeights, inputBytes: Int, outputBytes: Int,
        memoryLimit: Int?
    ) {
        let entry = kernel.entry.pointee
        let params = step.parameters.pointer
        guard let bytes = PackedWeights.byteCount(of: weights, kernel, parameters: params), entry.pack != nil,
            let units = entry.units, let run = entry.run
        else { return nil }
        let scratchBytes = Int(clamping: entry.scratch_size.map { $0(params) } ?? 0)
        let residualBytes = step.inputs.count > 1 ? outputBytes : 0
        let (total, overflow) = [bytes, scratchBytes, inputBytes, outputBytes, residualBytes].reduce((0, false)) {
            let (sum, overflow) = $0.0.addingReportingOverflow($1)
            return (sum, overflow || $0.1)
        }
        guard !overflow, total <= memoryLimit ?? .max else { return nil }
        self.kernel = kernel
        self.step = step
        packed = PackedWeights(byteCount: bytes)
        input = PackedWeights(byteCount: inputBytes)
        output = PackedWeights(byteCount: outputBytes)
        scratch = PackedWeights(byteCount: scratchBytes)
        residual = step.inputs.count > 1 ? PackedWeights(byteCount: residualBytes) : nil
        packed.fill(from: weights, kernel, parameters: params)
        // Ordinary numbers of either type, the same for every candidate: 0.5 as float, else 1 and -1.
        let isFloat = entry.family == OUNCE_CONV_F32 || entry.family == OUNCE_DWCONV_F32
        if isFloat {
            input.bytes.bindMemory(to: Float.self).update(repeating: 0.5)
        } else {
            for index in input.bytes.indices { input.bytes[index] = index % 3 == 0 ? 1 : 0xFF }
        }
        var arguments = ounce_call()
        arguments.params = UnsafeRawPointer(params)
        arguments.packed = UnsafeRawPointer(packed.bytes.baseAddress)
        arguments.in.0 = UnsafeRawPointer(input.bytes.baseAddress)
        arguments.in.1 = UnsafeRawPointer(residual?.bytes.baseAddress)
        arguments.out = output.bytes.baseAddress
        arguments.scratch = scratch.bytes.baseAddress
        call = .allocate(capacity: 1)
        call.initialize(
            to: StepCall(run: run, call: arguments, units: units(params), threads: 1, scratchBytes: scratchBytes))
    }

    deinit { call.deallocate() }

    /// Runs for `seconds`, once at least, and keeps the best time.
    func measure(_ seconds: Double) {
        if best == .infinity { StepCall.perform(call) }
        let begin = Model.now()
        var last = begin
        repeat {
            StepCall.perform(call)
            let now = Model.now()
            best = min(best, now - last)
            last = now
        } while last - begin < seconds
    }
}
