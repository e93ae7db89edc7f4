import COunceKernels
import OunceGraph

/// Batch normalisation over the last axis: with the statistics of the batch (and running ones kept beside), or with the
/// given ones as constants.
///
/// Source: arXiv 1502.03167; the gradient is that of its section 3.
final class BatchNormalizationStep: TrainingStep {
    enum Mode: Sendable, Hashable {
        /// By the statistics of the batch; the running ones move by `momentum` of the way to them.
        case training(momentum: Float)
        case frozen
    }
    private let kernels: TrainingKernels
    private let mode: Mode
    private let epsilon: Float
    private let (scale, bias, mean, variance): (Slot, Slot, Slot, Slot)
    private let (dx, dScale, dBias): (GradientTarget?, GradientTarget?, GradientTarget?)
    private let (rows, channels): (Int, Int)
    /// Rows of `channels` floats: mean, variance, factor, shift, and three for the gradient.
    private let work: TrainBuffer

    init(
        name: String, x: Slot, scale: Slot, bias: Slot, mean: Slot, variance: Slot, epsilon: Float, mode: Mode,
        output: Slot, kernels: TrainingKernels
    ) {
        self.kernels = kernels
        self.mode = mode
        self.epsilon = epsilon
        (self.scale, self.bias, self.mean, self.variance) = (scale, bias, mean, variance)
        (dx, dScale, dBias) = (GradientTarget(x), GradientTarget(scale), GradientTarget(bias))
        channels = x.shape.dims.last ?? 1
        rows = x.count / max(channels, 1)
        work = TrainBuffer(persistent: 7 * channels * 4)
        super.init(name: name, inputs: [x, scale, bias, mean, variance], output: output)
    }

    override var targets: [GradientTarget?] { [dx, dScale, dBias] }
    override var backwardBuffers: [TrainBuffer] { inputs.map(\.value) }

    private func row(_ index: Int) -> UnsafeMutablePointer<Float> { work.floats + index * channels }

    override func forward(part: Int, of parts: Int) {
        let (means, variances) = (row(0), row(1))
        switch mode {
        case .frozen:
            means.update(from: mean.x, count: channels)
            variances.update(from: variance.x, count: channels)
        case .training(let momentum):
            kernels.c.pointee.moments(inputs[0].x, Int64(rows), Int64(channels), means, variances)
            let unbiased = Float(rows) / Float(max(rows - 1, 1))
            for c in 0..<channels {
                mean.x[c] += momentum * (means[c] - mean.x[c])
                variance.x[c] += momentum * (variances[c] * unbiased - variance.x[c])
            }
        }
        for c in 0..<channels {
            row(2)[c] = scale.x[c] / (variances[c] + epsilon).squareRoot()
            row(3)[c] = bias.x[c] - means[c] * row(2)[c]
        }
        kernels.c.pointee.affine(inputs[0].x, row(2), row(3), output.x, Int64(rows), Int64(channels))
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        let (sum, dot, factors) = (row(4), row(5), row(6))
        for c in 0..<channels { (sum[c], dot[c]) = (0, 0) }
        kernels.c.pointee.gradient_sums(inputs[0].x, output.dx, Int64(rows), Int64(channels), sum, dot)
        for c in 0..<channels {
            let inverse = 1 / (row(1)[c] + epsilon).squareRoot()
            // sum of dy * normalised x
            let normalised = (dot[c] - row(0)[c] * sum[c]) * inverse
            dScale.map { $0.dx[c] = ($0.accumulates ? $0.dx[c] : 0) + normalised }
            dBias.map { $0.dx[c] = ($0.accumulates ? $0.dx[c] : 0) + sum[c] }
            guard case .training = mode else {
                (factors[c], sum[c]) = (0, 0)
                continue
            }
            // dx = factor * (dy - mean(dy) - normalised x * mean(dy * normalised x)), as dy * a + x * b + shift
            let count = Float(rows)
            factors[c] = -row(2)[c] * inverse * normalised / count
            sum[c] = -row(2)[c] * sum[c] / count - factors[c] * row(0)[c]
        }
        guard let dx else { return }
        kernels.c.pointee.affine_gradient(
            inputs[0].x, output.dx, row(2), factors, sum, dx.dx, Int64(rows), Int64(channels), dx.flag)
    }
}
