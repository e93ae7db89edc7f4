import Glibc
import OunceGraph

/// Latency over repeated runs, in milliseconds.
package struct LatencyStatistics: Codable, Sendable, Hashable {
    package var medianMilliseconds: Double
    package var p10Milliseconds: Double
    package var p90Milliseconds: Double
    package var p99Milliseconds: Double
    package var runs: Int
    package var threads: Int

    /// - Parameter samples: milliseconds; at least one.
    package init(samples: [Double], threads: Int) {
        let sorted = samples.sorted()
        func percentile(_ share: Double) -> Double {
            sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(share * Double(sorted.count - 1) + 0.5))]
        }
        medianMilliseconds = percentile(0.5)
        p10Milliseconds = percentile(0.1)
        p90Milliseconds = percentile(0.9)
        p99Milliseconds = percentile(0.99)
        runs = samples.count
        self.threads = threads
    }
}

/// What one step of a plan takes.
package struct StepTiming: Sendable {
    /// The node in the user's framework.
    package var node: String
    package var kernel: String
    package var threads: Int
    package var macs: Int
    /// What it reads and writes at least once: inputs, packed weights and the output.
    package var bytes: Int
    /// The least time that the machine could need for these multiply-accumulates or these bytes, whichever is more; nil for
    /// instructions whose speed is not known.
    package var limitMilliseconds: Double?
    package var medianMilliseconds: Double
    /// What the candidate kernels took when this one was chosen, fastest first; empty where the table's order decided.
    package var candidates: [KernelTiming] = []
}

extension Model {
    /// Seconds on a clock that never jumps.
    package static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Latency over repeated runs, after a short warm-up.
    ///
    /// - Parameters:
    ///   - inputs: in the order of the model's inputs; nil: whatever lies there, extents of 1 for unknown ones.
    ///   - seconds: how long; at least three runs.
    package func measureLatency(
        inputs: [Tensor]? = nil, seconds: Double
    ) throws(RuntimeError) -> LatencyStatistics {
        let samples = try timeRuns(inputs: inputs, warmUp: seconds / 5, seconds: seconds, runs: 3...1_000_000)
        return LatencyStatistics(samples: samples.map { $0 * 1e3 }, threads: threads)
    }

    /// Runs the model again and again, the inputs in place, and times each run. States go on from run to run.
    ///
    /// - Parameters:
    ///   - inputs: in the order of the model's inputs; nil: whatever lies there, extents of 1 for unknown ones.
    ///   - warmUp: seconds of runs that are not timed, one run or more.
    ///   - seconds: how long, within the number of `runs`.
    /// - Returns: seconds of each run.
    package func timeRuns(
        inputs given: [Tensor]? = nil, warmUp: Double = 0, seconds: Double, runs: ClosedRange<Int>
    ) throws(RuntimeError) -> [Double] {
        let stream = states.isEmpty ? nil : try makeStream()
        func run(_ session: Session) {
            if let stream { stream.run(session) } else { session.run() }
        }
        return try withInputs(given) { session in
            let start = Self.now()
            repeat { run(session) } while Self.now() - start < warmUp
            var samples: [Double] = []
            let begin = Self.now()
            var last = begin
            while samples.count < runs.lowerBound || (last - begin < seconds && samples.count < runs.upperBound) {
                run(session)
                let now = Self.now()
                samples.append(now - last)
                last = now
            }
            return samples
        }
    }

    /// Times each step on its own; the sum is a little over the time of a whole run.
    package func measureSteps(inputs given: [Tensor]? = nil, seconds: Double) throws(RuntimeError) -> [StepTiming] {
        try withInputs(given) { session in
            var samples = [[Double]](repeating: [], count: session.plan.steps.count)
            session.resetStates(initialStates)
            session.run()
            let begin = Self.now()
            repeat {
                var last = Self.now()
                for index in samples.indices {
                    session.run(step: index)
                    let now = Self.now()
                    samples[index].append((now - last) * 1e3)
                    last = now
                }
            } while Self.now() - begin < seconds
            let bandwidth = MachineLimits.readGigabytesPerSecond(of: memoryBytes)
            return zip(session.plan.steps, samples).map { step, samples in
                let bytes = session.plan.bytesMoved(by: step)
                return StepTiming(
                    node: step.node, kernel: step.kernelName, threads: step.threads, macs: step.macs, bytes: bytes,
                    limitMilliseconds: step.leastMilliseconds(bytes: bytes, gigabytesPerSecond: bandwidth),
                    medianMilliseconds: LatencyStatistics(samples: samples, threads: step.threads).medianMilliseconds,
                    candidates: step.timings)
            }
        }
    }

    /// The kernel of each step, for inputs with extents of 1 where they are unknown.
    package var kernelNames: [String] {
        (try? withSession(shapes: nil) { session in session.plan.steps.map(\.kernelName) }) ?? []
    }

    /// Billions of operations a second of one core with the best instructions that this model may use.
    package func peakGops(isFloat: Bool) -> Double? {
        isas.sets.compactMap { MachineLimits.gops($0, isFloat: isFloat) }.max()
    }

    /// Runs `body` with a session that holds the inputs; what it held before where they are nil.
    private func withInputs<R>(_ given: [Tensor]?, _ body: (Session) -> R) throws(RuntimeError) -> R {
        let shapes = try given.map { tensors throws(RuntimeError) in try check(tensors) }
        return try withSession(shapes: shapes) { session in
            for (tensor, buffer) in zip(given ?? [], session.plan.inputBuffers) {
                session.bytes(of: buffer).copyMemory(from: tensor.bytes)
            }
            return body(session)
        }
    }
}

extension PlannedStep {
    /// With all the threads that the step is split over.
    fileprivate func leastMilliseconds(bytes: Int, gigabytesPerSecond: Double) -> Double? {
        let moving = Double(bytes) / (gigabytesPerSecond * Double(threads)) / 1e6
        guard macs > 0 else { return moving }
        guard let isa, let gops = MachineLimits.gops(isa, isFloat: isFloat) else { return nil }
        return max(moving, Double(2 * macs) / (gops * Double(threads)) / 1e6)
    }
}
