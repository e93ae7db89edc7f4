import Glibc
import OunceConfig
import Testing

@testable import OunceCompress

/// The singular value decomposition against NumPy (Tests/Golden/low_rank/make.py), and by what it promises.
@Suite struct SingularValuesTests {
    struct Golden: Decodable {
        struct Singular: Decodable {
            let kind: String
            let rows: Int
            let columns: Int
            let values: [Double]
        }
        let singular: [Singular]
    }

    static func waves(_ i: Int, _ j: Int) -> Double {
        sin(1 + Double(i) * 12.9898 + Double(j) * 78.233 + Double(i * j) * 0.731)
    }

    private func matrix(_ kind: String, _ rows: Int, _ columns: Int) -> Matrix {
        Matrix(rows: rows, columns: columns) { row, column in
            let (i, j) = (Double(row), Double(column))
            return switch kind {
            case "hilbert": 1 / (i + j + 1)
            case "vandermonde": pow((i + 1) / Double(rows), j)
            case "kahan": pow(0.8, i) * (row == column ? 1 : column > row ? -0.6 : 0)
            case "graded": Self.waves(row, column) * pow(10, -12 * j / Double(columns - 1))
            case "repeated":
                sin(i + 1) * cos(j) + 2 * cos(3 * i) * sin(j + 0.5) + 0.1 * Double(row % 2) * Double(column % 3)
            default: Self.waves(row, column)
            }
        }
    }

    private func defect(_ a: Matrix) -> Double {
        let gram = a.transposed * a
        return gram.elements.indices.map { index in
            abs(gram.elements[index] - (index / gram.columns == index % gram.columns ? 1 : 0))
        }.max() ?? 0
    }

    @Test func valuesAreThoseOfNumPy() throws {
        for golden in try Samples.golden(Golden.self, "low_rank/low_rank.json").singular {
            let a = matrix(golden.kind, golden.rows, golden.columns)
            let result = SingularValues(a)
            let largest = golden.values[0]
            let about = "\(golden.kind) \(golden.rows) x \(golden.columns)"
            for (index, value) in golden.values.enumerated() {
                let own = index < result.values.count ? result.values[index] : 0
                // NumPy's own error is in parts of the largest value.
                #expect(abs(own - value) <= 2e-14 * largest, "\(about): value \(index) is \(own), not \(value)")
            }
            #expect(result.values == result.values.sorted(by: >), "\(about)")
            #expect(defect(result.left) < 1e-13 && defect(result.right) < 1e-13, "\(about)")
            let scaled = Matrix(rows: a.rows, columns: result.values.count) { result.left[$0, $1] * result.values[$1] }
            let back = scaled * result.right.transposed
            for (x, y) in zip(back.elements, a.elements) { #expect(abs(x - y) <= 2e-14 * largest, "\(about)") }
        }
    }

    @Test func findsTheRank() {
        #expect(SingularValues(matrix("repeated", 20, 14)).values.count == 3)
        #expect(SingularValues(Matrix(rows: 4, columns: 3)).values.isEmpty)
    }

    /// The determinant of a Hilbert matrix is known exactly; it is the product of the singular values.
    @Test func hilbertDeterminant() {
        let values = SingularValues(matrix("hilbert", 6, 6)).values
        let logarithm = values.reduce(0) { $0 + log($1) }
        #expect(abs(logarithm - log(1.0 / 186_313_420_339_200_000)) < 1e-9)
    }

    @Test func choleskyFactorSolves() throws {
        let b = matrix("waves", 9, 6)
        let positive = b.transposed * b + Matrix.identity(6)
        let lower = try #require(positive.choleskyFactor)
        for (x, y) in zip((lower * lower.transposed).elements, positive.elements) { #expect(abs(x - y) < 1e-12) }
        let product = matrix("waves", 4, 6) * lower
        let solved = product.dividedOnTheRight(byLower: lower)
        for (x, y) in zip(solved.elements, matrix("waves", 4, 6).elements) { #expect(abs(x - y) < 1e-12) }
        #expect((Matrix(rows: 2, columns: 2) { $0 == $1 ? -1 : 0 }).choleskyFactor == nil)
    }

    /// A brute-force search over all combinations finds nothing that loses less.
    @Test func allocationIsTheBestThatAPriceFinds() {
        func layer(_ scale: Double, _ seed: Int) -> RankAllocation.Layer {
            RankAllocation.Layer(
                parameters: 100,
                choices: (1...9).map { rank in
                    Factorization(
                        form: .svd(rank: rank), parameters: rank * 10, macs: rank,
                        loss: scale * pow(0.7, Double(rank)) + 1e-4 * abs(sin(Double(rank + seed))))
                })
        }
        let layers = [layer(1, 1), layer(0.1, 2), layer(0.01, 3)]
        for budget in [60, 120, 150, 200, 299] {
            let picks = RankAllocation.choose(layers, budget: budget)
            let size = zip(layers, picks).reduce(0) { $0 + ($1.1?.parameters ?? $1.0.parameters) }
            #expect(size <= budget)
            let loss = picks.reduce(0) { $0 + ($1?.loss ?? 0) }
            // The same size cannot lose less: prices find points of the lower convex hull.
            var least = Double.infinity
            let options = layers.map { $0.choices.map(Optional.some) + [nil] }
            for a in options[0] {
                for b in options[1] {
                    for c in options[2] {
                        let all = [a, b, c]
                        guard all.reduce(0, { $0 + ($1?.parameters ?? 100) }) <= size else { continue }
                        least = min(least, all.reduce(0) { $0 + ($1?.loss ?? 0) })
                    }
                }
            }
            #expect(loss <= least + 1e-12, "budget \(budget): \(loss), not \(least)")
        }
        #expect(RankAllocation.choose(layers, budget: 300).allSatisfy { $0 == nil })
        #expect(RankAllocation.choose(layers, budget: 1).allSatisfy { $0?.form == .svd(rank: 1) })
    }
}
