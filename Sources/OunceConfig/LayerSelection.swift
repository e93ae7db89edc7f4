/// What a layer with weights computes. The kinds do not overlap.
package enum LayerKind: String, Sendable, Hashable, CaseIterable {
    /// A convolution with a kernel of more than one place.
    case conv
    /// A convolution with a kernel of one place.
    case conv1x1
    /// A convolution with as many groups as input channels.
    case depthwise
    case fullyConnected = "fully_connected"
    /// A product of matrices, one of which may be weights.
    case matmul
    /// LSTM, GRU and plain recurrent layers.
    case recurrent
}

/// The layers that a step is for: by name, kind and size. A layer must fit all that is said.
package struct LayerSelection: Sendable, Hashable {
    /// Names; nil: any.
    package let layers: [GlobPattern]?
    /// Names of layers to leave as they are even so.
    package let keep: [GlobPattern]
    /// nil: any.
    package let kinds: Set<LayerKind>?
    /// Smaller layers are left as they are.
    package let minParameters: Int

    package static let all = LayerSelection()

    package init(
        layers: [GlobPattern]? = nil, keep: [GlobPattern] = [], kinds: Set<LayerKind>? = nil, minParameters: Int = 0
    ) {
        self.layers = layers
        self.keep = keep
        self.kinds = kinds
        self.minParameters = minParameters
    }

    /// - Parameters:
    ///   - kind: nil where the layer is of none of the kinds.
    ///   - parameters: elements of the layer's constants.
    package func covers(name: String, kind: LayerKind?, parameters: Int) -> Bool {
        guard parameters >= minParameters, layers?.contains(where: { $0.matches(name) }) ?? true else { return false }
        if let kinds { guard let kind, kinds.contains(kind) else { return false } }
        return !keep.contains { $0.matches(name) }
    }

    /// The entries for the canonical form of the step that holds the selection: only what differs from "all".
    var canonical: [String: CanonicalValue] {
        var keys: [String: CanonicalValue] = [:]
        if let layers { keys["layers"] = .texts(Set(layers.map(\.text)).sorted()) }
        if !keep.isEmpty { keys["keep"] = .texts(Set(keep.map(\.text)).sorted()) }
        if let kinds { keys["kinds"] = .texts(kinds.map(\.rawValue).sorted()) }
        if minParameters > 0 { keys["min_parameters"] = .integer(minParameters) }
        return keys
    }
}
