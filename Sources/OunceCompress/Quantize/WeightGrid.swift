import OunceGraph

/// Where the weights of a layer may lie: `real = scale of the channel * factor of the group * whole number`.
package struct WeightGrid: Sendable {
    let bits: Int
    /// Whole numbers go from `-levels` to `levels`.
    let levels: Float
    /// One for each output channel (the first axis); all the same where one holds for the tensor.
    package private(set) var scales: [Float]
    let perChannel: Bool
    /// How many successive weights (along the last axis) share a factor; nil: all factors are 1.
    let group: Int?
    /// Whole numbers from 1 to 15, in the order of the groups.
    let factors: [Float]
    private let shape: Shape

    private static let largestFactor: Float = 15

    /// The grid for these weights.
    ///
    /// Without a group the largest weight of a channel is the last place of the grid. With one, each group takes the
    /// factor that leaves the least squared error.
    /// - Parameters:
    ///   - weights: float32, the first axis the output channels.
    ///   - minimumScales: for each channel a scale not to go below.
    ///   - emphasis: for each weight of a channel, how much an error of it counts; nil: all the same.
    package init?(
        _ weights: Tensor, perChannel: Bool, minimumScales: [Float]? = nil, bits: Int = 8, group: Int? = nil,
        emphasis: [Float]? = nil
    ) {
        guard let values = weights.elements(Float.self), let outputs = weights.shape.dims.first, outputs > 0,
            [2, 4, 8].contains(bits)
        else { return nil }
        let perOutput = values.count / outputs
        let levels = Float(1 << (bits - 1) - 1)
        let grouped = bits < 8 ? group : nil
        let divisor = levels * (grouped == nil ? 1 : Self.largestFactor)
        var scales = (0..<outputs).map { channel -> Float in
            let sizes = values[(channel * perOutput)..<((channel + 1) * perOutput)].map(abs)
            let largest = sizes.max() ?? 0
            let isBinary = perChannel && largest == sizes.min()
            let step = isBinary ? largest : largest / divisor
            return max(step, minimumScales?[channel] ?? 0, Float.leastNormalMagnitude * 0x1p20)
        }
        if !perChannel, let largest = scales.max() { scales = scales.map { _ in largest } }
        (self.bits, self.levels, self.perChannel) = (bits, levels, perChannel)
        (self.group, shape) = (grouped, weights.shape)
        self.scales = scales
        guard grouped != nil else {
            factors = []
            return
        }
        var factors: [Float] = []
        for range in Self.runs(shape, group: grouped) {
            let own = values[range]
            let scale = scales[range.lowerBound / max(perOutput, 1)]
            let largest = own.reduce(Float(0)) { max($0, abs($1)) }
            let reach = max(1, min(Self.largestFactor, (largest / (levels * scale)).rounded(.up)))
            let place = range.lowerBound % max(perOutput, 1)
            var best = (error: Float.infinity, factor: reach)
            for factor in stride(from: reach, through: max(1, (reach / 2).rounded(.down)), by: -1) {
                let step = scale * factor
                var error: Float = 0
                for (index, value) in own.enumerated() {
                    let q = max(-levels, min(levels, (value / step).rounded(.toNearestOrEven)))
                    error += (value - q * step) * (value - q * step) * (emphasis?[place + index] ?? 1)
                }
                if error < best.error { best = (error, factor) }
            }
            factors.append(best.factor)
        }
        self.factors = factors
    }

    /// The same grid with other scales: one for each channel, or one for all.
    func with(scales: [Float], minimumScales: [Float]? = nil) -> WeightGrid {
        var copy = self
        for channel in copy.scales.indices {
            let scale = scales.count == 1 ? scales[0] : scales[channel]
            copy.scales[channel] = max(scale, minimumScales?[channel] ?? 0, Float.leastNormalMagnitude * 0x1p20)
        }
        if !perChannel, let largest = copy.scales.max() { copy.scales = copy.scales.map { _ in largest } }
        return copy
    }

    var perOutput: Int { shape.dims.dropFirst().reduce(1, *) }
    var outputs: Int { scales.count }

    /// The elements that share a step, in order.
    private static func runs(_ shape: Shape, group: Int?) -> [Range<Int>] {
        let row = max(shape.dims.last ?? 1, 1)
        let step = max(group ?? row, 1)
        return stride(from: 0, to: shape.elementCount ?? 0, by: row).flatMap { start in
            stride(from: start, to: start + row, by: step).map { $0..<min($0 + step, start + row) }
        }
    }

    /// Factors for each weight.
    var elementFactors: [Float] {
        let count = shape.elementCount ?? 0
        guard group != nil else { return [Float](repeating: 1, count: count) }
        var result: [Float] = []
        result.reserveCapacity(count)
        for (factor, range) in zip(factors, Self.runs(shape, group: group)) {
            result.append(contentsOf: repeatElement(factor, count: range.count))
        }
        return result
    }

    /// The nearest places, as the int8 numbers that are stored: whole numbers times factors.
    func rounded(_ values: [Float]) -> [Int8] {
        let factors = elementFactors
        return values.indices.map { index in
            let step = scales[index / max(perOutput, 1)] * factors[index]
            let q = (values[index] / step).rounded(.toNearestOrEven)
            return Int8(max(-levels, min(levels, q)) * factors[index])
        }
    }

    var encoding: Encoding {
        .affine(
            perChannel
                ? AffineQuantization(scales: scales, zeroPoints: scales.map { _ in 0 }, axis: 0)
                : AffineQuantization(scale: scales.first ?? 1, zeroPoint: 0))
    }

    func result(_ stored: [Int8]) -> WeightQuantizer.Result? {
        Tensor(stored, shape: shape).map {
            WeightQuantizer.Result(weights: $0, scales: scales, encoding: encoding)
        }
    }
}
