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
    package static func quantize(
        _ weights: Tensor, perChannel: Bool, minimumScales: [Float]? = nil
    ) -> Result? {
        guard let values = weights.elements(Float.self), let outputs = weights.shape.dims.first, outputs > 0 else {
            return nil
        }
        let perOutput = values.count / outputs
        var scales = (0..<outputs).map { channel -> Float in
            let largest = values[(channel * perOutput)..<((channel + 1) * perOutput)].reduce(Float(0)) {
                max($0, abs($1))
            }
            return max(largest / 127, minimumScales?[channel] ?? 0, Float.leastNormalMagnitude * 0x1p20)
        }
        if !perChannel, let largest = scales.max() { scales = scales.map { _ in largest } }
        var quantized: [Int8] = []
        quantized.reserveCapacity(values.count)
        for (index, value) in values.enumerated() {
            let q = (value / scales[index / perOutput]).rounded(.toNearestOrEven)
            quantized.append(Int8(max(-127, min(127, q))))
        }
        guard let tensor = Tensor(quantized, shape: weights.shape) else { return nil }
        let encoding = Encoding.affine(
            perChannel
                ? AffineQuantization(scales: scales, zeroPoints: scales.map { _ in 0 }, axis: 0)
                : AffineQuantization(scale: scales[0], zeroPoint: 0))
        return Result(weights: tensor, scales: scales, encoding: encoding)
    }
}
