import Testing

@testable import OunceConfig

@Suite struct SnapshotTests {
    @Test(arguments: [
        "quantize: {weights: int8}",
        "quantize: {weights: int8, activations: float32, per_channel: false}",
        "quantize: {weights: int8, calibration: percentile, percentile: 99.9, layers: ['conv*'], keep_float: ['*fc?']}",
        "binarize: {}",
        "binarize: {layers: ['b*'], keep: [b1], kinds: [conv], min_parameters: 9, keep_ends: false, activations: float32}",
        "binarize: {scaling: channel, estimator: clipped, progressive: false, fine_tune: {epochs: 2, learning_rate: 0.1}}",
        "quantize: {weights: int8, calibration: minmax, min_input_sqnr: 12.5, float_output: false}",
        "quantize: {weights: int8, symmetric: true, activations: int16, kinds: [conv1x1], min_parameters: 100}",
        "quantize: {weights: int4, group: 16, rounding: learned, first_last: same}",
        "quantize: {weights: int2, group: none, overrides: [{layers: ['a*', b], weights: int4, group: 64}, {kinds: [conv, depthwise], keep: [c], min_parameters: 9, weights: int8}]}",
        "quantize: {weights: float16, layers: ['fc*'], keep_float: [b], min_input_sqnr: 3, float_output: false}",
        "quantize: {weights: int4, fine_tune: {epochs: 2.5, learning_rate: 1e-7, loss: cross_entropy, warmup: 10%}}",
    ])
    func recipeReadsBackTheSame(step: String) throws {
        let original = try #require(recipe("name: a-b\nsteps:\n  - \(step)\n").value)
        let again = try #require(recipe(ConfigSnapshot.yaml(original)).value)
        #expect(again == original)
        #expect(again.canonicalHash == original.canonicalHash)
    }

    @Test(arguments: ["4.0W", "900mW", "0.05mW", "123.456W"])
    func profileReadsBackTheSame(perCore: String) throws {
        let text = ProfileTests.board.replacing("900mW", with: perCore)
        let original = try #require(profile(text).value)
        let again = try #require(profile(ConfigSnapshot.yaml(original)).value)
        #expect(again.canonicalHash == original.canonicalHash)
        #expect(again.power == original.power)
    }
}
