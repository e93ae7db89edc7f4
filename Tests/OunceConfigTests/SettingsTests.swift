import Testing

@testable import OunceConfig

@Suite struct SettingsTests {
    static let minimal = """
        profile: auto.yaml
        models: []
        server: {socket: /run/s}
        """

    @Test func decodesEveryKey() throws {
        let (value, errors) = settings(
            """
            profile: profiles/pi.yaml
            recipes: my-recipes
            state: state
            models:
              - name: vibration
                source: models/v.onnx
                recipe: int8
                data: {calibration: c.npz, validation: /data/v.npz, training: t.npz}
                accuracy: {metric: auc, max_drop: 0.5, floor: 90%}
                latency: {p99: 2.5ms}
                threads: 2
                state: {h: h_next, "c 0": c_next}
                shapes: {images: [1, 3, 320, "?"]}
                values: {rate: 16000}
              - {name: ready, artifact: r.ounce}
              - {name: other, source: o.tflite, recipe: mine/x.yaml}
              - {name: inline, source: o.tflite, recipe: [quantize: {weights: int8}]}
            server:
              socket: ounce.sock
              group: _ounce-1
              mode: 0600
              max_request: 1MiB
              max_connections: 3
              request_timeout: 2s
              max_sequences: 5
              sequence_timeout: 1500ms
            compress: {memory: 50%, timeout: 60s}
            log: {level: debug}
            """)
        #expect(errors == [])
        let settings = try #require(value)
        #expect(settings.profile == .file("/etc/ounce/profiles/pi.yaml"))
        #expect(settings.stateDirectory == "/etc/ounce/state")
        #expect(settings.server.socket == "/etc/ounce/ounce.sock")
        #expect(settings.server.group == "_ounce-1")
        #expect(settings.server.mode == 0o600)
        #expect(settings.server.maxRequest == 1_048_576)
        #expect(settings.server.maxConnections == 3)
        #expect(settings.server.requestTimeout == .seconds(2))
        #expect(settings.server.maxSequences == 5)
        #expect(settings.server.sequenceTimeout == .milliseconds(1500))
        #expect(settings.compress == DaemonSettings.Compress(memory: .percent(50), timeout: .seconds(60)))
        #expect(settings.logLevel == .debug)
        let first = try #require(settings.models.first)
        #expect(first.origin == .source("/etc/ounce/models/v.onnx"))
        #expect(first.recipe == .file("/etc/ounce/my-recipes/int8.yaml"))
        #expect(first.calibration == "/etc/ounce/c.npz")
        #expect(first.validation == "/data/v.npz")
        #expect(first.training == "/etc/ounce/t.npz")
        #expect(first.accuracy == ModelSettings.Accuracy(metric: .auc, maxDrop: 0.5, floor: 0.9))
        #expect(first.latencyP99 == .microseconds(2500))
        #expect(first.threads == 2)
        #expect(first.states == ["c 0": "c_next", "h": "h_next"])
        #expect(first.shapes == ["images": [1, 3, 320, -1]] && first.values == ["rate": 16000])
        #expect(settings.models[1].origin == .artifact("/etc/ounce/r.ounce"))
        #expect(settings.models[2].recipe == .file("/etc/ounce/mine/x.yaml"))
        #expect(
            settings.models[3].recipe
                == .inline(Recipe(name: "inline", steps: [.quantize(Quantization())])))
    }

    @Test func hasDefaults() throws {
        let settings = try #require(settings(Self.minimal).value)
        #expect(settings.stateDirectory == "/state")
        #expect(settings.server.mode == 0o660)
        #expect(settings.server.maxRequest == 67_108_864)
        #expect(settings.server.maxConnections == 64)
        #expect(settings.server.requestTimeout == nil)
        #expect(settings.server.maxSequences == 64)
        #expect(settings.server.sequenceTimeout == .seconds(60))
        #expect(settings.server.group == nil)
        #expect(settings.logLevel == .info)
    }

    @Test func reportsSeveralErrorsAtTheirPlaces() {
        let (value, errors) = settings(
            """
            profile: [auto]
            models:
              - name: a/b
                sauce: x
              - name: twin
                source: x
                artifact: y
              - name: twin
                artifact: y
                recipe: int8
                threads: 0
              - name: ok
                source: x
                accuracy: {metric: mse, floor: 0.1}
                latency: {p99: 5}
                state: [h]
            server:
              socket: /run/\(String(repeating: "s", count: 110))
              mode: 660
              max_request: 10TiB
            log: {level: loud}
            """)
        #expect(value == nil)
        #expect(
            errors == [
                "f:1:10: 'profile' must be text, found a list; write one word or quoted text",
                "f:4:5: unknown key 'sauce' in 'models[0]'; did you mean 'source'? (the keys are name, "
                    + "source, artifact, shapes, values, recipe, data, accuracy, latency, threads or state)",
                "f:3:11: 'name' cannot be 'a/b'; use letters, digits, '.', '_' and '-' only",
                "f:3:5: 'models[0]' lacks the key 'source'; add 'source: …' (a float model) or "
                    + "'artifact: …' (a ready .ounce file)",
                "f:7:5: 'models[1]' has both 'source' and 'artifact'; remove one of the two",
                "f:11:14: 'threads' is 0, out of range; give a whole number from 1 to 1024",
                "f:10:5: 'recipe' has no effect on a ready artifact; "
                    + "remove it, or give 'source' instead of 'artifact'",
                "f:14:29: 'floor' does not fit mse, of which less is better; use 'max_drop' instead",
                "f:15:20: 'p99' has no unit: '5'; add one of us, ms or s, as in 5ms",
                "f:16:12: 'state' must be a mapping, found a list; write {name: value}",
                "f:18:11: the socket's path has 115 bytes: '/run/sssssssssssssssssssssssssssssssssss…'; "
                    + "choose one of at most 107 bytes, as Unix sockets require",
                "f:19:9: 'mode' must be four octal digits from \"0000\" to \"0777\", found '660'; "
                    + "write it as \"0660\"",
                "f:20:16: 'max_request' has the unknown unit 'TiB'; the units are B, KiB, MiB, GiB, kB, MB or GB",
                "f:21:14: 'level' cannot be 'loud'; it takes trace, debug, info, notice, warning, error or critical",
                "f:8:11: the model 'twin' is there already, on line 5; give each model its own name",
            ])
    }

    @Test func namesMissingKeysAtTheMapping() {
        #expect(
            settings("\n# nothing here\nlog: {}\n").errors == [
                "f:3:1: 'settings' lacks the key 'profile'; add 'profile: …'",
                "f:3:1: 'settings' lacks the key 'models'; add 'models: …'",
                "f:3:1: 'settings' lacks the key 'server'; add 'server: …'",
                "f:3:6: 'log' lacks the key 'level'; add 'level: …'",
            ])
    }

    @Test(arguments: ["\"0660\"", "0660", "'0660'"])
    func takesModesQuotedOrNot(mode: String) {
        let text = Self.minimal.replacing("/run/s}", with: "/run/s, mode: \(mode)}")
        #expect(settings(text).value?.server.mode == 0o660)
    }

    @Test(arguments: ["0o660", "0888", "1777", "660", "true", "[0]", "00660", "+660"])
    func refusesOtherModes(mode: String) {
        #expect(settings(Self.minimal.replacing("/run/s}", with: "/run/s, mode: \(mode)}")).errors.count == 1)
    }

    @Test(arguments: ["\"a\\0b\"", "\"a\\nb\"", "12", "true", "\"\"", "{a: b}"])
    func refusesTextThatIsNoPath(path: String) {
        let (value, errors) = settings(Self.minimal.replacing("auto.yaml", with: path))
        #expect(value == nil)
        #expect(!errors.isEmpty)
        #expect(errors.allSatisfy { !$0.contains("\n") && !$0.contains("\0") })
    }
}
