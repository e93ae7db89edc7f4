/// Numbers in rows and columns, row-major.
struct Matrix: Sendable, Equatable {
    let rows: Int
    let columns: Int
    var elements: [Double]

    init(rows: Int, columns: Int, repeating value: Double = 0) {
        self.rows = rows
        self.columns = columns
        elements = [Double](repeating: value, count: rows * columns)
    }

    /// - Parameter element: for each row and column.
    init(rows: Int, columns: Int, _ element: (Int, Int) -> Double) {
        self.init(rows: rows, columns: columns)
        for row in 0..<rows {
            for column in 0..<columns { elements[row * columns + column] = element(row, column) }
        }
    }

    static func identity(_ size: Int) -> Matrix { Matrix(rows: size, columns: size) { $0 == $1 ? 1 : 0 } }

    subscript(row: Int, column: Int) -> Double {
        get { elements[row * columns + column] }
        set { elements[row * columns + column] = newValue }
    }

    var transposed: Matrix { Matrix(rows: columns, columns: rows) { self[$1, $0] } }

    /// The first columns.
    func prefix(columns count: Int) -> Matrix { Matrix(rows: rows, columns: min(count, columns)) { self[$0, $1] } }

    var squaredNorm: Double { elements.reduce(0) { $0 + $1 * $1 } }

    /// The matrix product; the columns of `a` must be as many as the rows of `b`.
    static func * (a: Matrix, b: Matrix) -> Matrix {
        var product = Matrix(rows: a.rows, columns: b.columns)
        let inner = min(a.columns, b.rows)
        let width = b.columns
        product.elements.withUnsafeMutableBufferPointer { sums in
            b.elements.withUnsafeBufferPointer { other in
                for row in 0..<a.rows {
                    for k in 0..<inner {
                        let factor = a.elements[row * a.columns + k]
                        if factor == 0 { continue }
                        for column in 0..<width { sums[row * width + column] += factor * other[k * width + column] }
                    }
                }
            }
        }
        return product
    }

    /// `self * other` plus another.
    static func + (a: Matrix, b: Matrix) -> Matrix {
        Matrix(rows: a.rows, columns: a.columns) { a[$0, $1] + b[$0, $1] }
    }

    /// The lower triangular `L` with `L Lᵀ` this symmetric matrix; nil where it is not positive definite.
    var choleskyFactor: Matrix? {
        var lower = Matrix(rows: rows, columns: rows)
        for row in 0..<rows {
            for column in 0...row {
                var sum = self[row, column]
                for k in 0..<column { sum -= lower[row, k] * lower[column, k] }
                if row == column {
                    guard sum > 0, sum.isFinite else { return nil }
                    lower[row, row] = sum.squareRoot()
                } else {
                    lower[row, column] = sum / lower[column, column]
                }
            }
        }
        return lower
    }

    /// The solution `X` of `X · L = self` for a lower triangular `L` without zeros on its diagonal.
    func dividedOnTheRight(byLower lower: Matrix) -> Matrix {
        var result = self
        for row in 0..<rows {
            for column in (0..<columns).reversed() {
                var sum = self[row, column]
                for k in (column + 1)..<max(columns, column + 1) { sum -= result[row, k] * lower[k, column] }
                result[row, column] = sum / lower[column, column]
            }
        }
        return result
    }
}
