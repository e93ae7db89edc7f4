extension Pruning {
    private enum Kind { case weights, blocks, pattern, channels, heads }

    init?(_ field: Field) {
        let keys = [
            "what", "block", "pattern", "importance", "ratio", "target", "scope", "rounds", "schedule",
            "reconstruct", "fine_tune", "seed",
        ]
        guard let fields = field.fields(keys + LayerSelection.keys) else { return nil }
        let kind = fields.required("what") {
            $0.choice([
                ("weights", Kind.weights), ("blocks", .blocks), ("n:m", .pattern), ("channels", .channels),
                ("heads", .heads),
            ])
        }
        guard let kind, let what = Self.what(kind, fields), let amount = Self.amount(what, fields, field) else {
            return nil
        }
        let importance = fields.optional("importance") { $0.choice(Importance.allCases.map { ($0.rawValue, $0) }) }
        if let importance, !what.isStructural, [.geometricMedian, .scale].contains(importance) {
            fields.report(
                "importance", "'\(importance.rawValue)' is an importance of whole channels",
                "write 'what: channels', or 'importance: l1', 'l2' or 'taylor'")
            return nil
        }
        let rounds = fields.optional("rounds") { $0.integer(in: 1...64) } ?? 1
        if fields.has("schedule"), rounds == 1 {
            fields.report(
                "schedule", "'schedule' has no effect without 'rounds'", "write 'rounds: 4', or remove 'schedule'")
        }
        self.init(
            what: what, importance: importance ?? .l1, amount: amount,
            scope: fields.optional("scope") { $0.choice(Scope.allCases.map { ($0.rawValue, $0) }) }
                ?? (what.isStructural && !fields.has("target") ? .layer : .global),
            rounds: rounds,
            schedule: fields.optional("schedule") { $0.choice(Schedule.allCases.map { ($0.rawValue, $0) }) } ?? .cubic,
            reconstructs: fields.optional("reconstruct") { $0.bool() } ?? true,
            fineTuning: fields.optional("fine_tune") { FineTuning($0) }, selection: LayerSelection(fields),
            seed: fields.optional("seed") { $0.integer(in: 0...Int(Int32.max)) } ?? 0)
    }

    private static func what(_ kind: Kind, _ fields: Fields) -> What? {
        if kind != .blocks, fields.has("block") {
            fields.report("block", "'block' has no effect without 'what: blocks'", "remove 'block'")
        }
        if kind != .pattern, fields.has("pattern") {
            fields.report("pattern", "'pattern' has no effect without 'what: n:m'", "remove 'pattern'")
        }
        switch kind {
        case .weights: return .weights
        case .channels: return .channels
        case .heads: return .heads
        case .blocks:
            guard fields.has("block") else { return .blocks(outputs: 1, inputs: 4) }
            return fields.optional("block") { $0.pair("x", in: 1...64, example: "1x4") }
                .map { .blocks(outputs: $0, inputs: $1) }
        case .pattern:
            guard fields.has("pattern") else { return .pattern(kept: 2, group: 4) }
            return fields.optional("pattern") { field -> What? in
                guard let (kept, group) = field.pair(":", in: 1...64, example: "2:4") else { return nil }
                guard kept < group else {
                    field.report(
                        "'pattern' keeps \(kept) of every \(group) weights", "keep fewer than there are, as in 2:4")
                    return nil
                }
                return .pattern(kept: kept, group: group)
            }
        }
    }

    private static func amount(_ what: What, _ fields: Fields, _ field: Field) -> Amount? {
        if case .pattern(let kept, let group) = what {
            for key in ["ratio", "target", "scope", "rounds"] where fields.has(key) {
                fields.report(key, "'pattern' says how many weights go; '\(key)' has no effect", "remove '\(key)'")
            }
            return .removed(1 - Double(kept) / Double(group))
        }
        if fields.has("target") {
            if fields.has("ratio") {
                fields.report("ratio", "'ratio' and 'target' both say how much goes", "remove one of them")
            }
            guard what.isStructural else {
                fields.report(
                    "target", "zeros leave the count of multiplications as it is",
                    "write 'ratio: 0.8', the share of weights that become zero")
                return nil
            }
            return fields.optional("target") { target -> Amount? in
                guard let goal = target.fields(["macs", "time"]) else { return nil }
                guard goal.has("macs") || goal.has("time") else {
                    target.report("'target' is empty", "write {macs: 0.5}, {time: 0.6} or both: what stays")
                    return nil
                }
                return .cost(macs: goal.optional("macs") { $0.part() }, time: goal.optional("time") { $0.part() })
            }
        }
        guard fields.has("ratio") else {
            field.report(
                "'\(field.key)' does not say how much goes",
                "add 'ratio: 0.5'" + (what.isStructural ? ", or 'target: {macs: 0.5}'" : ""))
            return nil
        }
        return fields.optional("ratio") { $0.part() }.map { .removed($0) }
    }
}

extension Field {
    /// A part of a whole that is neither nothing nor all: a number, or per cent.
    fileprivate func part() -> Double? {
        scalar?.hasSuffix("%") == true
            ? quantity(.percentage, in: 1...99).map { $0 / 100 } : number(in: 0.01...0.99)
    }

    /// Two whole numbers and a separator between them.
    fileprivate func pair(_ separator: Character, in range: ClosedRange<Int>, example: String) -> (Int, Int)? {
        let parts = (scalar ?? "").split(separator: separator, omittingEmptySubsequences: false)
        guard parts.count == 2, let first = Int(parts[0]), let second = Int(parts[1]), range.contains(first),
            range.contains(second)
        else {
            report(
                "'\(key)' must be two numbers from \(range.lowerBound) to \(range.upperBound), found \(node.summary)",
                "write it as \(example)")
            return nil
        }
        return (first, second)
    }
}
