import OunceGraph

/// The sign of each number, with an estimator's gradient. Channels are the last axis.
final class SignStep: TrainingStep {
    private let estimator: SignEstimator
    private let dx: GradientTarget?

    init(name: String, x: Slot, output: Slot, estimator: SignEstimator) {
        self.estimator = estimator
        dx = GradientTarget(x)
        super.init(name: name, inputs: [x], output: output)
    }

    override var splitsForward: Bool { true }
    override var splitsBackward: Bool { true }
    override var targets: [GradientTarget?] { [dx] }
    override var backwardBuffers: [TrainBuffer] { inputs.map(\.value) }

    override func forward(part: Int, of parts: Int) {
        let (x, y) = (inputs[0].x, output.x)
        for index in range(output.count, part, parts) { y[index] = x[index] > 0 ? 1 : x[index] < 0 ? -1 : 0 }
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        guard let dx else { return }
        let (x, dy, to) = (inputs[0].x, output.dx, dx.dx)
        let channels = max(estimator.widths.count, 1)
        let rows = range(output.count / channels, part, parts)
        for row in rows {
            for channel in 0..<channels {
                let index = row * channels + channel
                let gradient = dy[index] * estimator.slope(x[index], width: estimator.width(channel))
                to[index] = dx.accumulates ? to[index] + gradient : gradient
            }
        }
    }
}

/// `size · sign(weight)` for each output channel; 0 counts as positive.
final class BinaryWeightStep: TrainingStep {
    private let quantizer: BinaryQuantizer
    private let factor: Slot
    private let (dx, dFactor): (GradientTarget?, GradientTarget?)
    private let inner: Int

    /// - Parameter factor: of each size.
    init(name: String, x: Slot, factor: Slot, output: Slot, quantizer: BinaryQuantizer) {
        self.quantizer = quantizer
        self.factor = factor
        (dx, dFactor) = (GradientTarget(x), GradientTarget(factor))
        inner = x.count / max(quantizer.sizes.count, 1)
        super.init(name: name, inputs: [x, factor], output: output)
    }

    override var targets: [GradientTarget?] { [dx, dFactor] }
    override var backwardBuffers: [TrainBuffer] { inputs.map(\.value) }

    override func forward(part: Int, of parts: Int) {
        for (channel, base) in quantizer.sizes.enumerated() {
            let size = base * factor.x[channel]
            let (from, to) = (inputs[0].x + channel * inner, output.x + channel * inner)
            for index in 0..<inner { to[index] = from[index] < 0 ? -size : size }
        }
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        // As for learned scales of grids: brought to the size of the weights' gradients (arXiv 1902.08153, section 2.2).
        let gain = 1 / Float(max(inner, 1)).squareRoot()
        if let dFactor { dFactor.zeroUnlessAccumulating() }
        for (channel, base) in quantizer.sizes.enumerated() {
            let width = quantizer.estimator.width(channel)
            let size = base * factor.x[channel]
            let (x, dy) = (inputs[0].x + channel * inner, output.dx + channel * inner)
            var sum: Float = 0
            for index in 0..<inner { sum += x[index] < 0 ? -dy[index] : dy[index] }
            if let dFactor { dFactor.dx[channel] += sum * base * gain }
            guard let dx else { continue }
            let to = dx.dx + channel * inner
            for index in 0..<inner {
                let gradient = dy[index] * size * quantizer.estimator.slope(x[index], width: width)
                to[index] = dx.accumulates ? to[index] + gradient : gradient
            }
        }
    }
}
