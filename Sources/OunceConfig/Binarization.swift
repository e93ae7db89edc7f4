/// Weights, and where wanted the activations that they meet, as signs.
package struct Binarization: Sendable, Hashable {
    package enum Activations: String, Sendable, Hashable {
        /// Signs, around a threshold for each channel.
        case binary
        /// Left as they are; a later `quantize` may round them.
        case float32
    }
    /// The size of the weights of an output channel.
    package enum Scaling: String, Sendable, Hashable, CaseIterable {
        /// What fits the float layer best, and stays (arXiv 1603.05279).
        case channel
        /// Trained with the signs.
        case learned
    }
    /// What stands for the gradient of a sign.
    package enum Estimator: String, Sendable, Hashable, CaseIterable {
        case approximate, clipped
    }

    package let selection: LayerSelection
    /// Whether the layers that read the model's input and those that make its output are left as they are.
    package let keepsEnds: Bool
    package let activations: Activations
    package let scaling: Scaling
    package let estimator: Estimator
    /// Whether activations become signs first, then weights; else both at once.
    package let isProgressive: Bool
    package let fineTuning: FineTuning

    /// Signs want longer training than usual, steps that carry weights over zero, and soft scores.
    package static let usualTraining = FineTuning(epochs: 40, learningRate: 0.005, temperature: 3)

    package init(
        selection: LayerSelection = .all, keepsEnds: Bool = true, activations: Activations = .binary,
        scaling: Scaling = .learned, estimator: Estimator = .approximate, isProgressive: Bool = true,
        fineTuning: FineTuning = Self.usualTraining
    ) {
        self.selection = selection
        self.keepsEnds = keepsEnds
        self.activations = activations
        self.scaling = scaling
        self.estimator = estimator
        self.isProgressive = isProgressive
        self.fineTuning = fineTuning
    }

    var canonical: CanonicalValue {
        var keys: [String: CanonicalValue] = [
            "keep_ends": .bool(keepsEnds), "activations": .text(activations.rawValue),
            "scaling": .text(scaling.rawValue), "estimator": .text(estimator.rawValue),
            "progressive": .bool(isProgressive), "fine_tune": fineTuning.canonical,
        ]
        keys.merge(selection.canonical) { own, _ in own }
        return .map(keys)
    }
}
