/// What a scalar without quotes stands for (YAML 1.2 core schema, section 10.3.2).
///
/// Where YAML 1.1 readers disagree with it, the text stays a string, so that no reader sees another value than the
/// next: `yes`, `on`, `1_000`, `1:30`, and digits after a leading zero.
enum PlainScalar: Hashable {
    case null
    case bool(Bool)
    case integer(Int)
    case real(Double)
    case string

    init(_ text: String) {
        switch text {
        case "", "~", "null", "Null", "NULL": self = .null
        case "true", "True", "TRUE": self = .bool(true)
        case "false", "False", "FALSE": self = .bool(false)
        case ".nan", ".NaN", ".NAN": self = .real(.nan)
        default: self = PlainScalar.number(Substring(text))
        }
    }

    private static func number(_ text: Substring) -> PlainScalar {
        if let value = hexadecimalOrOctal(text) { return .integer(value) }
        let negative = text.hasPrefix("-")
        let body = negative || text.hasPrefix("+") ? text.dropFirst() : text
        if [".inf", ".Inf", ".INF"].contains(body) { return .real(negative ? -.infinity : .infinity) }
        guard let first = body.utf8.first, isDigit(first) || first == UInt8(ascii: ".") else { return .string }

        let whole = body.utf8.prefix(while: isDigit)
        if whole.count > 1, first == UInt8(ascii: "0") { return .string }
        if whole.endIndex == body.endIndex {
            return Int(text).map { .integer($0) } ?? Double(text).map { .real($0) } ?? .string
        }
        var rest = body[whole.endIndex...]
        var digits = whole.count
        if rest.hasPrefix(".") {
            let fraction = rest.dropFirst().utf8.prefix(while: isDigit)
            digits += fraction.count
            rest = rest[fraction.endIndex...]
        }
        guard digits > 0 else { return .string }
        if rest.hasPrefix("e") || rest.hasPrefix("E") {
            rest = rest.dropFirst()
            if rest.hasPrefix("-") || rest.hasPrefix("+") { rest = rest.dropFirst() }
            guard let start = rest.utf8.first, isDigit(start) else { return .string }
            rest = rest[rest.utf8.prefix(while: isDigit).endIndex...]
        }
        guard rest.isEmpty else { return .string }
        // The standard library's parser wants digits on both sides of the point.
        let padded = (negative ? "-" : "") + (body.hasPrefix(".") ? "0" : "") + pointFollowedByDigit(body)
        return Double(padded).map { .real($0) } ?? .string
    }

    private static func hexadecimalOrOctal(_ text: Substring) -> Int? {
        let digits = text.dropFirst(2)
        guard let first = digits.utf8.first, first != UInt8(ascii: "-"), first != UInt8(ascii: "+") else { return nil }
        if text.hasPrefix("0x") { return Int(digits, radix: 16) }
        if text.hasPrefix("0o") { return Int(digits, radix: 8) }
        return nil
    }

    private static func pointFollowedByDigit(_ body: Substring) -> String {
        guard let point = body.utf8.firstIndex(of: UInt8(ascii: ".")) else { return String(body) }
        let after = body.utf8.index(after: point)
        if after < body.endIndex, isDigit(body.utf8[after]) { return String(body) }
        return body[..<after] + "0" + body[after...]
    }
}

func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
