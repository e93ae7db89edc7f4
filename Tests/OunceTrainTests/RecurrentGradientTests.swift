import OunceGraph
import OunceTestSupport
import Testing

@testable import OunceTrain

@Suite struct RecurrentGradientTests {
    static let layers: [Recurrent] =
        [
            Recurrent(kind: .rnn, hidden: 5, isReversed: false, activations: [.init(.tanh, alpha: 0, beta: 0)]),
            Recurrent(kind: .rnn, hidden: 3, isReversed: true, activations: [.init(.sigmoid, alpha: 0, beta: 0)]),
        ]
        + [false, true].flatMap { reversed in
            [false, true].flatMap { variant in
                [
                    Recurrent(
                        kind: .lstm, hidden: 4, isReversed: reversed,
                        activations: [
                            .init(.sigmoid, alpha: 0, beta: 0), .init(.tanh, alpha: 0, beta: 0),
                            .init(.tanh, alpha: 0, beta: 0),
                        ], couplesGates: variant),
                    Recurrent(
                        kind: .gru, hidden: 6, isReversed: reversed,
                        activations: [.init(.sigmoid, alpha: 0, beta: 0), .init(.tanh, alpha: 0, beta: 0)],
                        linearBeforeReset: variant),
                ]
            }
        }

    @Test(arguments: layers) func throughTime(_ layer: Recurrent) throws {
        for seed in UInt64(1)...4 {
            var c = GradientCase(seed: seed)
            let (batch, width) = (c.int(1...3), c.int(1...6))
            let rows = layer.kind.gates * layer.hidden
            let x = try c.value([c.int(1...5), batch, width])
            let bias = c.int(0...1) == 1 ? c.parameter([2 * rows]) : nil
            let h = c.int(0...1) == 1 ? c.parameter([batch, layer.hidden]) : nil
            let state = layer.kind == .lstm && h != nil ? c.parameter([batch, layer.hidden]) : nil
            let output = try c.node(
                .recurrent(layer),
                [x, c.parameter([rows, width]), c.parameter([rows, layer.hidden]), bias, nil, h, state])
            // Plain loops round their results to Float: larger steps.
            try GradientCheck.run(c, output: output, threads: 1, step: 1e-2, tolerance: 2e-2, seed: seed)
        }
    }
}
