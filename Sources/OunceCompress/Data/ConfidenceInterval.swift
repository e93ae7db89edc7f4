import Glibc
import OunceRuntime

/// Where a figure over all samples of a kind lies with a confidence of 95 %, from those that were measured.
package enum ConfidenceInterval {
    /// Quantile 0.975 of the normal distribution.
    private static let z = 1.959_963_984_540_054
    private static let resamples = 1000

    /// Of a share of samples (Wilson, J. Am. Stat. Assoc. 22, 1927): never empty, never outside 0...1.
    package static func wilson(share: Double, samples: Int) -> Report.Confidence {
        let n = Double(max(samples, 1))
        let middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        let half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)).squareRoot()
        return Report.Confidence(low: max(0, middle - half), high: min(1, middle + half))
    }

    /// Of an area under a curve: its standard error on the scale of log(area / (1 - area)), where the interval stays within
    /// 0...1; for a perfect area that of a share of the smaller class.
    package static func area(_ area: Double, standardError: Double, smallerClass: Int) -> Report.Confidence {
        guard area > 0, area < 1, standardError > 0 else { return wilson(share: area, samples: smallerClass) }
        let place = log(area / (1 - area))
        let half = z * standardError / (area * (1 - area))
        return Report.Confidence(low: 1 / (1 + exp(half - place)), high: 1 / (1 + exp(-half - place)))
    }

    /// Of a mean: the percentiles of the means of samples drawn with replacement (Efron, Ann. Stat. 7, 1979), the same for
    /// the same scores.
    package static func bootstrap(_ scores: [Double]) -> Report.Confidence {
        guard !scores.isEmpty else { return Report.Confidence(low: .nan, high: .nan) }
        var random = BootstrapRandom()
        let count = UInt64(scores.count)
        var means: [Double] = []
        for _ in 0..<resamples {
            var sum = 0.0
            for _ in scores.indices { sum += scores[Int(random.next().multipliedFullWidth(by: count).high)] }
            means.append(sum / Double(count))
        }
        means.sort()
        let last = Double(resamples - 1)
        return Report.Confidence(
            low: means[Int((0.025 * last).rounded())], high: means[Int((0.975 * last).rounded())])
    }
}

/// xorshift64* (Vigna, arXiv 1402.6246).
private struct BootstrapRandom {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }
}
