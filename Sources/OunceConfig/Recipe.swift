/// What is done to a float model to make it smaller, step by step.
package struct Recipe: Sendable, Hashable {
    package let name: String
    /// For people; not part of the hash.
    package let description: String?
    /// Samples to calibrate with.
    package enum Samples: String, Sendable, Hashable, CaseIterable {
        /// Those that are given.
        case given
        /// Made from the model's weights and normalisations alone.
        case synthetic
    }
    package let samples: Samples
    /// In the order in which they are applied; none: the model stays float.
    package let steps: [RecipeStep]

    package init(name: String, description: String? = nil, samples: Samples = .given, steps: [RecipeStep]) {
        self.name = name
        self.description = description
        self.samples = samples
        self.steps = steps
    }

    /// SHA-256 over the meaning, not the text.
    package var canonicalHash: String { canonical.hash(kind: "recipe") }

    /// The same recipe with symmetric grids for int8 activations.
    package var withSymmetricActivations: Recipe {
        Recipe(
            name: name, description: description, samples: samples,
            steps: steps.map { step in
                switch step {
                case .quantize(let quantization): .quantize(quantization.withSymmetricActivations)
                case .fineTune, .binarize, .lowRank, .prune: step
                }
            })
    }

    /// Whether a step trains weights, which takes minutes and samples to learn from.
    package var trains: Bool { steps.contains(where: \.trains) }

    var canonical: CanonicalValue {
        var keys: [String: CanonicalValue] = ["name": .text(name), "steps": .list(steps.map(\.canonical))]
        // Artifacts of recipes without the key keep their hashes.
        if samples != .given { keys["samples"] = .text(samples.rawValue) }
        return .map(keys)
    }
}

package enum RecipeStep: Sendable, Hashable {
    case quantize(Quantization)
    case fineTune(FineTuning)
    case binarize(Binarization)
    case lowRank(LowRank)
    case prune(Pruning)

    fileprivate var trains: Bool {
        switch self {
        case .quantize(let quantization): quantization.fineTune != nil
        case .fineTune, .binarize: true
        case .prune(let pruning): pruning.fineTuning != nil
        case .lowRank(let lowRank): lowRank.fineTune != nil
        }
    }

    var canonical: CanonicalValue {
        switch self {
        case .quantize(let quantization): .map(["quantize": quantization.canonical])
        case .fineTune(let tuning): .map(["fine_tune": tuning.canonical])
        case .binarize(let binarization): .map(["binarize": binarization.canonical])
        case .lowRank(let lowRank): .map(["low_rank": lowRank.canonical])
        case .prune(let pruning): .map(["prune": pruning.canonical])
        }
    }
}

/// Weights, and where wanted activations, as numbers of few bits.
package struct Quantization: Sendable, Hashable {
    package enum Activations: String, Sendable, Hashable {
        case int8, int16, float32
    }

    /// How the range of an activation is found from calibration samples.
    package enum Calibration: Sendable, Hashable {
        /// From the smallest to the largest value seen.
        case minmax
        /// The range that holds this share of the values, in per cent.
        case percentile(Double)
        /// The range with the least mean squared error of the quantised values.
        case mse
        /// The range whose quantised values tell the least less than the values: by relative entropy.
        case entropy
    }

    package let weights: WeightSettings
    package let activations: Activations
    /// A scale for each output channel of the weights, else one for the tensor.
    package let perChannel: Bool
    /// Of no effect on float activations.
    package let calibration: Calibration
    /// The layers to quantise; those that it keeps stay float.
    package let selection: LayerSelection
    /// Decibels of signal over quantisation noise below which a layer that reads the model's input keeps that input in
    /// float; 0: never. Of no effect on float activations.
    package let minInputSQNR: Double
    /// Whether small layers that make the model's output compute in float. Of no effect on float activations.
    package let floatOutput: Bool
    /// Activations on grids with zero point 0, as TensorRT's explicit quantisation takes them. Of no effect on float
    /// activations.
    package private(set) var symmetric: Bool
    /// Whether the ranges of channels are evened out between layers first.
    package let equalize: Bool
    /// Training of the weights and grids as they will be; nil: none.
    package let fineTune: FineTuning?

    package init(
        weights: WeightSettings = WeightSettings(), activations: Activations = .int8, perChannel: Bool = true,
        calibration: Calibration = .mse, layers: [GlobPattern]? = nil, keepFloat: [GlobPattern] = [],
        kinds: Set<LayerKind>? = nil, minParameters: Int = 0, minInputSQNR: Double = 30, floatOutput: Bool = true,
        symmetric: Bool = false, equalize: Bool = false, fineTune: FineTuning? = nil
    ) {
        self.weights = weights
        self.fineTune = fineTune
        self.activations = activations
        self.perChannel = perChannel
        self.calibration = calibration
        selection = LayerSelection(layers: layers, keep: keepFloat, kinds: kinds, minParameters: minParameters)
        self.minInputSQNR = minInputSQNR
        self.floatOutput = floatOutput
        self.symmetric = symmetric
        self.equalize = equalize
    }

    fileprivate var withSymmetricActivations: Quantization {
        var copy = self
        copy.symmetric = true
        return copy
    }

    package var layers: [GlobPattern]? { selection.layers }
    /// Layers to leave float whatever else is said.
    package var keepFloat: [GlobPattern] { selection.keep }

    var canonical: CanonicalValue {
        let calibrationValue: CanonicalValue =
            switch calibration {
            case .minmax: .text("minmax")
            case .percentile(let percent): .real(percent)
            case .mse: .text("mse")
            case .entropy: .text("entropy")
            }
        var keys: [String: CanonicalValue] = [
            "weights": weights.format.canonical, "activations": .text(activations.rawValue),
            "per_channel": .bool(perChannel), "calibration": calibrationValue,
            "layers": .optional(layers) { .texts(Set($0.map(\.text)).sorted()) },
            "keep_float": .texts(Set(keepFloat.map(\.text)).sorted()), "min_input_sqnr": .real(minInputSQNR),
            "float_output": .bool(floatOutput),
        ]
        // Artifacts of recipes without the key keep their hashes.
        if symmetric { keys["symmetric"] = .bool(true) }
        if equalize { keys["equalize"] = .bool(true) }
        if let kinds = selection.kinds { keys["kinds"] = .texts(kinds.map(\.rawValue).sorted()) }
        if selection.minParameters > 0 { keys["min_parameters"] = .integer(selection.minParameters) }
        keys.merge(weights.canonical) { $1 }
        if let fineTune { keys["fine_tune"] = fineTune.canonical }
        return .map(keys)
    }
}
