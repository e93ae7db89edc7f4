import Glibc

/// Finds the clipping range whose quantised values have the least relative entropy (Kullback-Leibler divergence) to the
/// values themselves: S. Migacz, "8-bit Inference with TensorRT", GTC 2017.
///
/// For each range a number of bins wide, P is the histogram with what lies outside added to the last bin, and Q the
/// histogram gathered into as many levels as the grid has, each level's count spread evenly over those of its bins that
/// are not empty. Zeros are left out: every grid holds zero exactly.
struct EntropyRange {
    /// Counts of values by their distance from zero, `width` each.
    private let counts: [Double]
    private let width: Double
    /// What the grid has on one side of zero.
    private let levels: Int
    /// Candidates are so many bins apart.
    private static let step = 8

    /// - Parameters:
    ///   - histogram: over `minimum...maximum`.
    ///   - isSymmetric: the grid has as many levels on either side of zero.
    init(histogram: [Int], minimum: Double, maximum: Double, isSymmetric: Bool) {
        let reach = max(abs(minimum), abs(maximum))
        var counts = [Double](repeating: 0, count: histogram.count)
        let width = reach / Double(max(histogram.count, 1))
        let step = (maximum - minimum) / Double(max(histogram.count, 1))
        for (bin, count) in histogram.enumerated() where count > 0 {
            // The bin of zero holds what is zero, mostly.
            let (low, high) = (minimum + Double(bin) * step, minimum + Double(bin + 1) * step)
            guard low > 0 || high < 0 else { continue }
            let place = abs(low + high) / 2 / max(width, .leastNormalMagnitude)
            counts[min(histogram.count - 1, Int(place))] += Double(count)
        }
        self.counts = counts
        self.width = width
        // One-sided values have all 256 levels on their side.
        levels = isSymmetric || (minimum < 0 && maximum > 0) ? 128 : 256
    }

    /// The largest distance from zero that is not clipped.
    var reach: Double {
        let all = Double(counts.count) * width
        guard counts.count > levels, counts.contains(where: { $0 > 0 }) else { return all }
        var best = (divergence: Double.infinity, bins: counts.count)
        for bins in stride(from: levels, through: counts.count, by: Self.step) {
            let divergence = divergence(bins)
            if divergence < best.divergence { best = (divergence, bins) }
        }
        return Double(best.bins) * width
    }

    private func divergence(_ bins: Int) -> Double {
        let outside = counts[bins...].reduce(0, +)
        let inside = counts[..<bins].reduce(0, +)
        guard inside > 0 else { return .infinity }
        var sum = 0.0
        for level in 0..<levels {
            let from = level * bins / levels
            let to = max((level + 1) * bins / levels, from + 1)
            var (count, used) = (0.0, 0.0)
            for bin in from..<to where counts[bin] > 0 || (bin == bins - 1 && outside > 0) {
                count += counts[bin]
                used += 1
            }
            guard used > 0 else { continue }
            // An empty last bin that outliers fall into: as if half a value had been there.
            let q = max(count, 0.5) / used / inside
            for bin in from..<to {
                let p = (counts[bin] + (bin == bins - 1 ? outside : 0)) / (inside + outside)
                if p > 0 { sum += p * log(p / q) }
            }
        }
        return sum
    }
}
