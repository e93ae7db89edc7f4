import OunceGraph

/// Layer normalisation over the last axes, with a scale and a bias where given.
///
/// Source: arXiv 1607.06450; the gradient follows as for batch normalisation, row by row.
final class LayerNormalizationStep: TrainingStep {
    private let epsilon: Float
    private let (scale, bias): (Slot?, Slot?)
    private let (dx, dScale, dBias): (GradientTarget?, GradientTarget?, GradientTarget?)
    private let (rows, columns): (Int, Int)
    /// The mean and the inverse deviation of each row.
    private let moments: TrainBuffer

    init(name: String, x: Slot, scale: Slot?, bias: Slot?, axes: Int, epsilon: Float, output: Slot) {
        self.epsilon = epsilon
        (self.scale, self.bias) = (scale, bias)
        (dx, dScale, dBias) = (
            GradientTarget(x), scale.flatMap { GradientTarget($0) }, bias.flatMap { GradientTarget($0) }
        )
        columns = x.shape.dims.suffix(axes).reduce(1, *)
        rows = x.count / max(columns, 1)
        moments = TrainBuffer(persistent: 2 * rows * 4)
        super.init(name: name, inputs: [x] + [scale, bias].compactMap { $0 }, output: output)
    }

    override var targets: [GradientTarget?] { [dx, dScale, dBias] }
    override var backwardBuffers: [TrainBuffer] { inputs.map(\.value) }
    override var splitsForward: Bool { true }

    override func forward(part: Int, of parts: Int) {
        for row in range(rows, part, parts) {
            let (x, y) = (inputs[0].x + row * columns, output.x + row * columns)
            var (sum, squares) = (Double(0), Double(0))
            for i in 0..<columns { sum += Double(x[i]) }
            let mean = sum / Double(columns)
            for i in 0..<columns { squares += (Double(x[i]) - mean) * (Double(x[i]) - mean) }
            let inverse = Float(1 / (squares / Double(columns) + Double(epsilon)).squareRoot())
            (moments.floats[2 * row], moments.floats[2 * row + 1]) = (Float(mean), inverse)
            for i in 0..<columns {
                y[i] = (x[i] - Float(mean)) * inverse * (scale?.x[i] ?? 1) + (bias?.x[i] ?? 0)
            }
        }
    }

    override func beginBackward() {
        for target in [dScale, dBias].compactMap({ $0 }) where !target.accumulates {
            target.dx.update(repeating: 0, count: columns)
        }
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        for row in 0..<rows {
            let (x, dy) = (inputs[0].x + row * columns, output.dx + row * columns)
            let (mean, inverse) = (moments.floats[2 * row], moments.floats[2 * row + 1])
            var (sum, dot) = (Float(0), Float(0))
            for i in 0..<columns {
                let normalised = (x[i] - mean) * inverse
                dScale?.dx[i] += dy[i] * normalised
                dBias?.dx[i] += dy[i]
                let inner = dy[i] * (scale?.x[i] ?? 1)
                sum += inner
                dot += inner * normalised
            }
            guard let dx else { continue }
            let target = dx.dx + row * columns
            let (shift, slope) = (sum / Float(columns), dot / Float(columns))
            for i in 0..<columns {
                let inner = dy[i] * (scale?.x[i] ?? 1)
                let gradient = inverse * (inner - shift - (x[i] - mean) * inverse * slope)
                target[i] = (dx.accumulates ? target[i] : 0) + gradient
            }
        }
    }
}
