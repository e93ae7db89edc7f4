import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Values that only padded convolutions read lie within their padding from the start, and transpositions move int8 numbers:
/// the bits are those of the plain steps.
@Suite struct PaddingTests {
    private struct Network {
        var graph: Graph
        /// The same with every value as an output, which keeps the steps plain.
        var plain: Graph
        var inputs: [Tensor]
    }

    private func network(_ maker: inout RandomGraph, int8: Bool, lines: Bool) throws -> Network {
        func encoding(_ scale: Float, _ zero: Int32) -> Encoding {
            int8 ? .affine(AffineQuantization(scale: scale, zeroPoint: zero)) : .plain
        }
        let (batch, channels, height, width) = (
            maker.random.int(1...2), maker.random.int(1...5), maker.random.int(3...9), maker.random.int(3...20)
        )
        let source = maker.input(lines ? [batch, channels, width] : [batch, channels, height, width])
        let moved = try maker.node(.transpose(lines ? [0, 2, 1] : [0, 2, 3, 1]), [source])
        let x = int8 ? try maker.node(.quantize, [moved], encoding: encoding(0.02, -3)) : moved
        let axes = lines ? 1 : 2
        func conv(_ x: ValueID, depthwise: Bool = false) throws -> ValueID {
            let inputs = maker.graph[x].shape.dims.last ?? 1
            let outputs = depthwise ? inputs : maker.random.int(1...40)
            let kernel = [Int](repeating: 3, count: axes)
            let w = maker.weights(Shape([outputs] + kernel + [depthwise ? 1 : inputs]), int8: int8, perChannel: true)
            let attributes = Convolution(
                strides: [Int](repeating: 1, count: axes), dilations: [Int](repeating: 1, count: axes),
                padBefore: (0..<axes).map { _ in maker.random.int(0...2) },
                padAfter: [Int](repeating: 2, count: axes), groups: depthwise ? inputs : 1, activation: .relu6)
            return try maker.sum(
                .conv(attributes), x, w, maker.bias(outputs, int8: int8), terms: 9 * (depthwise ? 1 : inputs))
        }
        var values = [x, try conv(x)]
        values.append(try conv(values[1], depthwise: true))
        if !lines {
            let pool = Pooling(
                kind: .max, kernel: [3, 3], strides: [1, 1], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1])
            values.append(try maker.node(.pool(pool), [values[2]], encoding: maker.graph[values[2]].encoding))
        }
        values.append(try conv(values[values.count - 1]))
        // Two readers with paddings of their own.
        let first = try conv(values[values.count - 1])
        let second = try conv(values[values.count - 1])
        let graph = try maker.finish(first, second)
        var plain = graph
        plain.outputs += [moved] + values
        return Network(graph: graph, plain: plain, inputs: maker.inputs(of: graph))
    }

    @Test(arguments: [false, true], [false, true]) func sameBits(int8: Bool, lines: Bool) throws {
        print("seeds 0..<10")
        for seed in UInt64(0)..<10 {
            var maker = RandomGraph(seed: seed)
            let made = try network(&maker, int8: int8, lines: lines)
            try expectAgreement(made.graph, made.inputs, tolerance: 1e-4, seed: seed)
            for isas in instructionSets {
                for threads in 1...2 {
                    let options = RuntimeOptions(allowedISAs: isas, threads: threads)
                    let results = try Model(graph: made.graph, options: options).run(made.inputs)
                    let plain = try Model(graph: made.plain, options: options).run(made.inputs)
                    for (a, b) in zip(results, plain) {
                        #expect(a.byteArray == b.byteArray, "seed \(seed), \(isas.sorted()), \(threads) threads")
                    }
                }
            }
        }
    }

    /// A step for what lies around each convolution's input, none that copies the input itself; after a transposition
    /// nothing at all.
    @Test func nothingIsCopied() throws {
        var maker = RandomGraph(seed: 1)
        let source = maker.input([1, 3, 16, 16])
        let moved = try maker.node(.transpose([0, 2, 3, 1]), [source])
        let grid = Encoding.affine(AffineQuantization(scale: 0.02, zeroPoint: 3))
        var x = try maker.node(.quantize, [moved], encoding: grid)
        for _ in 0..<2 {
            let inputs = maker.graph[x].shape[3]
            let attributes = Convolution(
                strides: [1, 1], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1], groups: 1, activation: .none)
            x = try maker.sum(
                .conv(attributes), x, maker.weights([8, 3, 3, inputs], int8: true, perChannel: true),
                maker.bias(8, int8: true), terms: 9 * inputs)
        }
        let graph = try maker.finish(x)
        let model = try Model(graph: graph, options: RuntimeOptions(allowedISAs: ["scalar"]))
        let kernels = try model.measureSteps(inputs: maker.inputs(of: graph), seconds: 0).map(\.kernel)
        #expect(
            kernels == [
                "quantize_scalar", "copy_scalar", "copy_scalar", "conv_s8_scalar", "conv_s8_scalar",
            ])
    }

    /// Of a chain of images of one size two lie in the arena at a time: the borders of both are filled once, and stand for those
    /// that come after.
    @Test(arguments: [1, 2]) func bordersThatStandAreNotFilledAgain(threads: Int) throws {
        var maker = RandomGraph(seed: 2)
        let source = maker.input([1, 9, 7, 8])
        var values = [source]
        for _ in 0..<6 {
            let attributes = Convolution(
                strides: [1, 1], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1], activation: .relu)
            values.append(
                try maker.sum(
                    .conv(attributes), values[values.count - 1],
                    maker.weights([8, 3, 3, 8], int8: false, perChannel: false), maker.bias(8, int8: false), terms: 72))
        }
        let graph = try maker.finish(values[values.count - 1])
        var plain = graph
        plain.outputs += values.dropFirst().dropLast()
        let inputs = maker.inputs(of: graph)
        let model = try Model(graph: graph, options: RuntimeOptions(threads: threads))
        let steps = try model.measureSteps(inputs: inputs, seconds: 0).map(\.kernel)
        #expect(steps.count { $0.hasPrefix("conv") } == 6)
        // The input is copied into its padding.
        #expect(steps.count { $0.hasPrefix("copy") } == 3, "\(steps)")
        let expected = try Model(graph: plain, options: RuntimeOptions()).run(inputs)[0]
        for _ in 0..<3 { #expect(try model.run(inputs)[0].byteArray == expected.byteArray) }
    }
}
