import COunceKernels
import OunceRuntime

/// Sums of products of all pairs of columns of a matrix, by the best kernel of this machine.
package struct SecondMoments {
    private let kernels: TrainingKernels

    package init(allowedISAs: Set<String>? = nil) throws(TrainError) {
        do {
            kernels = TrainingKernels(isas: try InstructionSets.permitted(allowed: allowedISAs))
        } catch {
            throw TrainError(.unsupported, error.message)
        }
    }

    /// `sums[i][j] += sum over rows of x[row][i] * x[row][j]`.
    ///
    /// - Parameters:
    ///   - x: `[rows, width]`, with `TensorStorage.slack` readable bytes behind.
    ///   - sums: `[width, width]`, likewise.
    package func add(_ x: UnsafePointer<Float>, rows: Int, width: Int, to sums: UnsafeMutablePointer<Float>) {
        var product = ounce_gemm()
        (product.n, product.k) = (Int64(width), Int64(rows))
        (product.a, product.a_row, product.a_step) = (x, 1, Int64(width))
        (product.b, product.b_row) = (x, Int64(width))
        (product.c, product.c_row, product.accumulate) = (sums, Int64(width), 1)
        kernels.gemm(product, rows: 0..<width)
    }
}
