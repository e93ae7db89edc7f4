import OunceGraph

/// What may be done to one layer, as a change of its weights. One entry here makes `ounce sensitivity` try it.
package struct LayerTransform: Sendable {
    package let name: String
    package let summary: String
    /// Whether the layer's input is rounded to int8, too, where calibration samples tell its range.
    let roundsInput: Bool
    /// float32 weights, the first axis the output channels; nil where they cannot be changed so.
    let change: @Sendable (Tensor) -> Tensor?

    package static let all: [LayerTransform] = [
        LayerTransform(name: "int8", summary: "weights and input as int8", roundsInput: true) {
            quantized($0, bits: 8)
        },
        LayerTransform(name: "int4", summary: "weights of 4 bits in groups of 32, input as int8", roundsInput: true) {
            quantized($0, bits: 4)
        },
        LayerTransform(name: "int2", summary: "weights of 2 bits in groups of 32, input as int8", roundsInput: true) {
            quantized($0, bits: 2)
        },
        LayerTransform(name: "prune50", summary: "the smaller half of the weights zero", roundsInput: false) {
            pruned($0, share: 0.5)
        },
        LayerTransform(name: "prune80", summary: "the smallest 80 % of the weights zero", roundsInput: false) {
            pruned($0, share: 0.8)
        },
        LayerTransform(
            name: "low_rank", summary: "a product of two matrices with half the weights", roundsInput: false
        ) {
            lowRank($0)
        },
        LayerTransform(
            name: "binary", summary: "signs of the weights times a size for each channel", roundsInput: false
        ) {
            binary($0)
        },
    ]

    private static func quantized(_ weights: Tensor, bits: Int) -> Tensor? {
        guard
            let result = WeightQuantizer.quantize(weights, perChannel: true, bits: bits, group: bits < 8 ? 32 : nil),
            let numbers = result.weights.elements(Int8.self), !result.scales.isEmpty
        else { return nil }
        let inner = max(numbers.count / result.scales.count, 1)
        return Tensor(numbers.enumerated().map { Float($1) * result.scales[$0 / inner] }, shape: weights.shape)
    }

    private static func pruned(_ weights: Tensor, share: Double) -> Tensor? {
        guard var values = weights.elements(Float.self) else { return nil }
        // The first of equals goes first.
        let order = values.indices.sorted { (abs(values[$0]), $0) < (abs(values[$1]), $1) }
        for index in order.prefix(Int((Double(values.count) * share).rounded())) { values[index] = 0 }
        return Tensor(values, shape: weights.shape)
    }

    /// The nearest matrix of the rank that halves the parameters (Eckart and Young, Psychometrika 1, 1936).
    private static func lowRank(_ weights: Tensor) -> Tensor? {
        guard let values = weights.elements(Float.self), let outputs = weights.shape.dims.first, outputs > 1,
            values.allSatisfy(\.isFinite)
        else { return nil }
        let inner = values.count / outputs
        let rank = outputs * inner / (2 * (outputs + inner))
        guard inner > 1 else { return nil }
        let parts = SingularValues(Matrix(rows: outputs, columns: inner) { Double(values[$0 * inner + $1]) })
        let kept = 0..<min(max(rank, 1), parts.values.count)
        let nearest = values.indices.map { index in
            Float(
                kept.reduce(0.0) {
                    $0 + parts.left[index / inner, $1] * parts.values[$1] * parts.right[index % inner, $1]
                })
        }
        return Tensor(nearest, shape: weights.shape)
    }

    /// The mean size of a channel's weights is the factor of their signs with the least squared error (arXiv 1603.05279).
    private static func binary(_ weights: Tensor) -> Tensor? {
        guard var values = weights.elements(Float.self), let outputs = weights.shape.dims.first, outputs > 0 else {
            return nil
        }
        let inner = values.count / outputs
        for start in stride(from: 0, to: values.count, by: max(inner, 1)) {
            let channel = start..<start + inner
            let size = values[channel].reduce(0) { $0 + abs($1) } / Float(max(inner, 1))
            for index in channel { values[index] = values[index] < 0 ? -size : size }
        }
        return Tensor(values, shape: weights.shape)
    }
}
