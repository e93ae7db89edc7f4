import OunceCompress
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Intervals of confidence, and what flatters a report.
@Suite struct ConfidenceTests {
    /// Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    @Test(arguments: [
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718),
    ]) func shares(hits: Int, samples: Int, low: Double, high: Double) {
        let interval = ConfidenceInterval.wilson(share: Double(hits) / Double(samples), samples: samples)
        #expect(abs(interval.low - low) < 6e-5 && abs(interval.high - high) < 6e-5, "\(interval)")
    }

    /// Of many samples the percentiles of the bootstrap are near those of the normal distribution.
    @Test func means() {
        var random = RandomSource(seed: 3)
        let scores = random.floats(400, in: 0...1).map(Double.init)
        let mean = scores.reduce(0, +) / 400
        let error = (scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 400 / 400).squareRoot()
        let interval = ConfidenceInterval.bootstrap(scores)
        #expect(abs(interval.low - (mean - 1.96 * error)) < 0.3 * error)
        #expect(abs(interval.high - (mean + 1.96 * error)) < 0.3 * error)
        #expect(interval == ConfidenceInterval.bootstrap(scores))
        #expect(ConfidenceInterval.bootstrap([2, 2, 2]) == Report.Confidence(low: 2, high: 2))
    }

    @Test func areas() {
        // log(0.8 / 0.2) = 1.386294, 1.96 · 0.05 / 0.16 = 0.612489.
        let interval = ConfidenceInterval.area(0.8, standardError: 0.05, smallerClass: 30)
        #expect(abs(interval.low - 1 / (1 + 2.718281828.power(-0.773805))) < 1e-4)
        #expect(abs(interval.high - 1 / (1 + 2.718281828.power(-1.998783))) < 1e-4)
        // Nothing is certain because thirty samples were right: 30 / (30 + 1.96²).
        let perfect = ConfidenceInterval.area(1, standardError: 0, smallerClass: 30)
        #expect(abs(perfect.low - 0.88649) < 1e-4 && perfect.high > 0.9999)
    }

    @Test func sharedSamples() throws {
        let graph = try Samples.identity([1, 2])
        let numbers: [Float] = [1, 2, 3, 4, 5, 6, 7, 8]
        let one = try Samples.dataset([("x", try Samples.tensor(numbers, [4, 2]))], for: graph)
        let two = try Samples.dataset([("x", try Samples.tensor([3, 4, 9, 9, 7, 8] as [Float], [3, 2]))], for: graph)
        #expect(try one.samplesShared(with: two) == 2)
        #expect(try two.samplesShared(with: one) == 2)
        #expect(try one.samplesShared(with: one) == 4)
    }
}

extension Double {
    /// `self` to the power of `exponent`, by its series; for small exponents.
    fileprivate func power(_ exponent: Double) -> Double {
        var (term, sum) = (1.0, 1.0)
        for n in 1...40 {
            term *= exponent / Double(n)
            sum += term
        }
        return sum
    }
}
