/// The singular value decomposition `A = U · diag(values) · Vᵀ`, largest value first.
///
/// One-sided Jacobi rotations after a QR decomposition with column pivoting: Drmač and Veselić, "New fast and accurate
/// Jacobi SVD algorithm I", SIAM J. Matrix Anal. Appl. 29 (2008). Values below the rounding of the largest one are left out.
struct SingularValues: Sendable {
    /// `[rows, rank]`, orthonormal columns.
    let left: Matrix
    let values: [Double]
    /// `[columns, rank]`, orthonormal columns.
    let right: Matrix

    private static let maximumSweeps = 40

    /// All elements must be finite.
    init(_ a: Matrix) {
        guard a.rows >= a.columns else {
            let other = SingularValues(a.transposed)
            (left, values, right) = (other.right, other.values, other.left)
            return
        }
        let factors = PivotedQR(a)
        let (rank, width) = (factors.rank, a.columns)
        // Rows of `work` are columns of Rᵀ; `turns` gathers the rotations J of them: work = J · R.
        var work = factors.upper
        var turns = Matrix.identity(rank)
        Self.orthogonalize(&work, &turns)
        let norms = (0..<rank).map { row in
            (0..<width).reduce(0) { $0 + work[row, $1] * work[row, $1] }.squareRoot()
        }
        // Equal values keep their order: the same result on every run.
        let order = norms.indices.filter { norms[$0] > 0 }.sorted { (norms[$1], $0) < (norms[$0], $1) }
        values = order.map { norms[$0] }
        let turned = Matrix(rows: rank, columns: order.count) { turns[order[$1], $0] }
        left = factors.timesQ(turned)
        var right = Matrix(rows: width, columns: order.count)
        for (column, row) in order.enumerated() {
            for place in 0..<width { right[factors.order[place], column] = work[row, place] / norms[row] }
        }
        self.right = right
    }

    /// Rotates pairs of rows until all are orthogonal to working accuracy.
    private static func orthogonalize(_ work: inout Matrix, _ turns: inout Matrix) {
        let (count, width) = (work.rows, work.columns)
        guard count > 1 else { return }
        let tolerance = Double(width).squareRoot() * Double.ulpOfOne / 2
        work.elements.withUnsafeMutableBufferPointer { work in
            turns.elements.withUnsafeMutableBufferPointer { turns in
                guard let work = work.baseAddress, let turns = turns.baseAddress else { return }
                for _ in 0..<maximumSweeps {
                    var isDone = true
                    for p in 0..<count - 1 {
                        for q in p + 1..<count {
                            let (a, b) = (work + p * width, work + q * width)
                            let alpha = dot(a, a, width)
                            let beta = dot(b, b, width)
                            let gamma = dot(a, b, width)
                            guard abs(gamma) > tolerance * (alpha * beta).squareRoot(), gamma.isFinite else { continue }
                            isDone = false
                            // tan of the angle that makes the two orthogonal, the smaller of the two solutions.
                            let zeta = (beta - alpha) / (2 * gamma)
                            let t = (zeta < 0 ? -1.0 : 1.0) / (abs(zeta) + (1 + zeta * zeta).squareRoot())
                            let c = 1 / (1 + t * t).squareRoot()
                            rotate(a, b, width, c, c * t)
                            rotate(turns + p * count, turns + q * count, count, c, c * t)
                        }
                    }
                    if isDone { break }
                }
            }
        }
    }

    private static func rotate(
        _ a: UnsafeMutablePointer<Double>, _ b: UnsafeMutablePointer<Double>, _ count: Int, _ c: Double, _ s: Double
    ) {
        for index in 0..<count {
            let (x, y) = (a[index], b[index])
            a[index] = c * x - s * y
            b[index] = s * x + c * y
        }
    }

    private static func dot(_ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, _ count: Int) -> Double {
        var sums = SIMD8<Double>.zero
        var index = 0
        while index + 8 <= count {
            let x = UnsafeRawPointer(a + index).loadUnaligned(as: SIMD8<Double>.self)
            sums += x * UnsafeRawPointer(b + index).loadUnaligned(as: SIMD8<Double>.self)
            index += 8
        }
        var sum = sums.sum()
        while index < count {
            sum += a[index] * b[index]
            index += 1
        }
        return sum
    }
}

/// `A P = Q R` by Householder reflections, the column of largest remaining norm first, up to the numerical rank.
private struct PivotedQR {
    /// `[rank, columns]`.
    private(set) var upper: Matrix
    /// The column of `A` at each place.
    private(set) var order: [Int]
    let rank: Int
    /// Reflection vectors, the rows of a matrix `[rank, rows]`, zero before the diagonal; of norm √2.
    private let reflections: Matrix

    init(_ a: Matrix) {
        let (height, width) = (a.rows, a.columns)
        // Columns as rows: they lie side by side in memory.
        var columns = a.transposed
        var order = Array(0..<width)
        var reflections = Matrix(rows: width, columns: height)
        var rank = 0
        var first = 0.0
        func norm(_ column: Int, from start: Int) -> Double {
            columns.elements[(column * height + start)..<((column + 1) * height)].reduce(0) { $0 + $1 * $1 }
        }
        for step in 0..<width {
            // Norms anew each time: updating them loses what an ill-conditioned matrix is about.
            let norms = (step..<width).map { norm($0, from: step) }
            guard let largest = norms.max(), let place = norms.firstIndex(of: largest) else { break }
            let size = largest.squareRoot()
            if step == 0 { first = size }
            guard size > first * Double(height) * Double.ulpOfOne / 2, size.isFinite else { break }
            let pivot = step + place
            if pivot != step {
                order.swapAt(step, pivot)
                for row in 0..<height { columns.elements.swapAt(step * height + row, pivot * height + row) }
            }
            rank = step + 1
            let head = columns[step, step]
            let diagonal = head > 0 ? -size : size
            // v = x - diagonal e, scaled so that H = I - v vᵀ.
            let scale = 1 / (size * (size + abs(head))).squareRoot()
            for row in step..<height {
                reflections[step, row] = (columns[step, row] - (row == step ? diagonal : 0)) * scale
            }
            reflections.elements.withUnsafeBufferPointer { v in
                columns.elements.withUnsafeMutableBufferPointer { x in
                    for column in step..<width {
                        var sum = 0.0
                        for row in step..<height { sum += v[step * height + row] * x[column * height + row] }
                        for row in step..<height { x[column * height + row] -= sum * v[step * height + row] }
                    }
                }
            }
        }
        upper = Matrix(rows: rank, columns: width) { row, column in column < row ? 0 : columns[column, row] }
        self.order = order
        self.rank = rank
        self.reflections = reflections
    }

    /// `Q · x` for `x` of as many rows as the rank.
    func timesQ(_ x: Matrix) -> Matrix {
        let height = reflections.columns
        var result = Matrix(rows: x.columns, columns: height) { column, row in row < x.rows ? x[row, column] : 0 }
        result.elements.withUnsafeMutableBufferPointer { y in
            reflections.elements.withUnsafeBufferPointer { v in
                for step in (0..<rank).reversed() {
                    for column in 0..<x.columns {
                        var sum = 0.0
                        for row in step..<height { sum += v[step * height + row] * y[column * height + row] }
                        for row in step..<height { y[column * height + row] -= sum * v[step * height + row] }
                    }
                }
            }
        }
        return result.transposed
    }
}
