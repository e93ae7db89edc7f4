import OunceCompress
import OunceGraph
import OunceTestSupport
import Testing

/// Weights of few bits as int8 numbers.
@Suite struct NarrowWeightTests {
    private func error(_ weights: Tensor, _ result: WeightQuantizer.Result?) throws -> Double {
        let result = try #require(result)
        let (floats, stored) = (weights.floats(), result.weights.doubles())
        let perOutput = floats.count / result.scales.count
        return zip(floats, stored).enumerated().reduce(0.0) { sum, pair in
            let (index, (real, q)) = pair
            let difference = Double(real) - q * Double(result.scales[index / perOutput])
            return sum + difference * difference
        }
    }

    @Test func groupsBeatOneScale() throws {
        print("seed 8")
        var random = RandomSource(seed: 8)
        var floats = random.floats(16 * 256)
        for index in floats.indices { floats[index] *= Float(1 + index / 32 % 7) }
        let weights = try #require(Tensor(floats, shape: [16, 256]))
        for bits in [4, 2] {
            let plain = WeightQuantizer.quantize(weights, perChannel: true, bits: bits)
            let grouped = WeightQuantizer.quantize(weights, perChannel: true, bits: bits, group: 32)
            #expect(try error(weights, grouped) < 0.8 * error(weights, plain))
            let stored = try #require(grouped?.weights.elements(Int8.self))
            let levels = 1 << (bits - 1) - 1
            for start in stride(from: 0, to: stored.count, by: 32) {
                let group = stored[start..<(start + 32)].map { Int($0) }
                let fits = (1...15).contains { factor in
                    group.allSatisfy { $0 % factor == 0 && abs($0 / factor) <= levels }
                }
                #expect(fits, "\(group)")
            }
        }
    }

    @Test func signsAreSigns() throws {
        let weights = try #require(Tensor((0..<64).map { $0 % 3 == 0 ? Float(0.25) : -0.25 }, shape: [2, 32]))
        let result = try #require(WeightQuantizer.quantize(weights, perChannel: true))
        #expect(result.weights.elements(Int8.self)?.allSatisfy { abs($0) == 1 } == true)
        #expect(result.scales == [0.25, 0.25])
    }
}
