import COunceKernels
import OunceGraph

/// `y = x · Wᵀ + b` over the last axis.
final class FullyConnectedStep: TrainingStep {
    private let kernels: TrainingKernels
    private let (x, weights): (Slot, Slot)
    private let bias: Slot?
    private let (dx, dw, db): (GradientTarget?, GradientTarget?, GradientTarget?)
    private let bounds: (low: Float, high: Float)
    private let (rows, width, outputs): (Int, Int, Int)
    private let transposed: TrainBuffer
    /// dy behind the activation.
    private let arriving: TrainBuffer?

    init(
        name: String, x: Slot, weights: Slot, bias: Slot?, output: Slot, activation: Activation,
        kernels: TrainingKernels
    ) {
        self.kernels = kernels
        (self.x, self.weights, self.bias) = (x, weights, bias)
        (dx, dw, db) = (GradientTarget(x), GradientTarget(weights), GradientTarget(bias))
        bounds = activation.bounds
        outputs = weights.shape[0]
        width = weights.shape[1]
        rows = output.count / max(outputs, 1)
        transposed = TrainBuffer(persistent: weights.value.byteCount)
        arriving = activation == .none ? nil : TrainBuffer(persistent: output.value.byteCount)
        super.init(name: name, inputs: [x, weights] + (bias.map { [$0] } ?? []), output: output)
    }

    override var splitsForward: Bool { true }
    override var splitsBackward: Bool { true }
    override var backwardPhases: Int { 2 }
    override var targets: [GradientTarget?] { [dx, dw, db] }
    override var backwardBuffers: [TrainBuffer] {
        [x.value, weights.value] + (arriving == nil ? [] : [output.value])
    }

    override func beginForward() {
        kernels.c.pointee.transpose(
            weights.x, Int64(outputs), Int64(width), Int64(width), transposed.floats, Int64(outputs))
    }

    override func forward(part: Int, of parts: Int) {
        let own = range(rows, part, parts)
        var product = ounce_gemm()
        (product.n, product.k) = (Int64(outputs), Int64(width))
        (product.a, product.a_row, product.a_step) = (UnsafePointer(x.x), Int64(width), 1)
        (product.b, product.b_row) = (UnsafePointer(transposed.floats), Int64(outputs))
        (product.c, product.c_row) = (output.x, Int64(outputs))
        kernels.gemm(product, rows: own)
        kernels.c.pointee.bias_clamp(
            output.x + own.lowerBound * outputs, bias?.x, bounds.low, bounds.high, Int64(own.count), Int64(outputs))
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        let dy = arriving?.floats ?? output.dx
        if phase == 0 {
            guard let arriving else { return }
            let own = range(rows * outputs, part, parts)
            let start = own.lowerBound
            return kernels.c.pointee.mask(
                output.dx + start, output.x + start, bounds.low, bounds.high, 1, Int64(own.count),
                arriving.floats + start, 0, 0)
        }
        var product = ounce_gemm()
        (product.n, product.b_row, product.c_row) = (Int64(width), Int64(width), Int64(width))
        product.a = UnsafePointer(dy)
        if let dx {
            (product.a_row, product.a_step, product.k) = (Int64(outputs), 1, Int64(outputs))
            (product.b, product.c, product.accumulate) = (UnsafePointer(weights.x), dx.dx, dx.flag)
            kernels.gemm(product, rows: range(rows, part, parts))
        }
        if let dw {
            (product.a_row, product.a_step, product.k) = (1, Int64(outputs), Int64(rows))
            (product.b, product.c, product.accumulate) = (UnsafePointer(x.x), dw.dx, dw.flag)
            kernels.gemm(product, rows: range(outputs, part, parts))
        }
        if let db, part == 0 {
            db.zeroUnlessAccumulating()
            kernels.c.pointee.column_sums(dy, Int64(rows), Int64(outputs), Int64(outputs), db.dx)
        }
    }
}
