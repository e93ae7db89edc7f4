import COunceKernels
import OunceGraph

/// A grid that a value is rounded to in training, with a learned scale (LSQ, arXiv 1902.08153).
package struct FakeQuantizer: Sendable, Hashable {
    /// Places of the grid: `low...high` around `zeroPoint`.
    package var low: Float
    package var high: Float
    package var zeroPoint: Float
    /// One scale, or one for each index along `axis`.
    package var scales: [Float]
    package var axis: Int?
    package var learnsScale: Bool
    /// How many successive numbers along the last axis share a factor of their own to the scale; nil: there are none.
    package var group: Int?
    /// In the order of the groups.
    package var factors: [Float] = []

    package init(
        bits: Int, isSymmetric: Bool = true, zeroPoint: Float = 0, scales: [Float], axis: Int? = nil,
        learnsScale: Bool = true
    ) {
        let half = Float(1 << max(0, min(bits, 16) - 1))
        low = isSymmetric ? -half + 1 : -half
        high = half - 1
        self.zeroPoint = zeroPoint
        self.scales = scales
        self.axis = axis
        self.learnsScale = learnsScale
    }
}

/// Rounds to a grid; the gradient passes straight through where the number lies within it.
///
/// What is learned of a scale is its factor to what it was at first: a step of an optimiser whose steps do not follow the
/// size of gradients then means the same for fine grids and for coarse ones.
final class FakeQuantizationStep: TrainingStep {
    private let kernels: TrainingKernels
    private let quantizer: FakeQuantizer
    /// Of the scales to the quantiser's.
    private let scale: Slot
    private let (dx, dScale): (GradientTarget?, GradientTarget?)
    /// `[outer, channels, inner]`
    private let (outer, channels, inner): (Int, Int, Int)
    /// Of each part, the gradient of each channel's scale.
    private var slopes: TrainBuffer?
    private var parts = 1

    init(name: String, x: Slot, scale: Slot, output: Slot, quantizer: FakeQuantizer, kernels: TrainingKernels) {
        self.kernels = kernels
        self.quantizer = quantizer
        self.scale = scale
        (dx, dScale) = (GradientTarget(x), GradientTarget(scale))
        if let axis = quantizer.axis {
            outer = x.shape.dims[..<axis].reduce(1, *)
            channels = x.shape[axis]
            inner = x.shape.dims[(axis + 1)...].reduce(1, *)
        } else {
            (outer, channels, inner) = (1, 1, x.count)
        }
        super.init(name: name, inputs: [x, scale], output: output)
    }

    override var targets: [GradientTarget?] { [dx, dScale] }
    override var backwardBuffers: [TrainBuffer] { inputs.map(\.value) }

    /// A learned scale may not fall to zero.
    private func scale(_ channel: Int) -> Float {
        max(quantizer.scales[channel] * scale.x[channel], Float.leastNormalMagnitude)
    }

    /// Calls `body` with the places of numbers that share a step, as far as they lie in `own`: the channel, the step, the
    /// first and how many.
    private func forEachRun(_ own: Range<Int>, _ body: (Int, Float, Int, Int) -> Void) {
        let row = quantizer.group == nil ? inner : max(inputs[0].shape.dims.last ?? 1, 1)
        let length = max(quantizer.group ?? inner, 1)
        var next = 0
        for block in 0..<outer {
            for c in 0..<channels {
                let start = (block * channels + c) * inner
                let step = scale(c)
                for from in stride(from: start, to: start + inner, by: max(row, 1)) {
                    for place in stride(from: from, to: from + row, by: length) {
                        let factor = next < quantizer.factors.count ? quantizer.factors[next] : 1
                        next += 1
                        let run = (place..<min(place + length, from + row)).clamped(to: own)
                        if !run.isEmpty { body(c, step * factor, run.lowerBound, run.count) }
                    }
                }
            }
        }
    }

    override var splitsForward: Bool { true }
    override var splitsBackward: Bool { true }

    override func prepare(parts: Int) {
        self.parts = parts
        if dScale != nil { slopes = TrainBuffer(persistent: parts * channels * MemoryLayout<Double>.size) }
    }

    override func forward(part: Int, of parts: Int) {
        let q = quantizer
        forEachRun(range(inputs[0].count, part, parts)) { _, step, start, count in
            kernels.c.pointee.fake_quantise(
                inputs[0].x + start, step, q.zeroPoint, q.low, q.high, output.x + start, Int64(count))
        }
    }

    override func beginBackward() { slopes?.zero() }

    override func backward(phase: Int, part: Int, of parts: Int) {
        let q = quantizer
        let sums = slopes?.raw.assumingMemoryBound(to: Double.self)
        forEachRun(range(inputs[0].count, part, parts)) { c, step, start, count in
            let slope = kernels.c.pointee.fake_quantise_gradient(
                inputs[0].x + start, output.dx + start, step, q.zeroPoint, q.low, q.high,
                dx.map { $0.dx + start }, Int64(count), dx?.flag ?? 0)
            // `step` is a factor of the group times the scale.
            if let sums { sums[part * channels + c] += slope * Double(step / scale(c)) }
        }
    }

    override func endBackward() {
        guard let dScale, let sums = slopes?.raw.assumingMemoryBound(to: Double.self) else { return }
        // The gradient of a scale is brought to the size of those of the weights (section 2.2 of the paper), and that of its
        // factor to relative changes, of channels as they are on the average: one whose numbers are next to nothing must
        // not make the gradient's norm.
        let gain = 1 / (Double(max(outer * inner, 1)) * Double(max(quantizer.high, 1))).squareRoot()
        let mean = quantizer.scales.reduce(0.0) { $0 + Double($1) } / Double(max(channels, 1))
        dScale.zeroUnlessAccumulating()
        for c in 0..<channels {
            let slope = (0..<parts).reduce(0.0) { $0 + sums[$1 * channels + c] }
            dScale.dx[c] += Float(slope * gain * Double(quantizer.scales[c]) / (mean * mean))
        }
    }
}
