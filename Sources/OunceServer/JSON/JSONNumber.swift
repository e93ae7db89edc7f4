import Glibc

/// Turns the text of a JSON number into a value, correctly rounded.
enum JSONNumber {
    private static let powersOfTen: [Double] = [
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ]

    /// Infinite where the number is too large for the type.
    ///
    /// Where mantissa and power of ten are both exact as Double, one division or multiplication rounds correctly
    /// (Clinger, "How to Read Floating Point Numbers Accurately", 1990); the rest goes to strtod(3).
    static func double(_ text: UnsafeRawBufferPointer) -> Double {
        var mantissa: UInt64 = 0
        var digits = 0
        var scale = 0
        var exponent = 0
        var index = 0
        let negative = text.first == UInt8(ascii: "-")
        if negative { index = 1 }
        var inFraction = false
        while index < text.count {
            let byte = text[index]
            if byte &- UInt8(ascii: "0") < 10 {
                digits += mantissa == 0 && byte == UInt8(ascii: "0") ? 0 : 1
                guard digits <= 18 else { return slow(text) }
                mantissa = mantissa * 10 + UInt64(byte - UInt8(ascii: "0"))
                if inFraction { scale += 1 }
            } else if byte == UInt8(ascii: ".") {
                inFraction = true
            } else {
                guard let value = smallInteger(text, from: index + 1) else { return slow(text) }
                exponent = value
                break
            }
            index += 1
        }
        let power = exponent - scale
        guard mantissa <= 1 << 53, power.magnitude <= 22 else { return slow(text) }
        let magnitude =
            power < 0 ? Double(mantissa) / powersOfTen[-power] : Double(mantissa) * powersOfTen[power]
        return negative ? -magnitude : magnitude
    }

    static func float(_ text: UnsafeRawBufferPointer) -> Float {
        let wide = double(text)
        // Rounding twice goes wrong only where the first result lies exactly between two floats.
        let isBetween = wide.bitPattern & 0x1FFF_FFFF == 0x1000_0000
        let isSubnormal = wide != 0 && wide.magnitude < 0x1p-126
        return isBetween || isSubnormal ? strtof(String(decoding: text, as: UTF8.self), nil) : Float(wide)
    }

    private static func slow(_ text: UnsafeRawBufferPointer) -> Double {
        strtod(String(decoding: text, as: UTF8.self), nil)
    }

    /// An exponent of at most four digits.
    private static func smallInteger(_ text: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var index = start
        var negative = false
        if index < text.count, text[index] == UInt8(ascii: "-") || text[index] == UInt8(ascii: "+") {
            negative = text[index] == UInt8(ascii: "-")
            index += 1
        }
        guard text.count - index <= 4 else { return nil }
        var value = 0
        while index < text.count {
            value = value * 10 + Int(text[index] &- UInt8(ascii: "0"))
            index += 1
        }
        return negative ? -value : value
    }

    /// nil where the number is no integer or does not fit.
    static func integer<T: FixedWidthInteger>(
        _ text: UnsafeRawBufferPointer, isInteger: Bool, as type: T.Type = T.self
    ) -> T? {
        // "1.0" and "1e3" are integers too.
        guard isInteger else { return T(exactly: double(text)) }
        let negative = text.first == UInt8(ascii: "-")
        var value: T = 0
        for byte in text.dropFirst(negative ? 1 : 0) {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            guard !overflow, let digit = T(exactly: byte &- UInt8(ascii: "0")) else { return nil }
            let (next, carry) =
                negative ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
            guard !carry else { return nil }
            value = next
        }
        return value
    }
}
