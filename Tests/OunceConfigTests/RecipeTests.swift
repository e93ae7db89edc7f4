import Testing

@testable import OunceConfig

@Suite struct RecipeTests {
    @Test func decodesEveryKey() throws {
        let (value, errors) = recipe(
            """
            name: mine
            description: for the pump
            steps:
              - quantize:
                  weights: int8
                  activations: int8
                  per_channel: false
                  calibration: percentile
                  percentile: 99.9
                  layers: ['conv*', fc?]
                  keep_float: [conv1]
            """)
        #expect(errors == [])
        let recipe = try #require(value)
        guard case .quantize(let step) = try #require(recipe.steps.first) else { return }
        #expect(step.activations == .int8)
        #expect(!step.perChannel)
        #expect(step.calibration == .percentile(99.9))
        #expect(step.selection.covers(name: "conv2", kind: nil, parameters: 9))
        #expect(!step.selection.covers(name: "conv1", kind: nil, parameters: 9))
        #expect(step.selection.covers(name: "fc7", kind: nil, parameters: 9))
        #expect(!step.selection.covers(name: "fc77", kind: nil, parameters: 9))
    }

    @Test func hasDefaults() throws {
        let value = try #require(recipe("{name: x, steps: [quantize: {weights: int8}]}").value)
        #expect(value.steps == [.quantize(Quantization())])
        let percentile = recipe("{name: x, steps: [quantize: {weights: int8, calibration: percentile}]}").value
        #expect(percentile?.steps == [.quantize(Quantization(calibration: .percentile(99.99)))])
    }

    @Test(arguments: [
        (
            "quantise: {weights: int8}",
            "f:1:19: unknown step 'quantise'; did you mean 'quantize'? "
                + "(the steps are quantize, fine_tune, prune, low_rank or binarize)"
        ),
        (
            "quantize: {weights: int3}",
            "f:1:39: 'weights' cannot be 'int3'; did you mean 'int8'? (it takes int8, int4, int2 or float16)"
        ),
        (
            "quantize: {weights: int8, group: 32}",
            "f:1:45: 'group' has no effect on int8 weights; write 'weights: int4' or 'weights: int2', or remove 'group'"
        ),
        (
            "quantize: {weights: int4, group: 24}",
            "f:1:52: 'group' is 24, but factors are stored for 16 or a multiple of 32 weights; "
                + "write 16, 32, 64, 128, or none"
        ),
        (
            "quantize: {weights: int4, rounding: learned, fine_tune: {}}",
            "f:1:45: 'rounding: learned' has no effect with 'fine_tune', which trains the weights onto the grid; "
                + "remove one of the two"
        ),
        (
            "quantize: {weights: int8, first_last: same}",
            "f:1:45: 'first_last' has no effect on int8 weights; "
                + "write 'weights: int4' or 'weights: int2', or remove 'first_last'"
        ),
        (
            "quantize: {weights: float16, activations: int8}",
            "f:1:48: float16 weights compute in float32; remove 'activations', or write 'weights: int8'"
        ),
        (
            "quantize: {weights: float16, fine_tune: {}}",
            "f:1:48: 'fine_tune' has no effect on float16 weights, which are stored as they are, rounded; "
                + "remove 'fine_tune', or write 'weights: int8'"
        ),
        (
            "quantize: {weights: int8, activations: int16, fine_tune: {}}",
            "f:1:65: 'fine_tune' has no effect with int16 activations, which lose next to nothing; "
                + "remove it, or write 'activations: int8'"
        ),
        (
            "quantize: {weights: int4, overrides: [{layers: [a], weights: float16}]}",
            "f:1:80: 'weights' cannot be 'float16'; it takes int8, int4 or int2"
        ),
        (
            "quantize: {weights: int4, overrides: [{weights: int8}]}",
            "f:1:57: 'overrides[0]' chooses no layers; add 'layers: […]', 'kinds: […]' or 'min_parameters: …'"
        ),
        (
            "quantize: {weights: int8, fine_tune: {loss: mse, temperature: 3}}",
            "f:1:68: 'temperature' has no effect without 'loss: distill'; write 'loss: distill', or remove 'temperature'"
        ),
        ("quantize: {activations: int8}", "f:1:29: 'quantize' lacks the key 'weights'; add 'weights: …'"),
        (
            "quantize: {weights: int8, per_channel: yes}",
            "f:1:58: 'per_channel' must be true or false, found 'yes'; "
                + "write true or false"
        ),
        (
            "quantize: {weights: int8, percentile: 99}",
            "f:1:45: 'percentile' has no effect without "
                + "'calibration: percentile'; write 'calibration: percentile', or remove 'percentile'"
        ),
        (
            "quantize: {weights: int8, calibration: percentile, percentile: 101}",
            "f:1:82: 'percentile' is '101', "
                + "out of range; give a number from 50 to 100"
        ),
        (
            "quantize: {weights: int8, calibration: kl}",
            "f:1:58: 'calibration' cannot be 'kl'; "
                + "it takes minmax, percentile, mse or entropy"
        ),
        ("quantize: {weights: int8, layers: []}", "f:1:53: 'layers' has 0 items; give it 1 to 1024"),
        (
            "quantize",
            "f:1:19: 'steps[0]' must be one step with its settings, found 'quantize'; "
                + "write '- quantize: {weights: int8, activations: int8}'"
        ),
    ])
    func refuses(step: String, error: String) {
        #expect(recipe("{name: x, steps: [\(step)]}").errors == [error])
    }

    /// Against a direct recursive definition.
    @Test func globMatchesItsDefinition() {
        func defined(_ p: Substring, _ n: Substring) -> Bool {
            guard let first = p.first else { return n.isEmpty }
            if first == "*" { return defined(p.dropFirst(), n) || (!n.isEmpty && defined(p, n.dropFirst())) }
            return !n.isEmpty && (first == "?" || first == n.first) && defined(p.dropFirst(), n.dropFirst())
        }
        var random = SeededGenerator(state: 7)
        print("seed 7")
        var matches = 0
        for _ in 0..<20_000 {
            let pattern = String(
                (0..<Int.random(in: 0...6, using: &random)).map { _ in
                    "ab*?".randomElement(using: &random) ?? "a"
                })
            let name = String(
                (0..<Int.random(in: 0...7, using: &random)).map { _ in
                    "ab".randomElement(using: &random) ?? "a"
                })
            let expected = defined(pattern[...], name[...])
            matches += expected ? 1 : 0
            #expect(GlobPattern(pattern).matches(name) == expected, "\(pattern) on \(name)")
        }
        #expect(matches > 1000)
    }

    @Test func globTakesNoExponentialTime() {
        let pattern = String(repeating: "*a", count: 120) + "b"
        #expect(!GlobPattern(pattern).matches(String(repeating: "a", count: 4000)))
    }
}

@Suite struct FineTuningTests {
    @Test func decodesEveryKey() throws {
        let (value, errors) = recipe(
            """
            name: mine
            steps:
              - fine_tune:
                  epochs: 2.5
                  loss: cross_entropy
                  optimizer: sgd
                  learning_rate: 0.01
                  schedule: step
                  warmup: 10%
                  batch_size: 32
                  weight_decay: 0.0001
                  clip: 0
                  augment: {shift: 4, flip: true, noise: 0.1, time_mask: 3, mixup: 0.8}
                  seed: 7
                  layers: ['conv*']
                  freeze: [conv1]
            """)
        #expect(errors == [])
        guard case .fineTune(let step) = try #require(value?.steps.first) else { return }
        #expect(
            step
                == FineTuning(
                    epochs: 2.5, loss: .crossEntropy, optimizer: .sgd, learningRate: 0.01, schedule: .step,
                    warmup: 0.1, batchSize: 32, weightDecay: 0.0001, clip: 0,
                    augmentation: .init(shift: 4, flip: true, noise: 0.1, timeMask: 3, mixup: 0.8), seed: 7,
                    layers: [GlobPattern("conv*")], freeze: [GlobPattern("conv1")]))
        #expect(step.covers(layer: "conv2") && !step.covers(layer: "conv1") && !step.covers(layer: "fc"))
    }

    @Test func defaultsAndSnapshots() throws {
        let value = try #require(recipe("{name: x, steps: [fine_tune: {}]}").value)
        #expect(value.steps == [.fineTune(FineTuning())])
        let steps: [RecipeStep] = [
            .fineTune(
                FineTuning(
                    epochs: 0.5, loss: .mse, weightDecay: 1e-5, augmentation: .init(shift: 2, mixup: 1),
                    layers: [GlobPattern("*")],
                    freeze: [GlobPattern("a")])),
            .fineTune(FineTuning(temperature: 4, labelWeight: 0.5)),
        ]
        let original = Recipe(name: "two", steps: steps)
        let again = try #require(recipe(ConfigSnapshot.yaml(original)).value)
        #expect(again.canonicalHash == original.canonicalHash)
        #expect(again.canonicalHash != value.canonicalHash)
    }

    @Test(arguments: [
        ("{epochs: 0}", "'epochs' is '0', out of range"), ("{loss: hinge}", "'loss' cannot be 'hinge'"),
        ("{loss: mse, temperature: 3}", "'temperature' has no effect"),
        ("{loss: cross_entropy, label_weight: 1}", "'label_weight' has no effect"),
        ("{label_weight: -1}", "'label_weight' is '-1', out of range"), ("{batch_size: 0}", "'batch_size' is 0"),
        ("{augment: {rotate: 3}}", "unknown key 'rotate'"), ("{warmup: 120%}", "'warmup' is '120%', out of range"),
        ("{learning_rate: fast}", "'learning_rate' must be a number"), ("{layers: []}", "'layers' has 0 items"),
    ])
    func saysWhatIsWrong(text: String, message: String) {
        let errors = recipe("{name: x, steps: [fine_tune: \(text)]}").errors
        #expect(errors.count == 1 && errors[0].contains(message), "\(errors)")
    }
}

@Suite struct BinarizationTests {
    @Test func decodesEveryKey() throws {
        let (value, errors) = recipe(
            """
            name: mine
            steps:
              - binarize:
                  layers: ['conv*']
                  keep: [conv9]
                  kinds: [conv, fully_connected]
                  min_parameters: 100
                  keep_ends: false
                  activations: binary
                  scaling: channel
                  estimator: clipped
                  progressive: false
                  fine_tune: {epochs: 7, loss: cross_entropy}
            """)
        #expect(errors == [])
        guard case .binarize(let step) = try #require(value?.steps.first) else { return }
        let selection = LayerSelection(
            layers: [GlobPattern("conv*")], keep: [GlobPattern("conv9")], kinds: [.conv, .fullyConnected],
            minParameters: 100)
        #expect(
            step
                == Binarization(
                    selection: selection, keepsEnds: false, activations: .binary, scaling: .channel,
                    estimator: .clipped, isProgressive: false,
                    fineTuning: FineTuning(epochs: 7, loss: .crossEntropy)))
        let usual = try #require(recipe("{name: x, steps: [binarize: {}]}").value)
        #expect(usual.steps == [.binarize(Binarization())])
        #expect(usual.canonicalHash != value?.canonicalHash)
    }

    @Test(arguments: [
        ("{activations: int2}", "'activations' cannot be 'int2'"), ("{scaling: none}", "'scaling' cannot be 'none'"),
        ("{activations: float32, progressive: true}", "'progressive' has no effect"),
        ("{estimator: straight}", "'estimator' cannot be 'straight'"), ("{kinds: [conv3]}", "cannot be 'conv3'"),
        ("{fine_tune: {epochs: 0}}", "'epochs' is '0', out of range"), ("{ends: true}", "unknown key 'ends'"),
    ])
    func saysWhatIsWrong(text: String, message: String) {
        let errors = recipe("{name: x, steps: [binarize: \(text)]}").errors
        #expect(errors.count == 1 && errors[0].contains(message), "\(errors)")
    }
}
