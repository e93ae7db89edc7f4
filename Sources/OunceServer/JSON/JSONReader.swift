/// What is wrong with a JSON text, and where.
struct JSONError: Error, Sendable {
    let offset: Int
    let message: String
}

/// Reads JSON (RFC 8259) value by value from memory that outlives it, without building a tree.
///
/// Every access is bounds-checked, nesting is limited, and nothing is allocated beyond the strings asked for.
struct JSONReader {
    static let maxDepth = 64

    enum Kind { case object, array, string, number, bool, null }

    private let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0
    private var depth = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    // MARK: Structure

    /// The kind of the next value.
    mutating func peek() throws(JSONError) -> Kind {
        skipSpace()
        switch current {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default: throw unexpected("a value")
        }
    }

    mutating func beginObject() throws(JSONError) { try begin(UInt8(ascii: "{"), "an object") }

    mutating func beginArray() throws(JSONError) { try begin(UInt8(ascii: "["), "an array") }

    /// The next member's name, with the reader before its value; nil at the object's end.
    ///
    /// - Parameter first: true before the first member; kept by the caller, set by this call.
    mutating func nextMember(_ first: inout Bool) throws(JSONError) -> String? {
        guard try next(&first, end: UInt8(ascii: "}")) else { return nil }
        let name = try string()
        try expect(UInt8(ascii: ":"), "':'")
        return name
    }

    /// Whether another element follows; the reader stands before it then, else behind the array.
    mutating func nextElement(_ first: inout Bool) throws(JSONError) -> Bool {
        try next(&first, end: UInt8(ascii: "]"))
    }

    /// Nothing but space follows.
    mutating func finish() throws(JSONError) {
        skipSpace()
        if offset < bytes.count { throw unexpected("the end") }
    }

    private mutating func begin(_ open: UInt8, _ what: String) throws(JSONError) {
        skipSpace()
        guard current == open else { throw unexpected(what) }
        guard depth < Self.maxDepth else { throw error("nested deeper than \(Self.maxDepth) levels") }
        depth += 1
        offset += 1
    }

    private mutating func next(_ first: inout Bool, end: UInt8) throws(JSONError) -> Bool {
        skipSpace()
        if current == end {
            offset += 1
            depth -= 1
            return false
        }
        if !first {
            guard current == UInt8(ascii: ",") else { throw unexpected("',' or '\(Character(UnicodeScalar(end)))'") }
            offset += 1
            skipSpace()
        }
        first = false
        return true
    }

    private mutating func expect(_ byte: UInt8, _ what: String) throws(JSONError) {
        skipSpace()
        guard current == byte else { throw unexpected(what) }
        offset += 1
    }

    // MARK: Scalars

    mutating func bool() throws(JSONError) -> Bool {
        skipSpace()
        if take("true") { return true }
        if take("false") { return false }
        throw unexpected("true or false")
    }

    mutating func null() throws(JSONError) {
        skipSpace()
        guard take("null") else { throw unexpected("null") }
    }

    mutating func string() throws(JSONError) -> String {
        let raw = try rawString()
        if !raw.hasEscapes {
            guard let text = String(validating: bytes[raw.range], as: UTF8.self) else {
                throw JSONError(offset: raw.range.lowerBound, message: "a string that is not UTF-8")
            }
            return text
        }
        return try unescape(raw.range)
    }

    /// The text of a number, as its grammar wants it, and whether it is written as an integer.
    mutating func number() throws(JSONError) -> (text: UnsafeRawBufferPointer, isInteger: Bool) {
        skipSpace()
        let start = offset
        if current == UInt8(ascii: "-") { offset += 1 }
        let leading = offset
        try digits()
        if offset - leading > 1, bytes[leading] == UInt8(ascii: "0") {
            throw JSONError(offset: leading, message: "a number that begins with 0")
        }
        var isInteger = true
        if current == UInt8(ascii: ".") {
            isInteger = false
            offset += 1
            try digits()
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            isInteger = false
            offset += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { offset += 1 }
            try digits()
        }
        return (UnsafeRawBufferPointer(rebasing: bytes[start..<offset]), isInteger)
    }

    /// Passes over a value of any kind, checking its syntax. Returns its bytes.
    @discardableResult
    mutating func skipValue() throws(JSONError) -> Range<Int> {
        skipSpace()
        let start = offset
        // One bit for each open container: 1 for an object.
        var objects: UInt64 = 0
        let base = depth
        repeat {
            switch try peek() {
            case .object:
                try beginObject()
                objects = objects << 1 | 1
            case .array:
                try beginArray()
                objects <<= 1
            case .string: _ = try rawString()
            case .number: _ = try number()
            case .bool: _ = try bool()
            case .null: try null()
            }
            // Whether a container was opened just now: its first member needs no comma.
            var first = bytes[offset - 1] == UInt8(ascii: "{") || bytes[offset - 1] == UInt8(ascii: "[")
            while depth > base {
                let isObject = objects & 1 == 1
                if isObject ? try nextRawMember(&first) : try nextElement(&first) { break }
                objects >>= 1
                first = false
            }
        } while depth > base
        return start..<offset
    }

    private mutating func nextRawMember(_ first: inout Bool) throws(JSONError) -> Bool {
        guard try next(&first, end: UInt8(ascii: "}")) else { return false }
        _ = try rawString()
        try expect(UInt8(ascii: ":"), "':'")
        return true
    }

    // MARK: Bytes

    /// 0 at the end; a zero byte in the text is no part of any token, so the two need no telling apart.
    private var current: UInt8 { offset < bytes.count ? bytes[offset] : 0 }

    private mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0A, 0x0D: offset += 1
            default: return
            }
        }
    }

    private mutating func digits() throws(JSONError) {
        let start = offset
        while offset < bytes.count, bytes[offset] &- UInt8(ascii: "0") < 10 { offset += 1 }
        if offset == start { throw unexpected("a digit") }
    }

    private mutating func take(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard bytes.count - offset >= count else { return false }
        for index in 0..<count where bytes[offset + index] != word.utf8Start[index] { return false }
        offset += count
        return true
    }

    private mutating func rawString() throws(JSONError) -> (range: Range<Int>, hasEscapes: Bool) {
        skipSpace()
        guard current == UInt8(ascii: "\"") else { throw unexpected("a string") }
        offset += 1
        let start = offset
        var hasEscapes = false
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "\""):
                offset += 1
                return (start..<offset - 1, hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                offset += 2
            case 0..<0x20: throw error("a control character inside a string")
            default: offset += 1
            }
        }
        offset = bytes.count
        throw error("a string without an end")
    }

    private func unescape(_ range: Range<Int>) throws(JSONError) -> String {
        var units: [UInt8] = []
        units.reserveCapacity(range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = bytes[index]
            index += 1
            guard byte == UInt8(ascii: "\\") else {
                units.append(byte)
                continue
            }
            // A backslash is never the last byte of the range: it would have escaped the quote.
            let escape = bytes[index]
            index += 1
            switch escape {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): units.append(escape)
            case UInt8(ascii: "b"): units.append(0x08)
            case UInt8(ascii: "f"): units.append(0x0C)
            case UInt8(ascii: "n"): units.append(0x0A)
            case UInt8(ascii: "r"): units.append(0x0D)
            case UInt8(ascii: "t"): units.append(0x09)
            case UInt8(ascii: "u"): units += try Array(String(unicodeEscape(&index, range.upperBound)).utf8)
            default: throw JSONError(offset: index - 1, message: "an unknown escape")
            }
        }
        guard let text = String(validating: units, as: UTF8.self) else {
            throw JSONError(offset: range.lowerBound, message: "a string that is not UTF-8")
        }
        return text
    }

    private func unicodeEscape(_ index: inout Int, _ end: Int) throws(JSONError) -> Unicode.Scalar {
        let high = try hexadecimal(&index, end)
        if let scalar = Unicode.Scalar(high) { return scalar }
        guard high < 0xDC00, end - index >= 6, bytes[index] == UInt8(ascii: "\\"),
            bytes[index + 1] == UInt8(ascii: "u")
        else { throw JSONError(offset: index, message: "half of a surrogate pair") }
        index += 2
        let low = try hexadecimal(&index, end)
        guard (0xDC00...0xDFFF).contains(low),
            let scalar = Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
        else { throw JSONError(offset: index, message: "half of a surrogate pair") }
        return scalar
    }

    private func hexadecimal(_ index: inout Int, _ end: Int) throws(JSONError) -> UInt32 {
        guard end - index >= 4 else { throw JSONError(offset: index, message: "a short \\u escape") }
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(UnicodeScalar(bytes[index])).hexDigitValue else {
                throw JSONError(offset: index, message: "a \\u escape without four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            index += 1
        }
        return value
    }

    func error(_ message: String) -> JSONError { JSONError(offset: offset, message: message) }

    private func unexpected(_ wanted: String) -> JSONError {
        guard offset < bytes.count else { return error("the text ends where \(wanted) should be") }
        let byte = bytes[offset]
        let found = (0x21...0x7E).contains(byte) ? "'\(Character(UnicodeScalar(byte)))'" : "byte \(byte)"
        return error("\(found) where \(wanted) should be")
    }
}
