import Testing

@testable import OunceConfig

@Suite struct PruningTests {
    private func pruning(_ settings: String) -> (Pruning?, [String]) {
        let (value, errors) = recipe("name: x\nsteps:\n  - prune: {\(settings)}\n")
        guard case .prune(let pruning) = value?.steps.first else { return (nil, errors) }
        return (pruning, errors)
    }

    @Test func decodesEveryKey() throws {
        let (value, errors) = pruning(
            "what: channels, importance: taylor, target: {macs: 50%, time: 0.6}, scope: layer, rounds: 3, "
                + "schedule: linear, reconstruct: false, fine_tune: {epochs: 2}, layers: ['conv*'], keep: [conv1], "
                + "kinds: [conv], min_parameters: 10, seed: 7")
        #expect(errors == [])
        #expect(
            value
                == Pruning(
                    what: .channels, importance: .taylor, amount: .cost(macs: 0.5, time: 0.6), scope: .layer, rounds: 3,
                    schedule: .linear, reconstructs: false, fineTuning: FineTuning(epochs: 2),
                    selection: LayerSelection(
                        layers: [GlobPattern("conv*")], keep: [GlobPattern("conv1")], kinds: [.conv], minParameters: 10),
                    seed: 7))
    }

    @Test func hasDefaults() {
        #expect(
            pruning("what: channels, ratio: 0.5").0
                == Pruning(what: .channels, amount: .removed(0.5), scope: .layer))
        #expect(pruning("what: heads, target: {time: 0.5}").0?.scope == .global)
        #expect(
            pruning("what: blocks, ratio: 80%").0
                == Pruning(what: .blocks(outputs: 1, inputs: 4), amount: .removed(0.8)))
        #expect(pruning("what: n:m").0?.what == .pattern(kept: 2, group: 4))
        #expect(pruning("what: n:m, pattern: 1:4").0?.amount == .removed(0.75))
        #expect(pruning("what: blocks, block: 16x1, ratio: 0.5").0?.what == .blocks(outputs: 16, inputs: 1))
    }

    @Test(arguments: [
        ("what: channels", "does not say how much goes; add 'ratio: 0.5', or 'target: {macs: 0.5}'"),
        ("what: weights, target: {macs: 0.5}", "zeros leave the count of multiplications as it is"),
        ("what: channels, ratio: 0.5, target: {macs: 0.5}", "both say how much goes"),
        ("what: channels, target: {}", "'target' is empty"),
        ("what: channels, ratio: 1", "out of range"),
        ("what: weights, ratio: 0.5, block: 1x4", "'block' has no effect without 'what: blocks'"),
        ("what: blocks, ratio: 0.5, block: 4", "write it as 1x4"),
        ("what: n:m, pattern: 4:4", "keep fewer than there are"),
        ("what: n:m, ratio: 0.5", "'pattern' says how many weights go"),
        ("what: weights, ratio: 0.5, importance: bn_scale", "is an importance of whole channels"),
        ("what: weights, ratio: 0.5, schedule: cubic", "'schedule' has no effect without 'rounds'"),
        ("what: filters, ratio: 0.5", "'what' cannot be 'filters'"),
    ])
    func refusesWhatMakesNoSense(settings: String, says: String) {
        let (_, errors) = pruning(settings)
        #expect(errors.count == 1 && errors[0].contains(says), "\(errors)")
    }

    @Test(arguments: [
        "what: channels, importance: geometric_median, ratio: 0.25, scope: global, rounds: 2, keep: ['a b']",
        "what: channels, target: {macs: 0.5}", "what: heads, target: {macs: 0.5, time: 0.7}, reconstruct: false",
        "what: blocks, block: 4x1, ratio: 0.8, rounds: 4, fine_tune: {epochs: 2, loss: cross_entropy}",
        "what: n:m, pattern: 1:4, importance: l2", "what: weights, ratio: 0.9, kinds: [conv1x1, matmul], seed: 3",
    ])
    func readsBackTheSame(settings: String) throws {
        let original = try #require(recipe("name: x\nsteps:\n  - prune: {\(settings)}\n").value)
        let again = try #require(recipe(ConfigSnapshot.yaml(original)).value)
        #expect(again.canonicalHash == original.canonicalHash)
    }
}
