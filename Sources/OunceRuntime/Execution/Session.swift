import COunceKernels
import Glibc
import OunceGraph

/// One arena and the calls that work in it: runs one inference at a time.
///
/// Everything is laid out when it is made; a run neither allocates nor counts references.
final class Session: @unchecked Sendable {
    let plan: Plan

    private typealias Slots = (
        UnsafeRawPointer?, UnsafeRawPointer?, UnsafeRawPointer?, UnsafeRawPointer?, UnsafeRawPointer?,
        UnsafeRawPointer?, UnsafeRawPointer?, UnsafeRawPointer?
    )

    private let arena: UnsafeMutableRawBufferPointer
    private let records: UnsafeMutableBufferPointer<StepCall>

    init(plan: Plan) {
        self.plan = plan
        arena = .allocate(byteCount: Self.byteCount(of: plan), alignment: 64)
        arena.initializeMemory(as: UInt8.self, repeating: 0)
        let base = arena.baseAddress.unsafelyUnwrapped
        func address(_ operand: Operand) -> UnsafeRawPointer? {
            switch operand {
            case .buffer(let index, let offset): UnsafeRawPointer(base + plan.buffers[index].offset + offset)
            case .constant(let tensor): tensor.storage.paddedBytes.baseAddress
            }
        }
        let scratchBase = base + (plan.arenaBytes + 63) / 64 * 64
        records = .allocate(capacity: plan.steps.count)
        for (index, step) in plan.steps.enumerated() {
            let call = ounce_call(
                params: step.parameters.pointer,
                packed: step.packed.map { UnsafeRawPointer($0.bytes.baseAddress) } ?? nil,
                in: Self.slots(step.inputs.map { $0.flatMap(address) }),
                out: base + plan.buffers[step.output].offset + step.outputOffset, scratch: scratchBase)
            records.initializeElement(
                at: index,
                to: StepCall(
                    run: step.run, call: call, units: Int64(step.units), threads: 1, scratchBytes: plan.scratchBytes))
        }
        split(over: plan.steps.map(\.threads))
    }

    /// The places for inputs in a call; what is not given is nil.
    private static func slots(_ addresses: [UnsafeRawPointer?]) -> Slots {
        func slot(_ index: Int) -> UnsafeRawPointer? { index < addresses.count ? addresses[index] : nil }
        return (slot(0), slot(1), slot(2), slot(3), slot(4), slot(5), slot(6), slot(7))
    }

    deinit {
        records.deinitialize().deallocate()
        arena.deallocate()
    }

    var byteCount: Int { arena.count }

    /// Bytes that a session of this plan takes.
    static func byteCount(of plan: Plan) -> Int {
        plan.arenaBytes + plan.scratchBytes * plan.threads + 2 * TensorStorage.slack
    }

    /// The bytes of an input or output in the arena.
    func bytes(of buffer: Int) -> UnsafeMutableRawBufferPointer {
        let planned = plan.buffers[buffer]
        return UnsafeMutableRawBufferPointer(rebasing: arena[planned.offset..<(planned.offset + planned.byteCount)])
    }

    // MARK: States

    /// Copies the states, one behind another, to where the steps read them.
    func loadStates(from bytes: UnsafeRawBufferPointer) {
        var offset = 0
        for buffer in plan.stateInputBuffers {
            let target = self.bytes(of: buffer)
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + target.count)]))
            offset += target.count
        }
    }

    /// Copies the states that a run has ended in.
    func storeStates(to bytes: UnsafeMutableRawBufferPointer) {
        var offset = 0
        for buffer in plan.stateOutputBuffers {
            let source = UnsafeRawBufferPointer(self.bytes(of: buffer))
            UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<(offset + source.count)]).copyMemory(from: source)
            offset += source.count
        }
    }

    /// Puts the states in place that a stream starts from.
    func resetStates(_ initial: [Tensor]) {
        for (tensor, buffer) in zip(initial, plan.stateInputBuffers) {
            bytes(of: buffer).copyMemory(from: tensor.bytes)
        }
    }

    // MARK: Running

    /// Splits the steps over so many threads each, at most those of the plan.
    func split(over threads: [Int]) {
        for (index, count) in threads.enumerated() where index < records.count {
            let count = min(count, plan.threads)
            records[index].threads = Int32(clamping: count)
            let share = plan.steps[index].microseconds / Double(count)
            records[index].partsPerThread = share >= StepCall.longShareMicroseconds ? 2 : 1
        }
    }

    /// The shape of an output after a run.
    func shape(ofOutput index: Int) -> Shape {
        var shape = plan.outputTypes[index].shape
        guard let cut = plan.outputCuts[index] else { return shape }
        let count: Int64 =
            switch cut.count {
            case .buffer(let buffer, _): bytes(of: buffer).loadUnaligned(as: Int64.self)
            case .constant(let tensor): tensor.bytes.loadUnaligned(as: Int64.self)
            }
        shape[cut.axis] = Int(min(max(count, 0), Int64(shape[cut.axis])))
        return shape
    }

    /// Runs every step.
    func run() {
        for index in 0..<records.count { run(step: index) }
    }

    /// Runs one step; the steps before it must have run.
    func run(step index: Int) {
        StepCall.perform(records.baseAddress.unsafelyUnwrapped + index)
    }
}
