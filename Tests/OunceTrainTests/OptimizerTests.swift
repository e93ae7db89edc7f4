import COunceKernels
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

@testable import OunceTrain

@Suite struct OptimizerTests {
    private func parameter(_ shape: Shape, _ random: inout RandomSource) -> TrainingParameter {
        let slot = Slot(name: "w", type: TensorType(.float32, shape), isParameter: true, needsGradient: true)
        for (index, value) in random.floats(slot.count).enumerated() { slot.x[index] = value }
        return TrainingParameter(name: "w", id: ValueID(0), slot: slot)
    }

    /// Several steps against the formulas of the papers in Double.
    @Test(arguments: [
        OptimizerKind.sgd(momentum: 0.9, nesterov: false), .sgd(momentum: 0.8, nesterov: true),
        .adamW(beta1: 0.9, beta2: 0.99, epsilon: 1e-6),
    ])
    func formulas(_ kind: OptimizerKind) throws {
        for names in [nil, ["avx2"], []] as [Set<String>?] {
            var random = RandomSource(seed: 3)
            let kernels = TrainingKernels(isas: try InstructionSets.permitted(allowed: names))
            let (matrix, vector) = (parameter([5, 7], &random), parameter([9], &random))
            let optimizer = Optimizer(
                kind: kind, weightDecay: 0.1, clipNorm: 2, parameters: [matrix, vector], kernels: kernels)
            var weights = [matrix, vector].map { $0.values.map { Double($0) } }
            var first = weights.map { $0.map { _ in 0.0 } }
            var second = first
            for step in 1...5 {
                let gradients = [random.floats(35, in: -2...2), random.floats(9, in: -2...2)]
                for (parameter, gradient) in zip([matrix, vector], gradients) {
                    for (index, value) in gradient.enumerated() { parameter.slot.dx[index] = value }
                }
                let norm = gradients.joined().reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
                let reported = optimizer.step(rate: 0.05)
                #expect(abs(Double(reported) - norm) < 1e-5 * norm)
                for tensor in 0..<2 {
                    let decay = tensor == 0 ? 0.1 : 0
                    for index in weights[tensor].indices {
                        let g = Double(gradients[tensor][index]) * min(1, 2 / norm)
                        let w = weights[tensor][index]
                        switch kind {
                        case .sgd(let momentum, let nesterov):
                            let m = Double(momentum) * first[tensor][index] + g + decay * w
                            first[tensor][index] = m
                            weights[tensor][index] -= 0.05 * (nesterov ? g + decay * w + Double(momentum) * m : m)
                        case .adamW(let beta1, let beta2, let epsilon):
                            let (b1, b2) = (Double(beta1), Double(beta2))
                            first[tensor][index] = b1 * first[tensor][index] + (1 - b1) * g
                            second[tensor][index] = b2 * second[tensor][index] + (1 - b2) * g * g
                            var power = (1.0, 1.0)
                            for _ in 0..<step { power = (power.0 * b1, power.1 * b2) }
                            let m = first[tensor][index] / (1 - power.0)
                            let v = second[tensor][index] / (1 - power.1)
                            weights[tensor][index] = w - 0.05 * (m / (v.squareRoot() + Double(epsilon)) + decay * w)
                        }
                    }
                    let got = [matrix, vector][tensor].values
                    for (value, expected) in zip(got, weights[tensor]) {
                        #expect(abs(Double(value) - expected) < 2e-5, "step \(step)")
                    }
                }
            }
        }
    }

    @Test func schedules() {
        let cosine = Schedule(.cosine, warmup: 0.1)
        #expect(abs(cosine.factor(step: 0, of: 100) - 0.1) < 1e-9)
        #expect(abs(cosine.factor(step: 10, of: 100) - 1) < 1e-9)
        #expect(abs(cosine.factor(step: 55, of: 100) - 0.5) < 1e-9)
        #expect(cosine.factor(step: 99, of: 100) < 0.001)
        let steps = Schedule(.step(at: [0.5, 0.75], factor: 0.1))
        #expect(steps.factor(step: 49, of: 100) == 1)
        #expect(abs(steps.factor(step: 50, of: 100) - 0.1) < 1e-9)
        #expect(abs(steps.factor(step: 80, of: 100) - 0.01) < 1e-9)
        #expect(Schedule(.constant).factor(step: 99, of: 100) == 1)
    }
}
