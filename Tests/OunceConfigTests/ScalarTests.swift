import Testing

@testable import OunceConfig

/// Expected values: the YAML 1.2 core schema. Where PyYAML 6 (YAML 1.1) gives another type, the note says which.
@Suite struct ScalarTests {
    @Test(arguments: [
        ("", PlainScalar.null), ("~", .null), ("null", .null), ("NULL", .null), ("nULL", .string),
        ("true", .bool(true)), ("False", .bool(false)), ("tRUE", .string),
        ("yes", .string), ("off", .string),  // PyYAML: bool
        ("0", .integer(0)), ("-0", .integer(0)), ("+12", .integer(12)), ("-7", .integer(-7)),
        ("0x1F", .integer(31)), ("0xg", .string), ("0x", .string), ("0x-1", .string), ("-0x1", .string),
        ("0o17", .integer(15)),  // PyYAML: str
        ("017", .string), ("08", .string), ("00", .string),  // PyYAML: octal 15, str, 0
        ("1_000", .string), ("1:30", .string),  // PyYAML: 1000, 90
        ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
        ("9223372036854775808", .real(9_223_372_036_854_775_808)),
        ("1.5", .real(1.5)), ("-1.5", .real(-1.5)), (".5", .real(0.5)), ("-.5", .real(-0.5)), ("5.", .real(5)),
        ("1e3", .real(1000)),  // PyYAML: str
        ("1.0e+3", .real(1000)), ("1.E2", .real(100)), ("12e03", .real(12_000)), ("1e", .string), ("1e+", .string),
        (".", .string), ("..", .string), ("+", .string), ("-", .string), (".e5", .string), ("1.2.3", .string),
        ("0.5", .real(0.5)), ("00.5", .string), ("1e999", .real(.infinity)), ("1e-999", .real(0)),
        (".inf", .real(.infinity)), ("-.INF", .real(-.infinity)), ("inf", .string), ("nan", .string),
        ("2024-01-01", .string), ("4.0W", .string), ("1 2", .string), (" 1", .string), ("١", .string), ("1e٣", .string),
    ])
    func resolvesPlainScalars(text: String, expected: PlainScalar) {
        #expect(PlainScalar(text) == expected)
    }

    @Test func resolvesNotANumber() {
        guard case .real(let value) = PlainScalar(".nan") else { return #expect(Bool(false)) }
        #expect(value.isNaN)
    }

    @Test(arguments: [
        ("0B", 0.0), ("1B", 1), ("1KiB", 1024), ("256MiB", 268_435_456), ("1.5 GiB", 1_610_612_736),
        ("2kB", 2000), ("3MB", 3_000_000), ("0.5GB", 500_000_000), ("  1KiB", -1), (".5KiB", 512), ("1e3B", -1),
        ("-1KiB", -1), ("1kib", -1), ("1 K", -1), ("KiB", -1), ("", -1), ("1.2.3B", -1), ("010B", -1),
    ])
    func readsSizes(text: String, bytes: Double) {
        #expect((try? Quantity.size.parse(text)) ?? -1 == bytes)
    }

    @Test(arguments: [("4.0W", 4.0), ("900mW", 0.9), ("0W", 0), ("4", -1), ("4w", -1), ("4kW", -1)])
    func readsPowers(text: String, watts: Double) {
        #expect((try? Quantity.power.parse(text)) ?? -1 == watts)
    }

    @Test(arguments: [("5ms", 5000.0), ("250us", 250), ("1.5s", 1_500_000), ("5m", -1), ("5 ms", 5000), ("5", -1)])
    func readsTimes(text: String, microseconds: Double) {
        #expect((try? Quantity.time.parse(text)) ?? -1 == microseconds)
    }

    @Test func editDistanceCountsSwapsAsOne() {
        func distance(_ a: String, _ b: String) -> Int { editDistance(Array(a.utf8), Array(b.utf8)) }
        #expect(distance("", "") == 0)
        #expect(distance("", "abc") == 3)
        #expect(distance("kitten", "sitting") == 3)
        #expect(distance("noen", "neon") == 1)
        #expect(distance("ca", "abc") == 3)
        #expect(nearest(to: "per-core", among: ["budget", "per_core"]) == "per_core")
        #expect(nearest(to: "xyzzy", among: ["budget", "per_core"]) == nil)
    }
}
