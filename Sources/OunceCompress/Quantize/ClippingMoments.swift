/// What values say about any clipping range: counts, sums and sums of squares below each of a number of edges.
struct ClippingMoments: Sendable {
    private static let bins = 512

    private let minimum: Double
    private let width: Double
    /// Of the values that are not zero (zero is always exact), in each bin.
    private var counts = [Double](repeating: 0, count: bins)
    private var sums = [Double](repeating: 0, count: bins)
    private var squares = [Double](repeating: 0, count: bins)

    init(minimum: Float, maximum: Float) {
        self.minimum = Double(minimum)
        width = (Double(maximum) - Double(minimum)) / Double(Self.bins)
    }

    mutating func add(_ values: UnsafeBufferPointer<Float>) {
        for value in values where value.isFinite && value != 0 {
            let number = Double(value)
            let place = (number - minimum) / width
            let bin = place > 0 ? Int(min(place, Double(Self.bins - 1))) : 0
            counts[bin] += 1
            sums[bin] += number
            squares[bin] += number * number
        }
    }

    /// The squared error of a grid of step `scale` that clips to `low...high`; rounding errors are taken as uniform.
    func squaredError(low: Float, high: Float, scale: Double) -> Double {
        let (low, high) = (Double(low), Double(high))
        var error = 0.0
        for bin in 0..<Self.bins where counts[bin] > 0 {
            let middle = minimum + (Double(bin) + 0.5) * width
            if middle < low || middle > high {
                let bound = middle < low ? low : high
                error += squares[bin] - 2 * bound * sums[bin] + bound * bound * counts[bin]
            } else {
                error += counts[bin] * scale * scale / 12
            }
        }
        return max(0, error)
    }
}
