import COunceKernels

/// One step with the addresses it works on.
struct StepCall: @unchecked Sendable {
    var run: GenericStep
    var call: ounce_call
    var units: Int64
    /// Threads that it is split over.
    var threads: Int32
    /// Parts for each thread. With more than one, the others do most of the share of a thread that the system puts aside; a short
    /// step is over sooner with one.
    var partsPerThread: Int64 = 1
    /// Scratch of each thread, one behind another.
    var scratchBytes: Int

    /// From here on a thread's share is more than one part.
    static let longShareMicroseconds = 20.0

    static func perform(_ step: UnsafeMutablePointer<StepCall>) {
        if step.pointee.threads == 1 {
            withUnsafePointer(to: step.pointee.call) { step.pointee.run($0, 0, step.pointee.units) }
        } else {
            ThreadPool.shared.run(
                parts: Int32(clamping: step.pointee.parts), threads: Int(step.pointee.threads), context: step, part)
        }
    }

    private var parts: Int64 { min(units, Int64(threads) * partsPerThread) }

    private static let part: ThreadPool.Body = { context, part, thread in
        let step = context.assumingMemoryBound(to: StepCall.self).pointee
        var call = step.call
        call.scratch = call.scratch.map { $0 + Int(thread) * step.scratchBytes }
        step.run(&call, step.units * Int64(part) / step.parts, step.units * Int64(part + 1) / step.parts)
    }
}
