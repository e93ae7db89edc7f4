import COunceKernels
import OunceGraph

/// Softmax over the last axis.
final class SoftmaxStep: TrainingStep {
    private let kernels: TrainingKernels
    private let dx: GradientTarget?
    private let (rows, columns): (Int, Int)

    init(name: String, x: Slot, output: Slot, kernels: TrainingKernels) {
        self.kernels = kernels
        dx = GradientTarget(x)
        columns = x.shape.dims.last ?? 1
        rows = x.count / max(columns, 1)
        super.init(name: name, inputs: [x], output: output)
    }

    override var splitsForward: Bool { true }
    override var splitsBackward: Bool { true }
    override var targets: [GradientTarget?] { [dx] }
    override var backwardBuffers: [TrainBuffer] { [output.value] }

    override func forward(part: Int, of parts: Int) {
        let own = range(rows, part, parts)
        let start = own.lowerBound * columns
        kernels.c.pointee.softmax(inputs[0].x + start, output.x + start, Int64(own.count), Int64(columns))
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        guard let dx else { return }
        let own = range(rows, part, parts)
        let start = own.lowerBound * columns
        kernels.c.pointee.softmax_gradient(
            output.x + start, output.dx + start, dx.dx + start, Int64(own.count), Int64(columns), dx.flag)
    }
}
