/// Layers as products of smaller ones.
package struct LowRank: Sendable, Hashable {
    package enum Method: String, Sendable, Hashable, CaseIterable {
        /// Of fully connected layers and 1x1 convolutions: two layers, by truncated singular value decomposition.
        case svd
        /// Of k x k convolutions: 1x1, k x k and 1x1 with fewer channels between (arXiv 1511.06530).
        case tucker2
        /// Of k x k convolutions: k x 1 and 1 x k (arXiv 1405.3866).
        case spatial
        /// Whichever of them suits a layer, the cheaper where two do.
        case auto
    }
    /// How ranks are found. Energies and errors are those of a layer's outputs over the calibration samples where the step
    /// is data-aware, else those of its weights.
    package enum Target: Sendable, Hashable {
        /// The least rank that keeps this share of the energy, for each layer.
        case energy(Double)
        /// The least rank whose error is at most this part of the whole (root of energies), for each layer.
        case error(Double)
        /// This share of the model's parameters is kept; ranks are shared out over all layers so that the least is lost.
        case ratio(Double)
    }

    package let method: Method
    package let target: Target
    /// nil: where there are calibration samples.
    package let dataAware: Bool?
    /// Only what was measured faster on this device is replaced.
    package let onlyFaster: Bool
    package let selection: LayerSelection
    /// What trains the factors; nil: nothing.
    package let fineTune: FineTuning?

    package init(
        method: Method = .auto, target: Target = .energy(0.98), dataAware: Bool? = nil, onlyFaster: Bool = true,
        selection: LayerSelection = .all, fineTune: FineTuning? = nil
    ) {
        self.method = method
        self.target = target
        self.dataAware = dataAware
        self.onlyFaster = onlyFaster
        self.selection = selection
        self.fineTune = fineTune
    }

    var canonical: CanonicalValue {
        let (name, number) =
            switch target {
            case .energy(let share): ("energy", share)
            case .error(let part): ("error", part)
            case .ratio(let share): ("ratio", share)
            }
        var keys = selection.canonical
        keys["method"] = .text(method.rawValue)
        keys["target"] = .map([name: .real(number)])
        keys["data_aware"] = .optional(dataAware) { .bool($0) }
        keys["only_faster"] = .bool(onlyFaster)
        keys["fine_tune"] = .optional(fineTune) { $0.canonical }
        return .map(keys)
    }
}
