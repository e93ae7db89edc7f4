import OunceConfig
import OunceGraph

/// What calibration saw of one value.
struct ActivationStatistics: Sendable {
    static let bins = 4096

    var minimum = Float.infinity
    var maximum = -Float.infinity
    var histogram: [Int32] = []
    /// The histogram with each sample's values weighted by one over the sample's energy.
    var relativeHistogram: [Double] = []
    /// Sum over all samples and places, for each channel (last axis).
    var channelSums: [Double] = []
    var rows = 0

    /// First pass: the range and the channel means. What is not finite is left out.
    mutating func observeRange(_ values: UnsafeBufferPointer<Float>, channels: Int) {
        if channelSums.isEmpty { channelSums = [Double](repeating: 0, count: channels) }
        var (low, high) = (minimum, maximum)
        var channel = 0
        channelSums.withUnsafeMutableBufferPointer { sums in
            for value in values {
                if value.isFinite {
                    if value < low { low = value }
                    if value > high { high = value }
                    sums[channel] += Double(value)
                }
                channel += 1
                if channel == channels { channel = 0 }
            }
        }
        (minimum, maximum) = (low, high)
        rows += channels > 0 ? values.count / channels : 0
    }

    /// Second pass: how often each part of the range occurs.
    mutating func observeHistogram(_ values: UnsafeBufferPointer<Float>) {
        guard maximum > minimum else { return }
        if histogram.isEmpty {
            histogram = [Int32](repeating: 0, count: Self.bins)
            relativeHistogram = [Double](repeating: 0, count: Self.bins)
        }
        let (low, factor) = (minimum, Float(Self.bins) / (maximum - minimum))
        var energy = 0.0
        for value in values where value.isFinite { energy += Double(value) * Double(value) }
        guard energy > 0 else { return }
        let weight = 1 / energy
        histogram.withUnsafeMutableBufferPointer { counts in
            relativeHistogram.withUnsafeMutableBufferPointer { weights in
                for value in values where value.isFinite {
                    let bin = min(Self.bins - 1, max(0, Int((value - low) * factor)))
                    counts[bin] &+= 1
                    weights[bin] += weight
                }
            }
        }
    }

    var channelMeans: [Double] { channelSums.map { $0 / Double(max(rows, 1)) } }

    private var binWidth: Float { (maximum - minimum) / Float(Self.bins) }

    /// The int8 grid for these values; it always holds zero exactly.
    func grid(_ calibration: Quantization.Calibration) -> AffineQuantization {
        guard maximum >= minimum else { return AffineQuantization(scale: 1, zeroPoint: 0) }
        let (low, high): (Float, Float)
        switch calibration {
        case .minmax: (low, high) = (minimum, maximum)
        case .percentile(let share): (low, high) = percentileRange(share)
        case .mse: (low, high) = leastErrorRange()
        }
        return Self.grid(low: low, high: high)
    }

    static func grid(low: Float, high: Float) -> AffineQuantization {
        let (low, high) = (min(low, 0), max(high, 0))
        let scale = max((high - low) / 255, Float.leastNormalMagnitude * 0x1p20)
        let zero = (-128 - low / scale).rounded(.toNearestOrEven)
        return AffineQuantization(scale: scale, zeroPoint: Int32(max(-128, min(127, zero))))
    }

    /// The range that leaves out the same share of the values at both ends; an end at zero is kept.
    private func percentileRange(_ share: Double) -> (Float, Float) {
        let total = histogram.reduce(0) { $0 + Int($1) }
        guard total > 0 else { return (minimum, maximum) }
        let outside = Double(total) * max(0, 1 - share / 100)
        let atLow = minimum < 0 ? (maximum > 0 ? outside / 2 : outside) : 0
        let atHigh = outside - atLow
        func edge(_ allowed: Double, _ bins: some Sequence<Int>) -> Int {
            var seen = 0.0
            for bin in bins {
                seen += Double(histogram[bin])
                if seen > allowed { return bin }
            }
            return 0
        }
        let low = minimum + Float(edge(atLow, 0..<Self.bins)) * binWidth
        let high = minimum + Float(edge(atHigh, (0..<Self.bins).reversed()) + 1) * binWidth
        return (low, high)
    }

    /// The range with the least squared error of rounding and clipping, found by moving one end at a time. The error counts
    /// relative to each sample's energy: one loud sample among quiet ones must not set the scale for all.
    private func leastErrorRange() -> (Float, Float) {
        guard !histogram.isEmpty else { return (minimum, maximum) }
        var range = (low: min(minimum, 0), high: max(maximum, 0))
        var best = error(low: range.low, high: range.high)
        let shares = stride(from: Float(1), through: 0.2, by: -0.0125)
        for _ in 0..<3 {
            let before = best
            for share in shares {
                let candidate = error(low: range.low, high: max(maximum, 0) * share)
                if candidate < best { (best, range.high) = (candidate, max(maximum, 0) * share) }
            }
            if minimum < 0 {
                for share in shares {
                    let candidate = error(low: minimum * share, high: range.high)
                    if candidate < best { (best, range.low) = (candidate, minimum * share) }
                }
            }
            if best >= before { break }
        }
        return range
    }

    private func error(low: Float, high: Float) -> Double {
        let grid = Self.grid(low: low, high: high)
        let (scale, zero) = (grid.scale, Float(grid.zeroPoint))
        var sum = 0.0
        for bin in 0..<Self.bins where relativeHistogram[bin] > 0 {
            let value = minimum + (Float(bin) + 0.5) * binWidth
            let q = max(-128, min(127, (value / scale).rounded(.toNearestOrEven) + zero))
            let difference = Double(value - (q - zero) * scale)
            sum += difference * difference * relativeHistogram[bin]
        }
        return sum
    }
}
