extension WeightFormat {
    static let defaultGroup = 16
    /// The keys 'weights' and 'group' of a mapping.
    ///
    /// - Parameter kinds: what 'weights' may be.
    static func decode(_ fields: Fields, kinds: [Kind]) -> WeightFormat? {
        guard let kind = fields.required("weights", { $0.choice(kinds.map { ($0.rawValue, $0) }) }) else { return nil }
        guard kind == .int4 || kind == .int2 else {
            if fields.has("group") {
                fields.report(
                    "group", "'group' has no effect on \(kind.rawValue) weights",
                    "write 'weights: int4' or 'weights: int2', or remove 'group'")
            }
            return WeightFormat(kind)
        }
        guard fields.has("group") else { return WeightFormat(kind, group: defaultGroup) }
        guard let group = fields.optional("group", { Self.group($0) }) else { return nil }
        return WeightFormat(kind, group: group == 0 ? nil : group)
    }

    /// 0: none.
    private static func group(_ field: Field) -> Int? {
        if field.scalar == "none" { return 0 }
        guard let group = field.integer(in: 16...65_536) else { return nil }
        if group == 16 || group % 32 == 0 { return group }
        field.report(
            "'group' is \(group), but factors are stored for 16 or a multiple of 32 weights",
            "write 16, 32, 64, 128, or none")
        return nil
    }
}

extension WeightSettings {
    static let keys = ["weights", "group", "rounding", "overrides", "first_last"]

    init?(_ fields: Fields) {
        guard let format = WeightFormat.decode(fields, kinds: WeightFormat.Kind.allCases) else { return nil }
        let rounding = fields.optional("rounding") { $0.choice(Rounding.allCases.map { ($0.rawValue, $0) }) }
        let overrides = fields.optional("overrides") { $0.list(count: 1...64) { Override($0) } }
        let ends = fields.optional("first_last") { $0.choice([("int8", true), ("same", false)]) }
        if format.kind == .float16 {
            for key in ["rounding", "overrides", "per_channel", "fine_tune", "symmetric"] where fields.has(key) {
                fields.report(
                    key, "'\(key)' has no effect on float16 weights, which are stored as they are, rounded",
                    "remove '\(key)', or write 'weights: int8'")
            }
        }
        if fields.has("first_last"), !format.isNarrow {
            fields.report(
                "first_last", "'first_last' has no effect on \(format.kind.rawValue) weights",
                "write 'weights: int4' or 'weights: int2', or remove 'first_last'")
        }
        if rounding == .learned, fields.has("fine_tune") {
            fields.report(
                "rounding",
                "'rounding: learned' has no effect with 'fine_tune', which trains the weights onto the grid",
                "remove one of the two")
        }
        self.init(
            format, rounding: rounding ?? .nearest, overrides: overrides ?? [], keepsEnds: ends ?? true)
    }
}

extension WeightSettings.Override {
    fileprivate init?(_ field: Field) {
        guard let fields = field.fields(LayerSelection.keys + ["weights", "group"]) else { return nil }
        if !LayerSelection.keys.contains(where: fields.has) {
            field.report("'\(field.key)' chooses no layers", "add 'layers: […]', 'kinds: […]' or 'min_parameters: …'")
        }
        guard let format = WeightFormat.decode(fields, kinds: [.int8, .int4, .int2]) else { return nil }
        self.init(LayerSelection(fields), format: format)
    }
}
