import OunceCompress
import OunceGraph
import Testing

@Suite struct WeightQuantizerTests {
    private func quantize(
        _ weights: [Float], _ shape: Shape, perChannel: Bool, minimumScales: [Float]? = nil
    ) throws -> WeightQuantizer.Result {
        let tensor = try Samples.tensor(weights, shape)
        return try #require(WeightQuantizer.quantize(tensor, perChannel: perChannel, minimumScales: minimumScales))
    }

    @Test func byHand() throws {
        let result = try quantize([1.27, -0.635, 0.012, -12.7, 0.05, 0.15], [2, 3], perChannel: true)
        #expect(result.weights.integers() == [127, -64, 1, -127, 0, 2])
        #expect(zip(result.scales, [0.01, 0.1]).allSatisfy { abs($0 - $1) < 1e-7 })
        #expect(result.encoding.affine?.axis == 0)
        let whole = try quantize([1.27, -0.635, 0.012, -12.7, 0.05, 0.15], [2, 3], perChannel: false)
        #expect(whole.weights.integers() == [13, -6, 0, -127, 0, 2])
        #expect(whole.encoding.affine?.axis == nil && whole.encoding.affine?.zeroPoint == 0)
    }

    /// No weight is off by more than half a quantum, and no scale is larger than it must be.
    @Test func halfAQuantum() throws {
        let weights = Samples.uniform(seed: 5, count: 40 * 27).enumerated().map { index, u in
            (u - 0.5) * Float(1 + index / 27)
        }
        for perChannel in [true, false] {
            let result = try quantize(weights, [40, 3, 3, 3], perChannel: perChannel)
            let stored = try #require(result.weights.elements(Int8.self))
            for (index, weight) in weights.enumerated() {
                let scale = result.scales[index / 27]
                #expect(abs(Float(stored[index]) * scale - weight) <= scale * 0.5001)
            }
            #expect(stored.contains { abs(Int($0)) == 127 } && stored.allSatisfy { $0 >= -127 })
            guard perChannel else { continue }
            for channel in 0..<40 {
                #expect(stored[(channel * 27)..<((channel + 1) * 27)].contains { abs(Int($0)) == 127 })
            }
        }
    }

    @Test func unusualWeights() throws {
        let zero = try quantize([0, 0, 0, 0], [2, 2], perChannel: true)
        #expect(zero.weights.integers() == [0, 0, 0, 0] && zero.scales.allSatisfy { $0 > 0 && $0.isFinite })
        let raised = try quantize([1, 0.5, 1, 0.5], [2, 2], perChannel: true, minimumScales: [0.5, 0])
        #expect(raised.weights.integers() == [2, 1, 127, 64])
        // Of one size: signs, but not where all channels share a scale.
        let signs = try quantize([3, -3, 1, 0.5], [2, 2], perChannel: true)
        #expect(signs.weights.integers() == [1, -1, 127, 64] && signs.scales[0] == 3)
        let shared = try quantize([3, -3, 1, 0.5], [2, 2], perChannel: false)
        #expect(shared.weights.integers() == [127, -127, 42, 21])
        #expect(WeightQuantizer.quantize(Tensor([1, 2] as [Int8]), perChannel: true) == nil)
        // Nothing that is not a number may reach an integer conversion.
        _ = WeightQuantizer.quantize(Tensor([.nan, .infinity, 1] as [Float]), perChannel: true)
        _ = WeightQuantizer.quantize(Tensor([.nan, -.infinity, 1] as [Float]), perChannel: false)
    }
}
