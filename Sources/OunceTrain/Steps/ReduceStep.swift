import COunceKernels
import OunceGraph

/// Reduction of the middle of `[outer, reduced, inner]`.
final class ReduceStep: TrainingStep {
    private let kernels: TrainingKernels
    private let dx: GradientTarget?
    private let reduction: Reduction
    private let (outer, reduced, inner): (Int, Int, Int)

    init(
        name: String, reduction: Reduction, outer: Int, reduced: Int, x: Slot, output: Slot, kernels: TrainingKernels
    ) {
        self.kernels = kernels
        self.reduction = reduction
        dx = GradientTarget(x)
        (self.outer, self.reduced) = (outer, reduced)
        inner = x.count / max(outer * reduced, 1)
        super.init(name: name, inputs: [x], output: output)
    }

    override var splitsForward: Bool { true }
    override var splitsBackward: Bool { true }
    override var targets: [GradientTarget?] { [dx] }

    override func forward(part: Int, of parts: Int) {
        for block in range(outer, part, parts) {
            let (x, y) = (inputs[0].x + block * reduced * inner, output.x + block * inner)
            switch reduction {
            case .mean, .sum:
                for i in 0..<inner { y[i] = 0 }
                kernels.c.pointee.column_sums(x, Int64(reduced), Int64(inner), Int64(inner), y)
                if reduction == .mean { for i in 0..<inner { y[i] /= Float(reduced) } }
            case .max, .min, .product:
                for i in 0..<inner {
                    var result = x[i]
                    for r in 1..<max(reduced, 1) {
                        let next = x[r * inner + i]
                        switch reduction {
                        case .max: result = max(result, next)
                        case .min: result = min(result, next)
                        default: result *= next
                        }
                    }
                    y[i] = result
                }
            }
        }
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        guard let dx else { return }
        for block in range(outer, part, parts) {
            let (x, y) = (inputs[0].x + block * reduced * inner, output.x + block * inner)
            let (dy, to) = (output.dx + block * inner, dx.dx + block * reduced * inner)
            for i in 0..<inner {
                var isTaken = false
                for r in 0..<reduced {
                    let place = r * inner + i
                    var slope: Float
                    switch reduction {
                    case .sum: slope = 1
                    case .mean: slope = 1 / Float(reduced)
                    case .product: slope = productOfOthers(x, i, r)
                    case .max, .min:
                        // Of equal numbers the first.
                        slope = !isTaken && x[place] == y[i] ? 1 : 0
                        isTaken = isTaken || slope == 1
                    }
                    slope *= dy[i]
                    to[place] = dx.accumulates ? to[place] + slope : slope
                }
            }
        }
    }

    private func productOfOthers(_ x: UnsafePointer<Float>, _ i: Int, _ without: Int) -> Float {
        var product: Float = 1
        for r in 0..<reduced where r != without { product *= x[r * inner + i] }
        return product
    }
}
