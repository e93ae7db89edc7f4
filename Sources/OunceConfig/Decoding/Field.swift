/// A value and the key under which it stands, to be decoded. Each function reports what is wrong and returns nil then,
/// so that decoding goes on to the next field.
struct Field {
    /// As a message names it: `threads`, `features[1]`.
    let key: String
    let node: YAMLNode
    let sink: DiagnosticSink

    func report(_ message: String, _ remedy: String) { sink.report(node.mark, message, remedy) }

    private func wrongType(_ expected: String, _ remedy: String) {
        report("'\(key)' must be \(expected), found \(node.summary)", remedy)
    }

    /// The text of a scalar, quoted or not, whatever it resolves to.
    var scalar: String? {
        if case .scalar(let text, _) = node.content, !node.isNull { return text }
        return nil
    }

    private var plain: PlainScalar? {
        if case .scalar(let text, plain: true) = node.content { return PlainScalar(text) }
        return nil
    }

    /// Text of 1 to `maxBytes` bytes without control characters. What YAML takes for a number or truth value needs
    /// quotes.
    func text(maxBytes: Int = 4096) -> String? {
        guard let text = scalar, plain == nil || plain == .string else {
            wrongType("text", scalar == nil ? "write one word or quoted text" : "put it in quotes")
            return nil
        }
        guard !text.isEmpty, text.utf8.count <= maxBytes else {
            report("'\(key)' has \(text.utf8.count) bytes", "give it 1 to \(maxBytes) bytes")
            return nil
        }
        guard text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
            report("'\(key)' holds a control character: \(quoted(text))", "remove it")
            return nil
        }
        return text
    }

    func bool() -> Bool? {
        if case .bool(let value) = plain { return value }
        wrongType("true or false", "write true or false")
        return nil
    }

    func integer(in range: ClosedRange<Int>) -> Int? {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard case .integer(let value) = plain else {
            wrongType(expected, "write digits only, without quotes, unit or leading zero")
            return nil
        }
        guard range.contains(value) else {
            report("'\(key)' is \(value), out of range", "give \(expected)")
            return nil
        }
        return value
    }

    func number(in range: ClosedRange<Double>) -> Double? {
        let expected = "a number from \(brief(range.lowerBound)) to \(brief(range.upperBound))"
        let value: Double
        switch plain {
        case .integer(let whole): value = Double(whole)
        case .real(let real): value = real
        default:
            wrongType(expected, "write a number, without quotes or unit")
            return nil
        }
        guard range.contains(value) else {
            report("'\(key)' is \(quoted(scalar ?? "")), out of range", "give \(expected)")
            return nil
        }
        return value
    }

    /// A number with a unit, in the quantity's base unit.
    func quantity(_ quantity: Quantity, in range: ClosedRange<Double>) -> Double? {
        let units = alternatives(quantity.symbols)
        guard let text = scalar else {
            wrongType("\(quantity.name) such as \(quantity.example)", "write a number with the unit \(units)")
            return nil
        }
        let value: Double
        do throws(Quantity.ParseError) {
            value = try quantity.parse(text)
        } catch {
            switch error {
            case .notANumber:
                wrongType("\(quantity.name) such as \(quantity.example)", "write a number with the unit \(units)")
            case .noUnit:
                report("'\(key)' has no unit: \(quoted(text))", "add one of \(units), as in \(quantity.example)")
            case .unknownUnit(let unit):
                let near = quantity.symbols.first { $0.lowercased() == unit.lowercased() }
                report(
                    "'\(key)' has the unknown unit \(quoted(unit))",
                    near.map { "did you mean '\($0)'? (the units are \(units))" } ?? "the units are \(units)")
            }
            return nil
        }
        guard range.contains(value) else {
            let (low, high) = (quantity.text(range.lowerBound), quantity.text(range.upperBound))
            report("'\(key)' is \(quoted(text)), out of range", "give \(quantity.name) from \(low) to \(high)")
            return nil
        }
        return value
    }

    /// One word of a closed list.
    func choice<T>(_ choices: [(name: String, value: T)]) -> T? {
        let names = choices.map(\.name)
        guard let text = scalar else {
            wrongType(alternatives(names), "write one of these words")
            return nil
        }
        if let choice = choices.first(where: { $0.name == text }) { return choice.value }
        report(
            "'\(key)' cannot be \(quoted(text))", mending(text, among: names, list: "it takes \(alternatives(names))"))
        return nil
    }

    /// A list; nil when one of its items is wrong.
    func list<T>(count: ClosedRange<Int>, _ item: (Field) -> T?) -> [T]? {
        guard case .sequence = node.content else {
            wrongType("a list", "write '- ' before each item, or [a, b]")
            return nil
        }
        let items = items
        guard count.contains(items.count) else {
            report("'\(key)' has \(items.count) items", "give it \(count.lowerBound) to \(count.upperBound)")
            return nil
        }
        let values = items.compactMap(item)
        return values.count == items.count ? values : nil
    }

    func fields(_ keys: [String]) -> Fields? { Fields(self, keys: keys) }

    /// A mapping whose keys are names of the user's; nil when one of its values is wrong.
    func entries<T>(count: ClosedRange<Int>, _ value: (Field) -> T?) -> [String: T]? {
        guard case .mapping(let entries) = node.content else {
            wrongType("a mapping", "write {name: value}")
            return nil
        }
        guard count.contains(entries.count) else {
            report("'\(key)' has \(entries.count) entries", "give it \(count.lowerBound) to \(count.upperBound)")
            return nil
        }
        var values: [String: T] = [:]
        for entry in entries {
            values[entry.key] = value(Field(key: entry.key, node: entry.value, sink: sink))
        }
        return values.count == entries.count ? values : nil
    }

    /// The extent of a tensor's axis; `?` is an open one, -1 here.
    func extent() -> Int? { scalar == "?" ? -1 : integer(in: 1...1 << 30) }

    /// The value under a key, where there is one.
    subscript(key: String) -> Field? {
        guard case .mapping(let entries) = node.content else { return nil }
        return entries.first { $0.key == key }.map { Field(key: key, node: $0.value, sink: sink) }
    }

    /// The items of a list.
    var items: [Field] {
        guard case .sequence(let nodes) = node.content else { return [] }
        return nodes.enumerated().map { Field(key: "\(key)[\($0)]", node: $1, sink: sink) }
    }

    /// Decodes again what is decoded, and reported on, elsewhere.
    var silent: Field { Field(key: key, node: node, sink: DiagnosticSink(file: sink.file)) }
}

/// A mapping whose keys are known; the others are reported.
struct Fields {
    private let values: [String: (field: Field, keyMark: Mark)]
    private let owner: Field

    fileprivate init?(_ owner: Field, keys: [String]) {
        guard case .mapping(let entries) = owner.node.content else {
            owner.report(
                "'\(owner.key)' must be a mapping, found \(owner.node.summary)",
                "write 'key: value' lines with \(alternatives(keys))")
            return nil
        }
        var values: [String: (Field, Mark)] = [:]
        for entry in entries where !owner.sink.isFull {
            guard keys.contains(entry.key) else {
                owner.sink.report(
                    entry.keyMark, "unknown key \(quoted(entry.key)) in '\(owner.key)'",
                    mending(entry.key, among: keys, list: "the keys are \(alternatives(keys))"))
                continue
            }
            guard !entry.value.isNull else {
                owner.sink.report(
                    entry.keyMark, "'\(entry.key)' has no value", "give it one, or remove the line")
                continue
            }
            values[entry.key] = (Field(key: entry.key, node: entry.value, sink: owner.sink), entry.keyMark)
        }
        self.values = values
        self.owner = owner
        // A key without value is reported above and must not count as missing.
        present = Set(entries.map(\.key))
    }

    private let present: Set<String>

    func has(_ key: String) -> Bool { present.contains(key) }

    /// Reports at the key rather than at its value.
    func report(_ key: String, _ message: String, _ remedy: String) {
        owner.sink.report(values[key]?.keyMark ?? owner.node.mark, message, remedy)
    }

    /// nil: absent, or wrong and reported.
    func optional<T>(_ key: String, _ decode: (Field) -> T?) -> T? { values[key].flatMap { decode($0.field) } }

    func required<T>(_ key: String, _ decode: (Field) -> T?) -> T? {
        if !has(key) {
            owner.report("'\(owner.key)' lacks the key '\(key)'", "add '\(key): …'")
        }
        return optional(key, decode)
    }
}

/// Without the `.0` of whole numbers.
func brief(_ value: Double) -> String {
    Int(exactly: value).map { "\($0)" } ?? "\(value)"
}

extension Quantity {
    /// In the largest unit that leaves no fraction.
    fileprivate func text(_ value: Double) -> String {
        let fitting = units.filter { value >= $0.factor && (value / $0.factor).rounded() == value / $0.factor }
        let unit = fitting.max { $0.factor < $1.factor } ?? units[0]
        return brief(value / unit.factor) + unit.symbol
    }
}
