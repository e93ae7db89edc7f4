import OunceConfig
import OunceGraph

/// What calibration saw of one value.
package struct ActivationStatistics: Sendable {
    package static let bins = 4096

    package private(set) var minimum = Float.infinity
    package private(set) var maximum = -Float.infinity
    private var histogram: [Int] = []
    private var moments: ClippingMoments?
    /// Sum over all samples and places, for each channel (last axis).
    private var channelSums: [Double] = []
    private var rows = 0

    package init() {}

    /// First pass: the range and the channel means. What is not finite is left out.
    package mutating func observeRange(_ values: UnsafeBufferPointer<Float>, channels: Int) {
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
    package mutating func observeHistogram(_ values: UnsafeBufferPointer<Float>) {
        guard maximum > minimum else { return }
        if histogram.isEmpty { histogram = [Int](repeating: 0, count: Self.bins) }
        let (low, factor) = (minimum, Float(Self.bins) / (maximum - minimum))
        histogram.withUnsafeMutableBufferPointer { counts in
            for value in values where value.isFinite {
                // No number where the range is hardly one, or all there is.
                let place = (value - low) * factor
                counts[place > 0 ? Int(min(place, Float(Self.bins - 1))) : 0] += 1
            }
        }
        var moments = self.moments.take() ?? ClippingMoments(minimum: minimum, maximum: maximum)
        moments.add(values)
        self.moments = moments
    }

    package var channelMeans: [Double] { channelSums.map { $0 / Double(max(rows, 1)) } }

    private var binWidth: Float { maximum / Float(Self.bins) - minimum / Float(Self.bins) }

    /// The int8 grid for these values; it always holds zero exactly.
    ///
    /// - Parameter isSymmetric: with zero point 0.
    package func grid(_ calibration: Quantization.Calibration, isSymmetric: Bool = false) -> AffineQuantization {
        isSymmetric ? symmetricGrid(calibration) : affineGrid(calibration)
    }

    private func symmetricGrid(_ calibration: Quantization.Calibration) -> AffineQuantization {
        guard maximum >= minimum else { return AffineQuantization(scale: 1, zeroPoint: 0) }
        let reach = max(abs(minimum), abs(maximum))
        switch calibration {
        case .minmax: return Self.symmetricGrid(reach: reach)
        case .percentile(let share):
            let (low, high) = percentileRange(share)
            return Self.symmetricGrid(reach: max(abs(low), abs(high)))
        case .mse:
            guard let moments else { return Self.symmetricGrid(reach: reach) }
            var best = (error: Double.infinity, grid: Self.symmetricGrid(reach: reach))
            for candidate in (0..<160).map({ reach * Float(1 - Double($0) * 0.00625) }) {
                let grid = Self.symmetricGrid(reach: candidate)
                let error = moments.squaredError(low: -candidate, high: candidate, scale: Double(grid.scale))
                if error < best.error { best = (error, grid) }
            }
            return best.grid
        case .entropy:
            return Self.symmetricGrid(reach: histogram.isEmpty ? reach : min(reach, entropyReach(isSymmetric: true)))
        }
    }

    private func entropyReach(isSymmetric: Bool) -> Float {
        Float(
            EntropyRange(
                histogram: histogram, minimum: Double(minimum), maximum: Double(maximum), isSymmetric: isSymmetric
            ).reach)
    }

    private static func symmetricGrid(reach: Float) -> AffineQuantization {
        AffineQuantization(scale: max(reach / 127, Float.leastNormalMagnitude * 0x1p20), zeroPoint: 0)
    }

    private func affineGrid(_ calibration: Quantization.Calibration) -> AffineQuantization {
        guard maximum >= minimum else { return AffineQuantization(scale: 1, zeroPoint: 0) }
        let (low, high): (Float, Float)
        switch calibration {
        case .minmax: (low, high) = (minimum, maximum)
        case .percentile(let share): (low, high) = percentileRange(share)
        case .mse: (low, high) = leastErrorRange()
        case .entropy:
            let reach = entropyReach(isSymmetric: false)
            (low, high) = histogram.isEmpty ? (minimum, maximum) : (max(minimum, -reach), min(maximum, reach))
        }
        return Self.grid(low: low, high: high)
    }

    static func grid(low: Float, high: Float) -> AffineQuantization {
        let (low, high) = (min(low, 0), max(high, 0))
        let scale = max(high / 255 - low / 255, Float.leastNormalMagnitude * 0x1p20)
        let zero = (-128 - low / scale).rounded(.toNearestOrEven)
        return AffineQuantization(scale: scale, zeroPoint: Int32(max(-128, min(127, zero))))
    }

    /// The range that leaves out the same share of the values at both ends; an end at zero is kept.
    private func percentileRange(_ share: Double) -> (Float, Float) {
        let total = histogram.reduce(0, +)
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

    /// The range with the least mean squared error of rounding and clipping, found by moving one end at a time.
    private func leastErrorRange() -> (Float, Float) {
        guard let moments else { return (minimum, maximum) }
        var range = (low: min(minimum, 0), high: max(maximum, 0))
        func error(_ low: Float, _ high: Float) -> Double {
            moments.squaredError(low: low, high: high, scale: Double(Self.grid(low: low, high: high).scale))
        }
        var best = error(range.low, range.high)
        let shares = (0..<160).map { Float(1 - Double($0) * 0.00625) }
        for _ in 0..<3 {
            let before = best
            for high in shares.map({ max(maximum, 0) * $0 }) {
                let candidate = error(range.low, high)
                if candidate < best { (best, range.high) = (candidate, high) }
            }
            for low in shares.map({ minimum * $0 }) where minimum < 0 {
                let candidate = error(low, range.high)
                if candidate < best { (best, range.low) = (candidate, low) }
            }
            if best >= before { break }
        }
        return range
    }
}
