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
        #expect(step.covers(layer: "conv2"))
        #expect(!step.covers(layer: "conv1"))
        #expect(step.covers(layer: "fc7"))
        #expect(!step.covers(layer: "fc77"))
    }

    @Test func hasDefaults() throws {
        let value = try #require(recipe("{name: x, steps: [quantize: {weights: int8}]}").value)
        #expect(value.steps == [.quantize(Quantization())])
        let percentile = recipe("{name: x, steps: [quantize: {weights: int8, calibration: percentile}]}").value
        #expect(percentile?.steps == [.quantize(Quantization(calibration: .percentile(99.99)))])
    }

    @Test(arguments: ["prune", "low_rank", "binarize"])
    func saysWhichStepsThisVersionDoesNotApply(step: String) {
        #expect(
            recipe("name: x\nsteps:\n  - \(step): {}\n").errors == [
                "f:3:5: the step '\(step)' is not applied by this version of Ounce; "
                    + "remove it; this version applies quantize or fine_tune"
            ])
    }

    @Test(arguments: [
        (
            "quantise: {weights: int8}",
            "f:1:19: unknown step 'quantise'; did you mean 'quantize'? "
                + "(this version applies quantize or fine_tune)"
        ),
        ("quantize: {weights: int4}", "f:1:39: 'weights' cannot be 'int4'; did you mean 'int8'? (it takes int8)"),
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
                + "it takes minmax, percentile or mse"
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
