import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// A layer and an addition to its results run as one step, the residual lying within padding as the sum does: the bits are
/// those of the two steps.
@Suite struct ResidualTests {
    private func conv(
        _ maker: inout RandomGraph, _ x: ValueID, _ outputs: Int, kernel: Int = 3, pad: (Int, Int) = (1, 1),
        activation: Activation = .none, int8: Bool
    ) throws -> ValueID {
        let inputs = maker.graph[x].shape[3]
        let attributes = Convolution(
            strides: [1, 1], dilations: [1, 1], padBefore: [pad.0, pad.0], padAfter: [pad.1, pad.1],
            activation: activation)
        return try maker.sum(
            .conv(attributes), x, maker.weights([outputs, kernel, kernel, inputs], int8: int8, perChannel: true),
            maker.bias(outputs, int8: int8), terms: kernel * kernel * inputs)
    }

    private func encoding(_ maker: inout RandomGraph, int8: Bool) -> Encoding {
        guard int8 else { return .plain }
        return .affine(AffineQuantization(scale: 0.05, zeroPoint: Int32(maker.random.int(-20...20))))
    }

    /// Blocks of two convolutions and a shortcut, which is the input itself or a convolution of it, among readers that want
    /// paddings of their own, or none.
    private func network(_ maker: inout RandomGraph, int8: Bool) throws -> (graph: Graph, plain: Graph) {
        let source = maker.input([maker.random.int(1...2), maker.random.int(3...9), maker.random.int(3...20), 3])
        var x = int8 ? try maker.node(.quantize, [source], encoding: encoding(&maker, int8: true)) : source
        var values: [ValueID] = []
        for _ in 0..<maker.random.int(1...3) {
            let outputs = maker.random.int(0...2) == 0 ? maker.random.int(1...70) : maker.graph[x].shape[3]
            let inner = try conv(&maker, x, maker.random.int(1...20), activation: .relu6, int8: int8)
            let main = try conv(&maker, inner, outputs, int8: int8)
            let shortcut =
                outputs == maker.graph[x].shape[3]
                ? x : try conv(&maker, x, outputs, kernel: 1, pad: (0, 0), int8: int8)
            let swapped = maker.random.int(0...1) == 1
            let op: BinaryOperator = int8 && maker.random.int(0...1) == 1 ? .subtract : .add
            let activation: Activation = maker.random.int(0...1) == 1 ? .relu : .none
            x = try maker.node(
                .binary(op, activation), swapped ? [shortcut, main] : [main, shortcut],
                encoding: encoding(&maker, int8: int8))
            values += [inner, main, shortcut, x]
        }
        let pool = Pooling(
            kind: .max, kernel: [3, 3], strides: [2, 2], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1])
        let readers = [
            try conv(&maker, x, 5, pad: (maker.random.int(0...2), 2), int8: int8),
            try maker.node(.pool(pool), [x], encoding: maker.graph[x].encoding),
            try maker.node(
                .reduce(.mean, axes: [1, 2], keepDims: false), [x], encoding: encoding(&maker, int8: int8)),
        ]
        let graph = try maker.finish(readers[0], readers[1], readers[2])
        var plain = graph
        plain.outputs += values
        return (graph, plain)
    }

    /// Steps that only add.
    private func additions(_ graph: Graph, _ inputs: [Tensor]) throws -> Int {
        let model = try Model(graph: graph, options: RuntimeOptions())
        return try model.measureSteps(inputs: inputs, seconds: 0).count {
            $0.kernel.hasPrefix("add_s8") || $0.kernel.hasPrefix("binary_f32")
        }
    }

    @Test(arguments: [false, true]) func sameBits(int8: Bool) throws {
        print("seeds 0..<8")
        for seed in UInt64(0)..<8 {
            var maker = RandomGraph(seed: seed)
            let (graph, plain) = try network(&maker, int8: int8)
            let inputs = maker.inputs(of: graph)
            try expectAgreement(graph, inputs, tolerance: 1e-4, seed: seed)
            #expect(try additions(graph, inputs) == 0, "seed \(seed)")
            #expect(try additions(plain, inputs) > 0, "seed \(seed)")
            for isas in instructionSets {
                for threads in 1...2 {
                    let options = RuntimeOptions(allowedISAs: isas, threads: threads)
                    let model = try Model(graph: graph, options: options)
                    let results = try model.run(inputs)
                    let apart = try Model(graph: plain, options: options)
                    for (a, b) in zip(results, try apart.run(inputs)) {
                        #expect(a.byteArray == b.byteArray, "seed \(seed), \(isas.sorted()), \(threads) threads")
                    }
                }
            }
        }
    }

    /// Fully connected layers too.
    @Test(arguments: [false, true]) func rows(int8: Bool) throws {
        print("seeds 0..<6")
        for seed in UInt64(0)..<6 {
            var maker = RandomGraph(seed: seed)
            let source = maker.input([maker.random.int(1...40), maker.random.int(1...70)])
            let width = maker.graph[source].shape[1]
            let x = int8 ? try maker.node(.quantize, [source], encoding: encoding(&maker, int8: true)) : source
            let layer = try maker.sum(
                .fullyConnected(.relu), x, maker.weights([width, width], int8: int8, perChannel: false),
                maker.bias(width, int8: int8), terms: width)
            let sum = try maker.node(
                .binary(.add, .none), [x, layer], encoding: encoding(&maker, int8: int8))
            let graph = try maker.finish(sum)
            var plain = graph
            plain.outputs.append(layer)
            let inputs = maker.inputs(of: graph)
            try expectAgreement(graph, inputs, tolerance: 1e-4, seed: seed)
            for isas in instructionSets {
                let options = RuntimeOptions(allowedISAs: isas)
                let model = try Model(graph: graph, options: options)
                let apart = try Model(graph: plain, options: options)
                #expect(try model.run(inputs)[0].byteArray == apart.run(inputs)[0].byteArray, "seed \(seed)")
                #expect(
                    try model.measureSteps(inputs: inputs, seconds: 0).count
                        == apart.measureSteps(inputs: inputs, seconds: 0).count - 1)
            }
        }
    }

    /// In a chain of blocks every value lies within the padding that the next convolution reads: what is copied is what lies
    /// around, once for each.
    @Test func nothingIsCopied() throws {
        var maker = RandomGraph(seed: 3)
        let source = maker.input([1, 8, 8, 3])
        let input = try maker.node(.quantize, [source], encoding: encoding(&maker, int8: true))
        var x = try conv(&maker, input, 16, kernel: 1, pad: (0, 0), int8: true)
        for _ in 0..<2 {
            let inner = try conv(&maker, x, 16, int8: true)
            let main = try conv(&maker, inner, 16, int8: true)
            x = try maker.node(.binary(.add, .relu), [main, x], encoding: encoding(&maker, int8: true))
        }
        let graph = try maker.finish(
            try maker.node(.reduce(.mean, axes: [1, 2], keepDims: false), [x], encoding: encoding(&maker, int8: true)))
        let model = try Model(graph: graph, options: RuntimeOptions(allowedISAs: ["scalar"]))
        let steps = try model.measureSteps(inputs: maker.inputs(of: graph), seconds: 0).map(\.kernel)
        let block = ["copy_scalar", "conv_s8_scalar", "copy_scalar", "conv_s8_scalar"]
        #expect(steps == ["quantize_scalar", "copy_scalar", "conv_s8_scalar"] + block + block + ["avgpool_s8_scalar"])
    }
}
