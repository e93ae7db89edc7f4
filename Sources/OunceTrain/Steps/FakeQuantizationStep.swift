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
final class FakeQuantizationStep: TrainingStep {
    private let kernels: TrainingKernels
    private let quantizer: FakeQuantizer
    private let scale: Slot
    private let (dx, dScale): (GradientTarget?, GradientTarget?)
    /// `[outer, channels, inner]`
    private let (outer, channels, inner): (Int, Int, Int)

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
    private func scale(_ channel: Int) -> Float { max(scale.x[channel], 1e-12) }

    override func forward(part: Int, of parts: Int) {
        let q = quantizer
        for block in 0..<outer {
            for c in 0..<channels {
                let start = (block * channels + c) * inner
                kernels.c.pointee.fake_quantise(
                    inputs[0].x + start, scale(c), q.zeroPoint, q.low, q.high, output.x + start, Int64(inner))
            }
        }
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        let q = quantizer
        // The gradient of a scale is brought to the size of those of the weights (section 2.2 of the paper).
        let gain = 1 / (Double(max(outer * inner, 1)) * Double(max(q.high, 1))).squareRoot()
        if let dScale { dScale.zeroUnlessAccumulating() }
        for block in 0..<outer {
            for c in 0..<channels {
                let start = (block * channels + c) * inner
                let slope = kernels.c.pointee.fake_quantise_gradient(
                    inputs[0].x + start, output.dx + start, scale(c), q.zeroPoint, q.low, q.high,
                    dx.map { $0.dx + start }, Int64(inner), dx?.flag ?? 0)
                if let dScale { dScale.dx[c] += Float(slope * gain) }
            }
        }
    }
}
