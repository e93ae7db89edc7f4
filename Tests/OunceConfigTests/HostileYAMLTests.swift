import Testing

@testable import OunceConfig

@Suite struct HostileYAMLTests {
    private static let valid = contents(root + "/Config/ounce.yaml")

    /// Whatever the bytes, there is either a value or a reason, and every reason is one line with a place.
    private func survive(_ bytes: [UInt8]) {
        let sink = DiagnosticSink(file: "f")
        let node = YAMLParser.parse(bytes, sink)
        #expect(node != nil || !sink.diagnostics.isEmpty)
        if let node {
            let paths = PathResolver(file: "f", shareDirectories: [])
            let field = Field(key: "x", node: node, sink: sink)
            let value = DaemonSettings(field, paths: paths, defaultStateDirectory: "s")
            _ = (DeviceProfile(field), Recipe(field), value?.canonicalHash)
        }
        #expect(sink.diagnostics.allSatisfy { $0.line > 0 && $0.column > 0 && !$0.description.contains("\n") })
    }

    private func errors(_ bytes: [UInt8]) -> [String] {
        let sink = DiagnosticSink(file: "f")
        _ = YAMLParser.parse(bytes, sink)
        return sink.diagnostics.map(\.description)
    }

    private func errors(_ text: String) -> [String] { errors(Array(text.utf8)) }

    @Test func survivesTruncationAtEveryByte() {
        #expect(Self.valid.count > 500)
        for count in 0...Self.valid.count { survive(Array(Self.valid.prefix(count))) }
    }

    @Test func survivesBitFlips() {
        var random = SeededGenerator(state: 11)
        print("seed 11")
        for _ in 0..<4000 {
            var bytes = Self.valid
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
            survive(bytes)
        }
    }

    @Test func survivesRandomIndicators() {
        var random = SeededGenerator(state: 13)
        print("seed 13")
        let alphabet = Array("-?:,[]{}#&*!|>'\"%@` \n\tab0~<\\\0\u{FEFF}é".utf8)
        for _ in 0..<20_000 {
            survive((0..<Int.random(in: 0...40, using: &random)).map { _ in
                alphabet.randomElement(using: &random) ?? 0
            })
        }
    }

    @Test func refusesDepth() {
        #expect(errors(String(repeating: "[", count: 100_000)).count == 1)
        #expect(
            errors(String(repeating: "[", count: 33) + String(repeating: "]", count: 33)) == [
                "f:1:33: nested deeper than 32 levels; flatten it"
            ])
        #expect(errors(String(repeating: "[", count: 32) + String(repeating: "]", count: 32)) == [])
        #expect(errors(String(repeating: "- ", count: 100_000)).count == 1)
        #expect(errors(String(repeating: "? ", count: 100_000)).count == 1)
        #expect(errors(String(repeating: "{a: ", count: 100_000)).count == 1)
    }

    @Test func refusesSize() {
        #expect(
            errors([UInt8](repeating: UInt8(ascii: "a"), count: YAMLParser.maxBytes + 1)) == [
                "f:1:1: the file has 1048577 bytes, more than the 1048576 that are read; "
                    + "move what is no configuration out of it"
            ])
        #expect(errors([UInt8](repeating: UInt8(ascii: "a"), count: YAMLParser.maxBytes)) == [])
        let many = errors("[" + String(repeating: "a,", count: 100_001) + "]")
        #expect(many.count == 1)
        #expect(many.first?.contains("more than 100000 values") == true)
    }

    @Test func refusesAliasesAnchorsAndTags() {
        #expect(errors("a: &x 1") == ["f:1:4: anchors ('&name') are not taken; remove it and write the values out"])
        #expect(errors("a: *x") == ["f:1:4: aliases ('*name') are not taken; write the value out"])
        #expect(errors("a: !!int 1") == ["f:1:4: tags ('!name') are not taken; remove the tag"])
        #expect(errors("&x [1]") == ["f:1:1: anchors ('&name') are not taken; remove it and write the values out"])
        let laughs = (0..<9).reduce("a: &a [x,x,x,x,x,x,x,x,x]\n") { text, level in
            text + "\(level): &n\(level) [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
        }
        #expect(errors(laughs).count == 1)
    }

    @Test func refusesWhatIsNoDocument() {
        #expect(errors("") == ["f:1:1: the file is empty; write at least one key into it"])
        #expect(errors("# only\n") == ["f:1:1: the file is empty; write at least one key into it"])
        #expect(
            errors("a: 1\n---\nb: 2\n") == [
                "f:2:1: a second document begins here; keep one document in a file: remove '---' and the rest"
            ])
        #expect(errors("? [a]\n: 1\n") == ["f:1:3: a key must be plain text, not a list or mapping; write 'key: value'"])
    }

    @Test func reportsRepeatedKeys() {
        #expect(
            errors("a: 1\nb: {c: 1, 'c': 2}\na: 2\n") == [
                "f:2:11: the key 'c' is there twice; remove one of the two",
                "f:3:1: the key 'a' is there twice; remove one of the two",
            ])
    }

    @Test func placesSyntaxErrors() {
        #expect(
            errors("a: [1, 2\nb: 3\n") == [
                "f:2:2: not valid YAML: did not find expected ',' or ']' (while parsing a flow sequence); "
                    + "check indentation, colons, quotes and brackets here and on the line before"
            ])
        #expect(
            errors("a:\n\t- b\n") == [
                "f:2:1: not valid YAML: found character that cannot start any token (while scanning for the next "
                    + "token); quote the text, and indent with spaces instead of tabs"
            ])
    }

    @Test func placesBytesThatAreNoText() {
        let remedy = "; save the file as UTF-8 without control characters"
        #expect(
            errors(Array("a: 1\né: ".utf8) + [0xFF]) == [
                "f:2:4: not a YAML text: invalid leading UTF-8 octet" + remedy
            ])
        #expect(
            errors(Array("a: x".utf8) + [0]) == ["f:1:5: not a YAML text: control characters are not allowed" + remedy])
        #expect(
            errors(Array("ab: ".utf8) + [0xE2, 0x82]) == [
                "f:1:5: not a YAML text: incomplete UTF-8 octet sequence" + remedy
            ])
    }

    @Test func countsColumnsInCharacters() {
        #expect(errors("{é: 1, ü: 2, é: 3}") == ["f:1:14: the key 'é' is there twice; remove one of the two"])
    }

    @Test func escapesWhatItQuotes() {
        #expect(quoted("a\u{1B}[2J\n\u{202E}b") == "'a\\u{1b}[2J\\u{a}\\u{202e}b'")
        #expect(quoted(String(repeating: "x", count: 50)) == "'\(String(repeating: "x", count: 40))…'")
    }

    @Test func boundsTheNumberOfErrors() {
        let text = (0..<5000).map { "k\($0): 1\n" }.joined()
        #expect(settings(text).errors.count == DiagnosticSink.limit)
    }
}
