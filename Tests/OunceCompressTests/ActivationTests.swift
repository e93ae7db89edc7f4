import OunceCompress
import OunceConfig
import OunceGraph
import Testing

/// Int8 grids of activations against Tests/Golden/compress/make.py.
@Suite struct ActivationTests {
    struct Golden: Decodable {
        struct Grid: Decodable {
            let kind: String
            let seed: UInt32
            let minmax: [Double]
            /// Mean squared error of the best of a mesh of ranges, and of the whole range.
            let leastError: Double
            let minmaxError: Double
            let percentiles: [String: [Double]]
        }
        let grids: [Grid]
    }

    private func activations(_ kind: String, seed: UInt32) -> [Float] {
        Samples.uniform(seed: seed, count: 20_000).map { u in
            switch kind {
            case "relu": return max(u * u * u * 9 - 1, 0)
            case "signed":
                let v = u - 0.5
                return v * v * v * 40
            default: return u * 3 + 2
            }
        }
    }

    /// The usual values fifty times and a few twice as large as any of them, as the script has them.
    private func batches(_ golden: Golden.Grid) -> [[Float]] {
        let usual = activations(golden.kind, seed: golden.seed)
        let large = (usual.max() ?? 0) * 2
        return [Array(repeatElement(usual, count: 50).joined()) + [large, large, large]]
    }

    private func statistics(_ batches: [[Float]]) -> ActivationStatistics {
        var statistics = ActivationStatistics()
        for batch in batches { batch.withUnsafeBufferPointer { statistics.observeRange($0, channels: 1) } }
        for batch in batches { batch.withUnsafeBufferPointer { statistics.observeHistogram($0) } }
        return statistics
    }

    private func isNear(_ grid: AffineQuantization, _ golden: [Double]?, _ tolerance: Double) -> Bool {
        guard let golden, golden.count == 2 else { return false }
        return abs(Double(grid.scale) - golden[0]) <= tolerance * golden[0]
            && abs(Double(grid.zeroPoint) - golden[1]) <= 1 && grid.isPerTensor
    }

    private func error(_ batches: [[Float]], _ grid: AffineQuantization) -> Double {
        var (sum, count) = (0.0, 0)
        for x in batches.joined() {
            let q = max(-128, min(127, (x / grid.scale).rounded(.toNearestOrEven) + Float(grid.zeroPoint)))
            let difference = Double(x - (q - Float(grid.zeroPoint)) * grid.scale)
            sum += difference * difference
            count += 1
        }
        return sum / Double(count)
    }

    @Test func grids() throws {
        for golden in try Samples.golden(Golden.self, "compress/compress.json").grids {
            let batches = batches(golden)
            let statistics = statistics(batches)
            #expect(isNear(statistics.grid(.minmax), golden.minmax, 1e-6), "\(golden.kind)")
            for (share, expected) in golden.percentiles {
                // A bin of the histogram is a 4096th of the range.
                let grid = statistics.grid(.percentile(Double(share) ?? 0))
                #expect(isNear(grid, expected, 2e-3), "\(golden.kind), \(share) %: \(grid), not \(expected)")
            }
            #expect(abs(error(batches, statistics.grid(.minmax)) / golden.minmaxError - 1) < 1e-3, "\(golden.kind)")
            let least = error(batches, statistics.grid(.mse))
            #expect(least < golden.leastError * 1.02, "\(golden.kind): \(least), not \(golden.leastError)")
        }
    }

    @Test func zeroIsExact() {
        for numbers in [
            [3, 5], [-5, -3], [-1, 0.5], [0, 0], [0, .leastNonzeroMagnitude * 700], [2, 2], [-2, -2], [1e-30, 2e-30],
        ] as [[Float]] {
            for calibration in [Quantization.Calibration.minmax, .mse, .percentile(99.9)] {
                let grid = statistics([numbers]).grid(calibration)
                #expect(grid.scale > 0 && grid.scale.isFinite && (-128...127).contains(grid.zeroPoint))
                let reach = (Float(-128 - grid.zeroPoint) * grid.scale, Float(127 - grid.zeroPoint) * grid.scale)
                #expect(reach.0 <= 0 && reach.1 >= 0)
                guard case .minmax = calibration else { continue }
                for number in numbers { #expect(reach.0 - grid.scale <= number && number <= reach.1 + grid.scale) }
            }
        }
    }

    @Test func whatIsNotFiniteIsLeftOut() {
        let statistics = statistics([[1, .nan, 3, .infinity, -.infinity, -2]])
        #expect(statistics.minimum == -2 && statistics.maximum == 3)
        let grid = statistics.grid(.mse)
        #expect(grid.scale.isFinite && grid.scale > 0)
        for calibration in [Quantization.Calibration.minmax, .mse, .percentile(99)] {
            #expect(self.statistics([[.nan, .infinity]]).grid(calibration).scale == 1)
            #expect(ActivationStatistics().grid(calibration).scale == 1)
            let huge = self.statistics([[-.greatestFiniteMagnitude, .greatestFiniteMagnitude]]).grid(calibration)
            #expect(huge.scale.isFinite)
        }
    }

    @Test func channelMeans() {
        var statistics = ActivationStatistics()
        for batch in [[1, 10, 3, 20], [5, 30]] as [[Float]] {
            batch.withUnsafeBufferPointer { statistics.observeRange($0, channels: 2) }
        }
        #expect(statistics.channelMeans == [3, 20])
    }
}
