import Testing

@testable import OunceConfig

@Suite struct HashTests {
    @Test func ignoresFormattingCommentsAndOrder() throws {
        let a = try #require(profile(ProfileTests.board).value)
        let b = try #require(
            profile(
                """
                # the same
                "power":
                    sensor:   '/sys/class/hwmon/hwmon0/power1_input'
                    per_core: 0.9W   # not 900mW
                    idle: 2700 mW
                    budget: "4W"
                simd:
                  features:
                    - neon
                  width: 128
                memory: 262144KiB
                cores: 4
                name: board
                notes: [for people]
                """
            ).value)
        #expect(a.canonicalHash == b.canonicalHash)
        #expect(a.canonicalHash.count == 64)
        #expect(a.canonicalHash.allSatisfy { "0123456789abcdef".contains($0) })
    }

    @Test(arguments: [
        ("cores: 4", "cores: 3"), ("256MiB", "256MB"), ("neon", "dotprod"), ("4.0W", "4.1W"), ("2.7W", "2.8W"),
        ("900mW", "901mW"), ("name: board", "name: bored"), ("power1", "power2"), ("cores: 4", "cores: [4]"),
    ])
    func seesEveryChangeOfAProfile(old: String, new: String) throws {
        let a = try #require(profile(ProfileTests.board).value)
        let b = try #require(profile(ProfileTests.board.replacing(old, with: new)).value)
        #expect(a.canonicalHash != b.canonicalHash)
    }

    @Test func seesEveryChangeOfARecipe() throws {
        let variants = [
            "[]", "[quantize: {weights: int8}]", "[quantize: {weights: int8}, quantize: {weights: int8}]",
            "[quantize: {weights: int8, activations: float32}]", "[quantize: {weights: int8, per_channel: false}]",
            "[quantize: {weights: int8, calibration: minmax}]", "[quantize: {weights: int8, calibration: percentile}]",
            "[quantize: {weights: int8, calibration: percentile, percentile: 99}]",
            "[quantize: {weights: int8, layers: [a]}]", "[quantize: {weights: int8, keep_float: [a]}]",
        ]
        let hashes = try variants.map { try #require(recipe("{name: x, steps: \($0)}").value).canonicalHash }
        #expect(Set(hashes).count == variants.count)
        let same = try [
            "[quantize: {weights: int8, calibration: percentile, percentile: 99.99%}]",
            "[quantize: {calibration: percentile, weights: int8, activations: int8, per_channel: true}]",
        ].map { try #require(recipe("{name: x, description: y, steps: \($0)}").value).canonicalHash }
        #expect(same == [hashes[6], hashes[6]])
    }

    @Test func seesEveryChangeOfSettings() throws {
        let base = """
            profile: auto.yaml
            models: [{name: a, source: s, data: {calibration: c}, accuracy: {metric: auc, floor: 0.5}}]
            server: {socket: /run/s}
            """
        let changes = [
            ("auto.yaml", "other.yaml"), ("name: a", "name: b"), ("source: s", "source: t"), ("source:", "artifact:"),
            ("calibration: c", "validation: c"), ("auc", "top1"), ("floor: 0.5", "max_drop: 0.5"), ("/run/s", "/run/t"),
            ("/run/s", "/run/s, mode: 0600"), ("/run/s", "/run/s, group: g"), ("/run/s", "/run/s, max_connections: 9"),
            ("/run/s", "/run/s, request_timeout: 1s"), ("/run/s", "/run/s, max_request: 1MiB"),
            ("/run/s", "/run/s, max_sequences: 9"), ("/run/s", "/run/s, sequence_timeout: 9s"),
            ("name: a", "name: a, state: {h: i}"), ("name: a", "name: a, state: {h: j}"),
            ("name: a", "name: a, threads: 2"), ("name: a", "name: a, latency: {p99: 1ms}"),
            ("name: a", "name: a, recipe: int8"), ("profile", "state: x\nprofile"),
            ("profile", "log: {level: debug}\nprofile"),
            ("profile", "compress: {memory: 1GiB}\nprofile"), ("profile", "compress: {timeout: 1s}\nprofile"),
        ]
        let texts = [base] + changes.filter { $0.0 != "source:" }.map { base.replacing($0.0, with: $0.1) }
        let hashes = try texts.map { try #require(settings($0).value, "\($0)").canonicalHash }
        #expect(Set(hashes).count == texts.count)
        let spelled = base.replacing("/run/s", with: "\"/run/s\", mode: \"0660\", max_request: 65536KiB")
        #expect(settings(spelled).value?.canonicalHash == hashes[0])
    }

    /// A fixed value: a change of it means that every artifact is made anew.
    @Test func isStable() throws {
        let none = try #require(recipe("{name: none, steps: []}").value)
        // Computed with Python's hashlib from the encoding that CanonicalValue describes.
        #expect(none.canonicalHash == Self.noneHash)
    }
}

extension HashTests {
    fileprivate static let noneHash = "66ecdc0935873c4a3ffe80d4e39f16ba9c206fe8cd0b6c57ca3aea183fe8ef92"
}
