import OunceGraph
import OunceRuntime

/// Steps of AdamW have one size, but weights differ by orders of magnitude: between channels once batch normalisations are
/// folded, and between models by the scale of their inputs. A step that suits one channel throws another off. So steps go by
/// the size of what they change, and a model in other units of its inputs learns the same.
extension Graph {
    /// Units for weights and biases of layers.
    func trainingUnits(_ data: Dataset, _ options: RuntimeOptions) throws(CompressError) -> [ValueID: [Float]] {
        var units = try BinaryTraining.units(of: self, data, options)
        for node in nodes {
            switch node.op {
            case .conv, .fullyConnected:
                if let w = node.inputs[1], let own = self[w].constant?.trainingUnits { units[w] = own }
            default: break
            }
        }
        return units
    }
}

extension Tensor {
    /// Root mean square of the weights for which the learning rate is meant.
    private static let usualSize = 0.05

    /// For each channel (first axis) the size of its weights that are not zero, in parts of the usual one; nil where they are
    /// no float32 numbers.
    var trainingUnits: [Float]? {
        guard let values = elements(Float.self), let outputs = shape.dims.first, outputs > 0 else { return nil }
        let width = values.count / outputs
        return (0..<outputs).map { channel in
            let row = values[(channel * width)..<((channel + 1) * width)]
            let squares = row.reduce(0.0) { $0 + Double($1) * Double($1) }
            let size = Float((squares / Double(max(row.count { $0 != 0 }, 1))).squareRoot() / Self.usualSize)
            return size.isFinite ? size : 1
        }
    }
}
