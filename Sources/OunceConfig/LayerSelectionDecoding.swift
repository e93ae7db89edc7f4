extension LayerSelection {
    /// The keys of a step that chooses layers; to be added to its own.
    static let keys = ["layers", "keep", "kinds", "min_parameters"]

    /// - Parameter fields: those of the step, of whose keys `keys` are a part.
    init(_ fields: Fields) {
        self.init(
            layers: fields.optional("layers") { $0.patterns(atLeast: 1) },
            keep: fields.optional("keep") { $0.patterns(atLeast: 0) } ?? [],
            kinds: fields.optional("kinds") { field in
                field.list(count: 1...LayerKind.allCases.count) { item in
                    item.choice(LayerKind.allCases.map { ($0.rawValue, $0) })
                }.map { Set($0) }
            },
            minParameters: fields.optional("min_parameters") { $0.integer(in: 0...1 << 40) } ?? 0)
    }
}
