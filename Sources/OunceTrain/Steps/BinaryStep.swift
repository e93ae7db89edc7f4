import COunceKernels
import OunceGraph

/// Elementwise with broadcasting: runs along the last axes on which both operands step evenly.
final class BinaryStep: TrainingStep {
    private let kernels: TrainingKernels
    private let op: Int32
    private let (a, b): (Slot, Slot)
    private let (da, db): (GradientTarget?, GradientTarget?)
    private let bounds: (low: Float, high: Float)
    private let isEven: Bool
    /// Elements of a run, and where each run begins in the operands.
    private let length: Int
    private let (stepA, stepB): (Int, Int)
    private let (offsetsA, offsetsB): ([Int], [Int])

    init(
        name: String, op: BinaryOperator, a: Slot, b: Slot, output: Slot, activation: Activation,
        kernels: TrainingKernels
    ) {
        self.kernels = kernels
        self.op = Int32(op.rawValue)
        (self.a, self.b) = (a, b)
        (da, db) = (GradientTarget(a), GradientTarget(b))
        bounds = activation.bounds
        let dims = output.shape.dims
        let stridesA = Broadcast.strides(of: a.shape.dims, in: dims)
        let stridesB = Broadcast.strides(of: b.shape.dims, in: dims)
        isEven = a.count == output.count && b.count == output.count
        // Axes join the run while both operands go on as they did; an extent of 1 fits any step.
        var (runLength, first) = (1, dims.count)
        var (innerA, innerB) = (0, 0)
        while first > 0 {
            let axis = first - 1
            if dims[axis] > 1 {
                let fits =
                    runLength == 1
                    || (stridesA[axis] == innerA * runLength && stridesB[axis] == innerB * runLength)
                guard fits else { break }
                if runLength == 1 { (innerA, innerB) = (stridesA[axis], stridesB[axis]) }
            }
            runLength *= dims[axis]
            first = axis
        }
        length = runLength
        (stepA, stepB) = (innerA, innerB)
        let outer = Array(dims[..<first])
        func starts(_ strides: [Int]) -> [Int] {
            var starts = [0]
            for (extent, stride) in zip(outer, strides) {
                starts = starts.flatMap { base in (0..<extent).map { base + $0 * stride } }
            }
            return starts
        }
        (offsetsA, offsetsB) = (starts(stridesA), starts(stridesB))
        super.init(name: name, inputs: [a, b], output: output)
    }

    override var splitsForward: Bool { true }
    override var splitsBackward: Bool { isEven }
    override var targets: [GradientTarget?] { [da, db] }
    override var backwardBuffers: [TrainBuffer] {
        guard op == Int32(BinaryOperator.add.rawValue) || op == Int32(BinaryOperator.subtract.rawValue) else {
            return super.backwardBuffers
        }
        return isClamped ? [output.value] : []
    }
    private var isClamped: Bool { bounds.low > -.infinity || bounds.high < .infinity }

    override func forward(part: Int, of parts: Int) {
        let c = kernels.c
        if isEven {
            let own = range(output.count, part, parts)
            let start = own.lowerBound
            return c.pointee.binary(
                op, a.x + start, 1, b.x + start, 1, bounds.low, bounds.high, output.x + start, Int64(own.count))
        }
        for run in range(offsetsA.count, part, parts) {
            c.pointee.binary(
                op, a.x + offsetsA[run], Int64(stepA), b.x + offsetsB[run], Int64(stepB), bounds.low, bounds.high,
                output.x + run * length, Int64(length))
        }
    }

    private var passesThrough: Bool { isEven && op == Int32(BinaryOperator.add.rawValue) && a !== b }

    override func beginBackward() {
        guard !passesThrough else { return }
        da?.zeroUnlessAccumulating()
        db?.zeroUnlessAccumulating()
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        let c = kernels.c
        if passesThrough {
            let own = range(output.count, part, parts)
            let start = own.lowerBound
            for target in [da, db] {
                guard let target else { continue }
                c.pointee.mask(
                    output.dx + start, isClamped ? output.x + start : nil, bounds.low, bounds.high, 1,
                    Int64(own.count), target.dx + start, 0, target.flag)
            }
            return
        }
        if isEven {
            let own = range(output.count, part, parts)
            let start = own.lowerBound
            return c.pointee.binary_gradient(
                op, a.x + start, 1, b.x + start, 1, output.x + start, bounds.low, bounds.high, output.dx + start,
                da.map { $0.dx + start }, db.map { $0.dx + start }, Int64(own.count))
        }
        for run in 0..<offsetsA.count {
            let (placeA, placeB) = (offsetsA[run], offsetsB[run])
            c.pointee.binary_gradient(
                op, a.x + placeA, Int64(stepA), b.x + placeB, Int64(stepB), output.x + run * length, bounds.low,
                bounds.high, output.dx + run * length, da.map { $0.dx + placeA }, db.map { $0.dx + placeB },
                Int64(length))
        }
    }
}
