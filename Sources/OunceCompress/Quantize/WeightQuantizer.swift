import OunceGraph

/// Weights on a symmetric int8 grid.
package enum WeightQuantizer {
    package struct Result {
        package var weights: Tensor
        package var scales: [Float]
        package var encoding: Encoding
    }

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
        guard let values = weights.elements(Float.self), let outputs = weights.shape.dims.first, outputs > 0,
            [2, 4, 8].contains(bits)
        else { return nil }
        let perOutput = values.count / outputs
        let levels = Float(1 << (bits - 1) - 1)
        let grouped = bits < 8 ? group : nil
        let factors: Float = grouped == nil ? 1 : 15
        var scales = (0..<outputs).map { channel -> Float in
            let sizes = values[(channel * perOutput)..<((channel + 1) * perOutput)].map(abs)
            let largest = sizes.max() ?? 0
            let isBinary = perChannel && largest == sizes.min()
            let step = isBinary ? largest : largest / (levels * factors)
            return max(step, minimumScales?[channel] ?? 0, Float.leastNormalMagnitude * 0x1p20)
        }
        if !perChannel, let largest = scales.max() { scales = scales.map { _ in largest } }
        let row = max(weights.shape.dims.last ?? 1, 1)
        var quantized: [Int8] = []
        quantized.reserveCapacity(values.count)
        for start in stride(from: 0, to: values.count, by: row) {
            let scale = scales[start / max(perOutput, 1)]
            let step = max(grouped ?? row, 1)
            for from in stride(from: start, to: start + row, by: step) {
                let range = from..<min(from + step, start + row)
                let largest = values[range].reduce(Float(0)) { max($0, abs($1)) }
                let factor = grouped == nil ? 1 : max(1, min(factors, (largest / (levels * scale)).rounded(.up)))
                for index in range {
                    let q = (values[index] / (scale * factor)).rounded(.toNearestOrEven)
                    quantized.append(Int8(max(-levels, min(levels, q)) * factor))
                }
            }
        }
        guard let tensor = Tensor(quantized, shape: weights.shape) else { return nil }
        let encoding = Encoding.affine(
            perChannel
                ? AffineQuantization(scales: scales, zeroPoints: scales.map { _ in 0 }, axis: 0)
                : AffineQuantization(scale: scales[0], zeroPoint: 0))
        return Result(weights: tensor, scales: scales, encoding: encoding)
    }
}
