import OunceGraph

/// Rounds the weights of a layer so that its outputs change least, not the weights themselves.
///
/// The aim is that of AdaRound (arXiv 2004.10568): the squared error of the layer's outputs over calibration samples, a
/// quadratic form in the rounding errors. It is made small by coordinate descent (arXiv 2309.01885): one weight after the
/// other moves to the place of the grid that is best with all others as they are. No rate or temperature has to be chosen,
/// and the same samples give the same bits. The bias takes over what the mean of each output loses.
struct LearnedRounding {
    private static let maximumSweeps = 20
    private static let scaleRounds = 2

    struct Outcome {
        var result: WeightQuantizer.Result
        /// The squared error at the outputs over that of nearest rounding to the same kind of grid.
        var errorRatio: Double
    }

    /// - Returns: nil where the weights cannot be quantised.
    static func round(
        _ weights: Tensor, moments: LayerMoments, perChannel: Bool, minimumScales: [Float]?,
        format: (bits: Int, group: Int?)
    ) -> Outcome? {
        guard let values = weights.elements(Float.self), let outputs = weights.shape.dims.first, outputs > 0,
            moments.width == values.count / outputs, outputs % moments.groups == 0
        else { return nil }
        let width = moments.width
        let perGroup = outputs / moments.groups
        // Groups of a convolution see inputs of their own; their weights are emphasised by the mean over groups.
        let covariances = (0..<moments.groups).map { moments.covariance($0) }
        let emphasis = (0..<width).map { i in covariances.reduce(Float(0)) { $0 + $1[i * width + i] } }
        guard
            var grid = WeightGrid(
                weights, perChannel: perChannel, minimumScales: minimumScales, bits: format.bits, group: format.group,
                emphasis: emphasis)
        else { return nil }
        let factors = grid.elementFactors
        var stored = grid.rounded(values)
        var scales = grid.scales
        var (before, after) = (0.0, 0.0)
        for channel in 0..<outputs {
            let range = (channel * width)..<((channel + 1) * width)
            var row = Row(
                weights: Array(values[range]), factors: Array(factors[range]),
                places: stored[range].enumerated().map { Float($1) / factors[range.lowerBound + $0] },
                scale: scales[channel], levels: grid.levels)
            // A channel of signs is what it is.
            guard !row.isBinary || grid.levels == 1 else { continue }
            let covariance = covariances[channel / perGroup]
            before += row.error(covariance)
            for round in 0...scaleRounds {
                row.descend(covariance, sweeps: maximumSweeps)
                if round < scaleRounds, perChannel {
                    row.fitScale(covariance, minimum: minimumScales?[channel] ?? 0)
                }
            }
            after += row.error(covariance)
            scales[channel] = row.scale
            for (place, number) in row.stored.enumerated() { stored[range.lowerBound + place] = number }
        }
        grid = grid.with(scales: scales)
        guard var result = grid.result(stored) else { return nil }
        result.biasShift = (0..<outputs).map { channel in
            let means = moments.means(channel / perGroup)
            return (0..<width).reduce(0.0) { sum, i in
                let place = channel * width + i
                return sum + (Double(values[place]) - Double(stored[place]) * Double(scales[channel])) * means[i]
            }
        }
        return Outcome(result: result, errorRatio: before > 0 ? after / before : 1)
    }

    /// The weights of one output channel.
    private struct Row {
        let weights: [Float]
        let factors: [Float]
        /// Whole numbers from `-levels` to `levels`.
        var places: [Float]
        var scale: Float
        let levels: Float

        var isBinary: Bool {
            let first = weights.first.map { abs($0) } ?? 0
            return first > 0 && weights.allSatisfy { abs($0) == first }
        }

        var stored: [Int8] { zip(places, factors).map { Int8($0 * $1) } }

        private var errors: [Float] { weights.indices.map { places[$0] * factors[$0] * scale - weights[$0] } }

        /// The product of a symmetric matrix and a vector.
        private func product(_ matrix: [Float], _ vector: [Float]) -> [Float] {
            let width = vector.count
            var result = [Float](repeating: 0, count: width)
            for (i, factor) in vector.enumerated() where factor != 0 {
                for j in 0..<width { result[j] += factor * matrix[i * width + j] }
            }
            return result
        }

        func error(_ covariance: [Float]) -> Double {
            let errors = errors
            return zip(errors, product(covariance, errors)).reduce(0.0) { $0 + Double($1.0 * $1.1) }
        }

        mutating func descend(_ covariance: [Float], sweeps: Int) {
            let width = weights.count
            var gradient = product(covariance, errors)
            for _ in 0..<sweeps {
                var moved = false
                for i in 0..<width {
                    let step = scale * factors[i]
                    let curvature = covariance[i * width + i]
                    guard step > 0, curvature > 0 else { continue }
                    let best = (places[i] - gradient[i] / (curvature * step)).rounded(.toNearestOrEven)
                    let place = max(-levels, min(levels, best))
                    let change = (place - places[i]) * step
                    guard place != places[i], change * (2 * gradient[i] + change * curvature) < 0 else { continue }
                    places[i] = place
                    moved = true
                    gradient.withUnsafeMutableBufferPointer { gradient in
                        covariance.withUnsafeBufferPointer { covariance in
                            for j in 0..<width { gradient[j] += change * covariance[i * width + j] }
                        }
                    }
                }
                if !moved { break }
            }
        }

        /// The scale that is best for these places.
        mutating func fitScale(_ covariance: [Float], minimum: Float) {
            let numbers = zip(places, factors).map { $0 * $1 }
            let turned = product(covariance, numbers)
            let (dot, norm) = (
                zip(weights, turned).reduce(0.0) { $0 + Double($1.0 * $1.1) },
                zip(numbers, turned).reduce(0.0) { $0 + Double($1.0 * $1.1) }
            )
            guard norm > 0, dot > 0 else { return }
            scale = max(Float(dot / norm), minimum, Float.leastNormalMagnitude * 0x1p20)
        }
    }
}
