import OunceGraph
import Testing

@testable import OunceCompress

/// Entropy calibration against its definition in NumPy (Tests/Golden/low_rank/make.py).
@Suite struct EntropyTests {
    struct Golden: Decodable {
        struct Entropy: Decodable {
            let kind: String
            let reach: Double
        }
        let entropy: [Entropy]
    }

    private func values(_ kind: String) -> [Float] {
        Samples.uniform(seed: 3, count: 20_000).enumerated().map { index, u in
            kind == "outliers" ? (index % 2000 == 7 ? 9 : u * u) : u * 6
        }
    }

    private func statistics(_ values: [Float]) -> ActivationStatistics {
        var statistics = ActivationStatistics()
        values.withUnsafeBufferPointer { statistics.observeRange($0, channels: 1) }
        values.withUnsafeBufferPointer { statistics.observeHistogram($0) }
        return statistics
    }

    @Test func reachIsThatOfNumPy() throws {
        for golden in try Samples.golden(Golden.self, "low_rank/low_rank.json").entropy {
            // From zero: as the script's histogram.
            let grid = statistics([0] + values(golden.kind)).grid(.entropy)
            #expect(abs(Double(grid.scale) * 255 - golden.reach) <= 0.01 * golden.reach, "\(golden.kind): \(grid)")
            #expect(grid.zeroPoint == -128)
        }
    }

    @Test func bothSidesAndSymmetric() {
        let signed = values("outliers").enumerated().map { $0 % 2 == 0 ? -$1 : $1 }
        let grid = statistics(signed).grid(.entropy, isSymmetric: true)
        #expect(grid.zeroPoint == 0)
        #expect(grid.scale * 127 > 0.8 && grid.scale * 127 < 2)
        let affine = statistics(signed).grid(.entropy)
        #expect(affine.scale * 255 > 1.6 && affine.scale * 255 < 4)
    }

    @Test func degenerateValues() {
        #expect(statistics([]).grid(.entropy).scale == 1)
        #expect(statistics([3, 3, 3]).grid(.entropy).scale * 255 >= 2.99)
        #expect(statistics([0, 0, 0]).grid(.entropy).scale > 0)
        #expect(statistics([0, .infinity, 1e30]).grid(.entropy).scale.isFinite)
    }
}
