import COunceKernels
import OunceRuntime

/// One operator of a training program, forward and backward. Subclasses hold everything they need: a pass allocates nothing.
///
/// A pass is cut into `parts` (the number of threads), always in the same way, and sums over parts are added in order of
/// the parts: the same thread count gives the same bits.
class TrainingStep {
    let name: String
    let inputs: [Slot]
    let output: Slot
    /// Whether forward and backward may be cut into parts.
    var splitsForward: Bool { false }
    var splitsBackward: Bool { false }
    /// Parts of one phase of the backward pass are all done before those of the next begin.
    var backwardPhases: Int { 1 }
    /// Buffers that backward reads or writes besides the gradients.
    var backwardBuffers: [TrainBuffer] { inputs.map(\.value) + [output.value] }
    var targets: [GradientTarget?] { [] }
    /// No gradient arrives at the output, or none is wanted.
    var skipsBackward = false

    init(name: String, inputs: [Slot], output: Slot) {
        self.name = name
        self.inputs = inputs
        self.output = output
    }

    /// Called once, when the parts are known and every buffer has its place.
    func prepare(parts: Int) {}
    /// On one thread, before the parts of forward.
    func beginForward() {}
    func forward(part: Int, of parts: Int) {}
    /// On one thread, before the parts of backward.
    func beginBackward() {}
    func backward(phase: Int, part: Int, of parts: Int) {}
    /// On one thread, after the parts of backward.
    func endBackward() {}

    /// The share of `count` units that a part does.
    @inline(__always)
    final func range(_ count: Int, _ part: Int, _ parts: Int) -> Range<Int> {
        count * part / parts..<count * (part + 1) / parts
    }
}

/// Runs the parts of steps on the process's threads.
struct PartRunner {
    let parts: Int

    private struct Call {
        unowned(unsafe) var step: TrainingStep
        var phase: Int
        var parts: Int
    }

    func forward(_ step: TrainingStep) {
        step.beginForward()
        guard step.splitsForward, parts > 1 else { return step.forward(part: 0, of: 1) }
        run(Call(step: step, phase: 0, parts: parts)) { context, part, _ in
            let call = context.assumingMemoryBound(to: Call.self)
            call.pointee.step.forward(part: Int(part), of: call.pointee.parts)
        }
    }

    func backward(_ step: TrainingStep) {
        guard !step.skipsBackward else { return }
        step.beginBackward()
        for phase in 0..<step.backwardPhases {
            guard step.splitsBackward, parts > 1 else {
                step.backward(phase: phase, part: 0, of: 1)
                continue
            }
            run(Call(step: step, phase: phase, parts: parts)) { context, part, _ in
                let call = context.assumingMemoryBound(to: Call.self)
                call.pointee.step.backward(phase: call.pointee.phase, part: Int(part), of: call.pointee.parts)
            }
        }
        step.endBackward()
    }

    private func run(_ call: Call, _ body: ThreadPool.Body) {
        withUnsafePointer(to: call) {
            ThreadPool.shared.run(parts: Int32(parts), threads: parts, context: UnsafeRawPointer($0), body)
        }
    }
}
