import Crypto

/// A decoded value in the one form that is hashed. Two files with the same meaning give the same bytes, whatever their
/// comments, order of keys, quotes and units.
enum CanonicalValue {
    case none
    case bool(Bool)
    case integer(Int)
    case real(Double)
    case text(String)
    case list([CanonicalValue])
    case map([String: CanonicalValue])

    static func optional<T>(_ value: T?, _ convert: (T) -> CanonicalValue) -> CanonicalValue {
        value.map(convert) ?? .none
    }

    static func texts(_ values: [String]) -> CanonicalValue { .list(values.map { .text($0) }) }

    static func time(_ value: Duration) -> CanonicalValue { .integer(value.microseconds) }

    /// SHA-256 in lower-case hexadecimal. `kind` keeps values of different kinds apart.
    func hash(kind: String) -> String {
        var hash = SHA256()
        var bytes: [UInt8] = []
        CanonicalValue.list([.text(kind), self]).write(to: &bytes)
        hash.update(data: bytes)
        return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// A letter for the type, then a length or fixed-size content: no two values share an encoding.
    private func write(to bytes: inout [UInt8]) {
        func tag(_ letter: Unicode.Scalar, _ payload: UInt64) {
            bytes.append(UInt8(ascii: letter))
            for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: payload >> shift)) }
        }
        switch self {
        case .none: tag("n", 0)
        case .bool(let value): tag("b", value ? 1 : 0)
        case .integer(let value): tag("i", UInt64(bitPattern: Int64(value)))
        // Adding zero turns -0 into 0.
        case .real(let value): tag("r", (value + 0).bitPattern)
        case .text(let value):
            tag("t", UInt64(value.utf8.count))
            bytes.append(contentsOf: value.utf8)
        case .list(let values):
            tag("l", UInt64(values.count))
            for value in values { value.write(to: &bytes) }
        case .map(let values):
            tag("m", UInt64(values.count))
            for (key, value) in values.sorted(by: { $0.key < $1.key }) {
                CanonicalValue.text(key).write(to: &bytes)
                value.write(to: &bytes)
            }
        }
    }
}

extension Duration {
    /// Whole microseconds; a configuration's times are bounded far below overflow.
    var microseconds: Int {
        let (seconds, attoseconds) = components
        return Int(clamping: seconds &* 1_000_000 &+ attoseconds / 1_000_000_000_000)
    }
}
