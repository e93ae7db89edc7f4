import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// LSTM and GRU layers with constant weights run in the kernel; the plain loop in double is the oracle.
@Suite struct RecurrentTests {
    private struct Layers {
        var kernel: Graph
        /// The same with lengths, all of them full, which takes the plain loop.
        var plain: Graph
        var inputs: [Tensor]
    }

    private func layers(_ kind: Recurrent.Kind, _ maker: inout RandomGraph) throws -> Layers {
        let (time, batch, width, hidden) = (
            maker.random.int(1...20), maker.random.int(1...3), maker.random.int(1...20), maker.random.int(1...40)
        )
        let functions: [Recurrent.Function] = kind == .lstm ? [.sigmoid, .tanh, .tanh] : [.sigmoid, .tanh]
        let layer = Recurrent(
            kind: kind, hidden: hidden, isReversed: maker.chance(0.5),
            activations: functions.map { Recurrent.GateActivation($0, alpha: 0, beta: 0) },
            linearBeforeReset: maker.chance(0.5))
        let rows = kind.gates * hidden
        let x = maker.input([time, batch, width])
        let (w, r) = (maker.constant([rows, width]), maker.constant([rows, hidden]))
        let bias = maker.chance(0.7) ? maker.constant([2 * rows]) : nil
        let h = maker.chance(0.5) ? maker.input([batch, hidden]) : nil
        let c = kind == .lstm && maker.chance(0.5) ? maker.input([batch, hidden]) : nil
        var other = maker
        let kernel = try maker.finish(try maker.node(.recurrent(layer), [x, w, r, bias, nil, h, c]))
        let lengths = other.graph.addConstant(Tensor([Int32](repeating: Int32(time), count: batch)), name: "lengths")
        let plain = try other.finish(try other.node(.recurrent(layer), [x, w, r, bias, lengths, h, c]))
        return Layers(kernel: kernel, plain: plain, inputs: maker.inputs(of: kernel))
    }

    @Test(arguments: [Recurrent.Kind.lstm, .gru]) func sameNumbersAsThePlainLoop(_ kind: Recurrent.Kind) throws {
        print("seeds 0..<20")
        for seed in UInt64(0)..<20 {
            var maker = RandomGraph(seed: seed)
            let made = try layers(kind, &maker)
            let wanted = try Model(graph: made.plain, options: RuntimeOptions()).run(made.inputs)[0].doubles()
            let scalar = try Model(graph: made.kernel, options: RuntimeOptions(allowedISAs: ["scalar"]))
            let expected = try scalar.run(made.inputs)[0]
            let worst = zip(expected.doubles(), wanted).map { abs($0 - $1) }.max() ?? 0
            #expect(worst < 2e-5, "seed \(seed)")
            for isas in instructionSets {
                let options = RuntimeOptions(allowedISAs: isas, threads: 2)
                let model = try Model(graph: made.kernel, options: options)
                #expect(try model.run(made.inputs)[0].byteArray == expected.byteArray, "seed \(seed), \(isas.sorted())")
                let kernels = try model.measureSteps(inputs: made.inputs, seconds: 0).map(\.kernel)
                #expect(kernels.contains { $0.hasPrefix("recurrent_f32_") }, "\(kernels)")
            }
        }
    }
}
