import COunceKernels
import OunceGraph

/// Batched matrix product with broadcasting of the leading axes.
final class MatMulStep: TrainingStep {
    private let kernels: TrainingKernels
    private let (a, b): (Slot, Slot)
    private let (da, db): (GradientTarget?, GradientTarget?)
    private let (m, n, k): (Int, Int, Int)
    /// Elements from the start of each operand to the matrices of each product.
    private let (offsetsA, offsetsB): ([Int], [Int])
    private let isShared: Bool
    private var transposed: [TrainBuffer] = []

    init(name: String, a: Slot, b: Slot, output: Slot, kernels: TrainingKernels) {
        self.kernels = kernels
        (self.a, self.b) = (a, b)
        (da, db) = (GradientTarget(a), GradientTarget(b))
        m = a.shape[a.shape.rank - 2]
        k = a.shape[a.shape.rank - 1]
        n = b.shape[b.shape.rank - 1]
        let batch = Array(output.shape.dims.dropLast(2))
        offsetsA = Broadcast.offsets(of: Array(a.shape.dims.dropLast(2)), in: batch).map { [m, k] in $0 * m * k }
        offsetsB = Broadcast.offsets(of: Array(b.shape.dims.dropLast(2)), in: batch).map { [n, k] in $0 * n * k }
        isShared = Set(offsetsA).count < offsetsA.count || Set(offsetsB).count < offsetsB.count
        super.init(name: name, inputs: [a, b], output: output)
    }

    override var splitsForward: Bool { true }
    override var splitsBackward: Bool { !isShared }
    override var targets: [GradientTarget?] { [da, db] }

    override func prepare(parts: Int) {
        transposed = (0..<parts).map { [n, k] _ in TrainBuffer(persistent: n * k * 4) }
    }

    override func forward(part: Int, of parts: Int) {
        for index in range(offsetsA.count, part, parts) {
            var product = ounce_gemm()
            (product.n, product.k) = (Int64(n), Int64(k))
            (product.a, product.a_row, product.a_step) = (UnsafePointer(a.x + offsetsA[index]), Int64(k), 1)
            (product.b, product.b_row) = (UnsafePointer(b.x + offsetsB[index]), Int64(n))
            (product.c, product.c_row) = (output.x + index * m * n, Int64(n))
            kernels.gemm(product, rows: 0..<m)
        }
    }

    override func beginBackward() {
        da?.zeroUnlessAccumulating()
        db?.zeroUnlessAccumulating()
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        for index in range(offsetsA.count, part, parts) {
            let dy = UnsafePointer(output.dx + index * m * n)
            var product = ounce_gemm()
            product.accumulate = 1
            if let da {
                let turned = transposed[part].floats
                kernels.c.pointee.transpose(b.x + offsetsB[index], Int64(k), Int64(n), Int64(n), turned, Int64(k))
                (product.n, product.k) = (Int64(k), Int64(n))
                (product.a, product.a_row, product.a_step) = (dy, Int64(n), 1)
                (product.b, product.b_row) = (UnsafePointer(turned), Int64(k))
                (product.c, product.c_row) = (da.dx + offsetsA[index], Int64(k))
                kernels.gemm(product, rows: 0..<m)
            }
            if let db {
                (product.n, product.k) = (Int64(n), Int64(m))
                (product.a, product.a_row, product.a_step) = (UnsafePointer(a.x + offsetsA[index]), 1, Int64(k))
                (product.b, product.b_row) = (dy, Int64(n))
                (product.c, product.c_row) = (db.dx + offsetsB[index], Int64(n))
                kernels.gemm(product, rows: 0..<k)
            }
        }
    }
}
