import Foundation
import NIOCore
import Testing

@testable import OunceServer

@Suite struct JSONTests {
    private func read<T>(_ text: String, _ body: (inout JSONReader) throws -> T) throws -> T {
        try Array(text.utf8).withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            return try body(&reader)
        }
    }

    /// Against strtod and strtof, on numbers of every shape.
    @Test func numbersAreRoundedAsTheLibraryDoes() throws {
        let seed: UInt64 = 99
        print("seed \(seed)")
        var random = SplitMix(seed)
        var texts = [
            "0", "-0", "1e400", "-1e400", "1e-400", "5e-324", "2.4703282292062327e-324", "9007199254740993",
            "1.7976931348623157e308", "3.4028235677973366e38", "1.00000017881393432617187499", "16777217",
            "1.401298464324817e-45", "7.006492321624085e-46", "123456789012345678901234567890", "1e22", "1e23", "0.1",
        ]
        for _ in 0..<20_000 {
            let digits = String(random.next()).prefix(Int(random.next() % 19) + 1)
            let point = Int(random.next() % UInt64(digits.count)) + 1
            let whole = String(UInt64(digits.prefix(point)) ?? 0)
            let fraction = digits.dropFirst(point)
            let exponent = Int(random.next() % 80) - 40
            texts.append(
                "\(whole)\(fraction.isEmpty ? "" : ".\(fraction)")\(random.next() % 2 == 0 ? "" : "e\(exponent)")")
        }
        for text in texts {
            try read(text) { reader in
                let number = try reader.number().text
                #expect(JSONNumber.double(number).bitPattern == strtod(text, nil).bitPattern, "\(text)")
                #expect(JSONNumber.float(number).bitPattern == strtof(text, nil).bitPattern, "\(text)")
            }
        }
    }

    @Test func integers() throws {
        for (text, value) in [
            ("255", UInt8(255)), ("256", nil), ("-1", nil), ("1e2", 100), ("1.0", 1), ("1.5", nil), ("-0", 0),
        ] {
            try read(text) { reader in
                let number = try reader.number()
                #expect(
                    JSONNumber.integer(number.text, isInteger: number.isInteger, as: UInt8.self) == value, "\(text)")
            }
        }
    }

    /// Texts that Foundation's parser takes are passed over whole, and those that it refuses are refused.
    @Test func agreesWithFoundation() throws {
        let good = [
            "{}", "[]", "[[],{}]", #"{"a":[1,2,{"b":null}],"c":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}"#,
            " [ 1 , -2.5e+3 ] ",
            #""""#, "true", "[false]", #"{"":0}"#,
        ]
        let bad = [
            "", "{", "[", "]", "[,1]", "{\"a\"}", "{\"a\":}", "{a:1}", "[1 2]", "01", "1.", ".5", "-", "+1",
            "1e",
            "tru", "nul", "\"", "\"\\\"", "[1]]", "\u{1}", "\"\n\"", "NaN", "[1}", "{1:2}",
        ]
        for (texts, isGood) in [(good, true), (bad, false)] {
            for text in texts {
                let foundation =
                    (try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)) != nil
                #expect(foundation == isGood, "oracle on \(text)")
                let ours: Bool = {
                    do {
                        return try read(text) { reader in
                            try reader.skipValue()
                            try reader.finish()
                            return true
                        }
                    } catch { return false }
                }()
                #expect(ours == isGood, "\(text)")
            }
        }
    }

    /// Which Foundation would take.
    @Test func trailingCommasAreRefused() {
        for text in ["[1,]", "{\"a\":1,}"] {
            #expect(throws: JSONError.self) { try read(text) { try $0.skipValue() } }
        }
    }

    @Test func strings() throws {
        #expect(try read(#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00ü""#) { try $0.string() } == "\"\\/\u{8}\u{c}\n\r\té😀ü")
        for text in [#""\ud83d""#, #""\ude00""#, #""\ud83d\u0041""#, #""\u12""#, #""\x""#, #""\u00g0""#] {
            #expect(throws: JSONError.self) { try read(text) { try $0.string() } }
        }
        #expect(throws: JSONError.self) {
            try ([0x22, 0xC3, 0x28, 0x22] as [UInt8]).withUnsafeBytes { bytes in
                var reader = JSONReader(bytes)
                _ = try reader.string()
            }
        }
    }

    @Test func depth() throws {
        let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        _ = try read(deep) { try $0.skipValue() }
        #expect(throws: JSONError.self) { try read("[\(deep)]") { try $0.skipValue() } }
        let mixed = String(repeating: #"{"a":["#, count: 32) + String(repeating: "]}", count: 32)
        _ = try read(mixed) { try $0.skipValue() }
    }

    @Test func writing() throws {
        var writer = JSONWriter(ByteBuffer())
        writer.beginArray()
        writer.string("a\"\\\n\u{1}é")
        for value in [Float(0.1), -0.0, 1e-10, 3.4e38, .infinity, -.infinity, .nan] { writer.number(value) }
        writer.beginObject()
        writer.name("k")
        writer.integer(Int64.min)
        writer.name("l")
        writer.bool(true)
        writer.endObject()
        writer.endArray()
        let text = String(buffer: writer.take())
        #expect(
            text
                == #"["a\"\\\u000a\u0001é",0.1,-0.0,1e-10,3.4e+38,1e999,-1e999,null,{"k":-9223372036854775808,"l":true}]"#
        )
    }
}

@Suite struct HistogramTests {
    @Test func percentilesAreWithinABucket() {
        var random = SplitMix(5)
        var histogram = LatencyHistogram()
        var values: [UInt64] = []
        for _ in 0..<10_000 {
            let value = random.next() >> (random.next() % 60)
            values.append(value)
            histogram.record(nanoseconds: value)
        }
        values.sort()
        for percent in [1.0, 50, 90, 99, 100] {
            let exact = values[max(0, Int((percent / 100 * 10_000).rounded(.up)) - 1)]
            let found = histogram.percentile(percent) ?? 0
            #expect(found >= exact && Double(found) <= Double(exact) * 1.125 + 1, "\(percent): \(found) \(exact)")
        }
        #expect(LatencyHistogram().percentile(50) == nil)
        histogram.record(nanoseconds: .max)
        #expect(histogram.percentile(100) == .max)
    }
}
