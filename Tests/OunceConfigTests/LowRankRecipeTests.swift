import Testing

@testable import OunceConfig

@Suite struct LowRankRecipeTests {
    private func step(_ text: String) -> (step: LowRank?, errors: [String]) {
        let (value, errors) = recipe("name: x\nsteps:\n  - low_rank: \(text)\n")
        guard case .lowRank(let step)? = value?.steps.first else { return (nil, errors) }
        return (step, errors)
    }

    @Test func decodesEveryKey() throws {
        let (value, errors) = step(
            "{method: svd, ratio: 50%, data_aware: false, only_faster: false, layers: ['fc*'], keep: [fc9], "
                + "kinds: [fully_connected, conv1x1], min_parameters: 100, fine_tune: {epochs: 2}}")
        #expect(errors == [])
        #expect(
            value
                == LowRank(
                    method: .svd, target: .ratio(0.5), dataAware: false, onlyFaster: false,
                    selection: LayerSelection(
                        layers: [GlobPattern("fc*")], keep: [GlobPattern("fc9")], kinds: [.fullyConnected, .conv1x1],
                        minParameters: 100), fineTune: FineTuning(epochs: 2)))
        #expect(step("{}").step == LowRank())
    }

    @Test(arguments: [
        ("{energy: 0.9, ratio: 0.5}", "'energy' and 'ratio' both say how ranks are found"),
        ("{energy: 1.5}", "'energy' is '1.5', out of range"),
        ("{method: qr}", "'method' cannot be 'qr'"),
        ("{kinds: [convolution]}", "'kinds[0]' cannot be 'convolution'"),
        ("{kinds: []}", "'kinds' has 0 items"),
        ("{rank: 4}", "unknown key 'rank' in 'low_rank'"),
        ("{fine_tune: {epoch: 1}}", "unknown key 'epoch' in 'fine_tune'"),
        ("{min_parameters: -1}", "'min_parameters' is -1, out of range"),
    ])
    func refuses(text: String, message: String) {
        let errors = step(text).errors
        #expect(errors.count == 1 && errors[0].contains(message), "\(errors)")
    }

    @Test(arguments: [
        "low_rank: {}", "low_rank: {method: tucker2, error: 0.02, kinds: [conv], min_parameters: 10}",
        "low_rank: {ratio: 0.4, data_aware: true, layers: ['a*'], keep: [b], fine_tune: {loss: mse, learning_rate: 0.01}}",
        "quantize: {weights: int8, calibration: entropy, equalize: true}",
    ])
    func readsBackTheSame(step: String) throws {
        for samples in ["", "samples: synthetic\n"] {
            let original = try #require(recipe("name: a-b\n\(samples)steps:\n  - \(step)\n").value)
            let again = try #require(recipe(ConfigSnapshot.yaml(original)).value)
            #expect(again == original)
            #expect(again.canonicalHash == original.canonicalHash)
        }
    }

    @Test func meaningIsWhatIsHashed() throws {
        func hash(_ text: String) throws -> String { try #require(recipe(text).value).canonicalHash }
        let plain = try hash("name: x\nsteps:\n  - low_rank: {energy: 0.98}\n")
        #expect(try hash("name: x\nsteps:\n  - low_rank: {energy: 98%, method: auto}\n") == plain)
        #expect(try hash("name: x\nsteps:\n  - low_rank: {error: 0.98}\n") != plain)
        #expect(try hash("name: x\nsteps:\n  - low_rank: {min_parameters: 1}\n") != plain)
        #expect(try hash("name: x\nsamples: synthetic\nsteps:\n  - low_rank: {energy: 0.98}\n") != plain)
        #expect(try hash("name: x\nsamples: given\nsteps:\n  - low_rank: {energy: 0.98}\n") == plain)
    }

    @Test func selectionMustFitInAll() {
        let selection = LayerSelection(
            layers: [GlobPattern("conv*")], keep: [GlobPattern("*last")], kinds: [.conv, .conv1x1], minParameters: 10)
        #expect(selection.covers(name: "conv1", kind: .conv, parameters: 10))
        #expect(!selection.covers(name: "conv1", kind: .conv, parameters: 9))
        #expect(!selection.covers(name: "conv1", kind: .depthwise, parameters: 10))
        #expect(!selection.covers(name: "conv1", kind: nil, parameters: 10))
        #expect(!selection.covers(name: "fc", kind: .conv, parameters: 10))
        #expect(!selection.covers(name: "conv_last", kind: .conv, parameters: 10))
        #expect(LayerSelection.all.covers(name: "any", kind: nil, parameters: 0))
    }
}
