/// What is done to a float model to make it smaller, step by step.
package struct Recipe: Sendable, Hashable {
    package let name: String
    /// For people; not part of the hash.
    package let description: String?
    /// In the order in which they are applied; none: the model stays float.
    package let steps: [RecipeStep]

    package init(name: String, description: String? = nil, steps: [RecipeStep]) {
        self.name = name
        self.description = description
        self.steps = steps
    }

    /// SHA-256 over the meaning, not the text.
    package var canonicalHash: String { canonical.hash(kind: "recipe") }

    /// The same recipe with symmetric grids for int8 activations.
    package var withSymmetricActivations: Recipe {
        Recipe(
            name: name, description: description,
            steps: steps.map { step in
                switch step {
                case .quantize(let quantization): .quantize(quantization.withSymmetricActivations)
                case .fineTune, .prune: step
                }
            })
    }

    /// Whether a step trains weights, which takes minutes and samples to learn from.
    package var trains: Bool {
        steps.contains { step in
            switch step {
            case .quantize: false
            case .fineTune: true
            case .prune(let pruning): pruning.fineTuning != nil
            }
        }
    }

    var canonical: CanonicalValue {
        .map(["name": .text(name), "steps": .list(steps.map(\.canonical))])
    }
}

package enum RecipeStep: Sendable, Hashable {
    case quantize(Quantization)
    case fineTune(FineTuning)
    case prune(Pruning)

    var canonical: CanonicalValue {
        switch self {
        case .quantize(let quantization): .map(["quantize": quantization.canonical])
        case .fineTune(let tuning): .map(["fine_tune": tuning.canonical])
        case .prune(let pruning): .map(["prune": pruning.canonical])
        }
    }
}

/// Weights, and where wanted activations, as int8.
package struct Quantization: Sendable, Hashable {
    package enum Activations: String, Sendable, Hashable {
        case int8, float32
    }

    /// How the range of an activation is found from calibration samples.
    package enum Calibration: Sendable, Hashable {
        /// From the smallest to the largest value seen.
        case minmax
        /// The range that holds this share of the values, in per cent.
        case percentile(Double)
        /// The range with the least mean squared error of the quantised values.
        case mse
    }

    package let activations: Activations
    /// A scale for each output channel of the weights, else one for the tensor.
    package let perChannel: Bool
    /// Of no effect on float activations.
    package let calibration: Calibration
    /// The layers to quantise; nil: all.
    package let layers: [GlobPattern]?
    /// Layers to leave float even so.
    package let keepFloat: [GlobPattern]
    /// Decibels of signal over quantisation noise below which a layer that reads the model's input keeps that input in
    /// float; 0: never. Of no effect on float activations.
    package let minInputSQNR: Double
    /// Whether small layers that make the model's output compute in float. Of no effect on float activations.
    package let floatOutput: Bool
    /// Activations on grids with zero point 0, as TensorRT's explicit quantisation takes them. Of no effect on float
    /// activations.
    package let symmetric: Bool

    package init(
        activations: Activations = .int8, perChannel: Bool = true, calibration: Calibration = .mse,
        layers: [GlobPattern]? = nil, keepFloat: [GlobPattern] = [], minInputSQNR: Double = 30,
        floatOutput: Bool = true, symmetric: Bool = false
    ) {
        self.activations = activations
        self.perChannel = perChannel
        self.calibration = calibration
        self.layers = layers
        self.keepFloat = keepFloat
        self.minInputSQNR = minInputSQNR
        self.floatOutput = floatOutput
        self.symmetric = symmetric
    }

    fileprivate var withSymmetricActivations: Quantization {
        Quantization(
            activations: activations, perChannel: perChannel, calibration: calibration, layers: layers,
            keepFloat: keepFloat, minInputSQNR: minInputSQNR, floatOutput: floatOutput, symmetric: true)
    }

    /// Whether the layer of this name is to be quantised.
    package func covers(layer name: String) -> Bool {
        (layers?.contains { $0.matches(name) } ?? true) && !keepFloat.contains { $0.matches(name) }
    }

    var canonical: CanonicalValue {
        let calibrationValue: CanonicalValue =
            switch calibration {
            case .minmax: .text("minmax")
            case .percentile(let percent): .real(percent)
            case .mse: .text("mse")
            }
        var keys: [String: CanonicalValue] = [
            "weights": .text("int8"), "activations": .text(activations.rawValue), "per_channel": .bool(perChannel),
            "calibration": calibrationValue,
            "layers": .optional(layers) { .texts(Set($0.map(\.text)).sorted()) },
            "keep_float": .texts(Set(keepFloat.map(\.text)).sorted()), "min_input_sqnr": .real(minInputSQNR),
            "float_output": .bool(floatOutput),
        ]
        // Artifacts of recipes without the key keep their hashes.
        if symmetric { keys["symmetric"] = .bool(true) }
        return .map(keys)
    }
}
