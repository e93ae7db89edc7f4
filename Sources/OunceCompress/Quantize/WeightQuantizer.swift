import OunceGraph

/// Weights on a symmetric grid of int8 numbers.
package enum WeightQuantizer {
    package struct Result {
        package var weights: Tensor
        package var scales: [Float]
        package var encoding: Encoding
        /// What rounding took from the mean of each output channel and the bias is to give back; nil: not known.
        package var biasShift: [Double]?
    }

    /// Each weight to the nearest place.
    ///
    /// - Parameters:
    ///   - weights: float32, the first axis the output channels.
    ///   - perChannel: a scale for each output channel, else one for all.
    ///   - minimumScales: for each channel a scale not to go below (so that the bias fits int32).
    ///   - bits: 8, or 4 or 2 for numbers of so many bits.
    ///   - group: with fewer than 8 bits, every so many weights along the last axis get a whole number from 1 to 15 as a
    ///     factor of their own to the channel's scale. The products are int8: any int8 kernel computes with them.
    ///
    /// With `perChannel`, a channel whose weights have all the same size is stored as 1 and -1 (binary weights).
    package static func quantize(
        _ weights: Tensor, perChannel: Bool, minimumScales: [Float]? = nil, bits: Int = 8, group: Int? = nil
    ) -> Result? {
        guard let values = weights.elements(Float.self),
            let grid = WeightGrid(
                weights, perChannel: perChannel, minimumScales: minimumScales, bits: bits, group: group)
        else { return nil }
        return grid.result(grid.rounded(values))
    }
}
