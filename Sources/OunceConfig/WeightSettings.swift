/// How a layer's weights are kept.
package struct WeightFormat: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case int8, int4, int2, float16
    }

    package let kind: Kind
    /// Of int4 and int2: how many successive weights (along the last axis) share a factor; nil: a scale for each channel
    /// alone.
    package let group: Int?

    package init(_ kind: Kind, group: Int? = nil) {
        self.kind = kind
        self.group = group
    }

    package static let int8 = WeightFormat(.int8)

    package var bits: Int {
        switch kind {
        case .int8: 8
        case .int4: 4
        case .int2: 2
        case .float16: 16
        }
    }
    /// Fewer bits than a byte has.
    package var isNarrow: Bool { bits < 8 }

    /// "int4 in groups of 32" or the like.
    package var text: String { kind.rawValue + (group.map { " in groups of \($0)" } ?? "") }

    var canonical: CanonicalValue { .text(group.map { "\(kind.rawValue)/\($0)" } ?? kind.rawValue) }
}

/// How the weights of all layers are kept and rounded.
package struct WeightSettings: Sendable, Hashable {
    package enum Rounding: String, Sendable, Hashable, CaseIterable {
        /// Each weight to the nearest number of its grid.
        case nearest
        /// So that the outputs of each layer change least on the calibration samples.
        case learned
    }

    /// Another format for some layers.
    package struct Override: Sendable, Hashable {
        package let selection: LayerSelection
        package let format: WeightFormat

        package init(_ selection: LayerSelection, format: WeightFormat) {
            self.selection = selection
            self.format = format
        }
    }

    package let format: WeightFormat
    package let rounding: Rounding
    /// The first that matches a layer holds.
    package let overrides: [Override]
    /// Whether layers at the model's inputs and outputs keep int8 where the format is narrower.
    package let keepsEnds: Bool

    package init(
        _ format: WeightFormat = .int8, rounding: Rounding = .nearest, overrides: [Override] = [],
        keepsEnds: Bool = true
    ) {
        self.format = format
        self.rounding = rounding
        self.overrides = overrides
        self.keepsEnds = keepsEnds
    }

    /// - Parameters:
    ///   - isCovered: whether a selection covers the layer.
    ///   - isEnd: whether the layer reads the model's input or makes its output.
    package func format(isEnd: Bool, isCovered: (LayerSelection) -> Bool) -> WeightFormat {
        if let own = overrides.first(where: { isCovered($0.selection) }) { return own.format }
        return isEnd && keepsEnds && format.isNarrow ? .int8 : format
    }

    /// The keys beside 'weights' that are not as they are by default.
    var canonical: [String: CanonicalValue] {
        var keys: [String: CanonicalValue] = [:]
        if rounding != .nearest { keys["rounding"] = .text(rounding.rawValue) }
        if !overrides.isEmpty {
            keys["overrides"] = .list(
                overrides.map {
                    .map($0.selection.canonical.merging(["weights": $0.format.canonical]) { $1 })
                })
        }
        if !keepsEnds { keys["first_last"] = .text("same") }
        return keys
    }
}
