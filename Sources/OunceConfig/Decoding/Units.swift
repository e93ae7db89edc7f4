/// A kind of quantity and the units in which a file may give it.
struct Quantity: Sendable {
    /// What a message calls it.
    let name: String
    /// Each unit with the factor to the base unit.
    let units: [(symbol: String, factor: Double)]
    let example: String

    /// In bytes.
    static let size = Quantity(
        name: "a size",
        units: [
            ("B", 1), ("KiB", 1024), ("MiB", 1_048_576), ("GiB", 1_073_741_824), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9),
        ], example: "256MiB")
    /// In watts.
    static let power = Quantity(name: "a power", units: [("W", 1), ("mW", 0.001)], example: "2.5W")
    /// In microseconds.
    static let time = Quantity(name: "a time", units: [("us", 1), ("ms", 1e3), ("s", 1e6)], example: "5ms")
    /// In hundredths.
    static let percentage = Quantity(name: "a percentage", units: [("%", 1)], example: "50%")

    var symbols: [String] { units.map(\.symbol) }

    enum ParseError: Error, Hashable {
        case notANumber
        case noUnit
        case unknownUnit(String)
    }

    /// Reads `1.5 GiB` or `1.5GiB`: a number that is not negative, then a unit.
    func parse(_ text: String) throws(ParseError) -> Double {
        let end = text.utf8.firstIndex { !isDigit($0) && $0 != UInt8(ascii: ".") } ?? text.endIndex
        guard case .some(let value) = Self.number(text[..<end]) else { throw .notANumber }
        let unit = text[end...].drop { $0 == " " }
        guard !unit.isEmpty else { throw .noUnit }
        guard let factor = units.first(where: { $0.symbol == unit })?.factor else { throw .unknownUnit(String(unit)) }
        return value * factor
    }

    private static func number(_ text: Substring) -> Double? {
        switch PlainScalar(String(text)) {
        case .integer(let value): Double(value)
        case .real(let value) where value.isFinite: value
        default: nil
        }
    }
}
