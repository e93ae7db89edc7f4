import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Layers on dequantised numbers with an int32 bias sum integers; their results are floats.
@Suite struct IntegerLayerTests {
    private enum Bias { case sums, otherGrid, floats }

    /// A convolution or fully connected layer on dequantised int8.
    private func layer(_ maker: inout RandomGraph, bias: Bias = .sums) throws -> ValueID {
        let (inputs, outputs) = (maker.random.int(1...70), maker.random.int(1...90))
        let isConv = maker.chance(0.5)
        let x = maker.input(
            isConv
                ? [maker.random.int(1...2), maker.random.int(3...6), maker.random.int(3...9), inputs] : [3, inputs],
            .int8)
        let w = maker.weights(
            isConv ? [outputs, 3, 3, inputs] : [outputs, inputs], int8: true, perChannel: maker.chance(0.7))
        let scale = maker.graph[x].encoding.affine?.scale ?? 1
        let grid = maker.graph[w].encoding.affine?.ofSums(input: bias == .sums ? scale : 2 * scale)
        let numbers = (0..<outputs).map { _ in Int32(maker.random.int(-20_000...20_000)) }
        let b =
            bias == .floats
            ? maker.constant([outputs])
            : maker.graph.addConstant(
                Tensor(numbers), name: maker.name("bias"), encoding: grid.map(Encoding.affine) ?? .plain)
        let real = try maker.node(.dequantize, [x])
        guard isConv else { return try maker.node(.fullyConnected(maker.activation()), [real, w, b]) }
        let stride = maker.random.int(1...2)
        let conv = Convolution(
            strides: [stride, stride], dilations: [1, 1], padBefore: [maker.random.int(0...1), 1],
            padAfter: [1, maker.random.int(0...1)], groups: 1, activation: maker.activation())
        return try maker.node(.conv(conv), [real, w, b])
    }

    private func kernels(_ graph: Graph, _ inputs: [Tensor], _ isas: Set<String>) throws -> [String] {
        try Model(graph: graph, options: RuntimeOptions(allowedISAs: isas)).measureSteps(inputs: inputs, seconds: 0)
            .map(\.kernel)
    }

    @Test func sumsIntegers() throws {
        print("seeds 0..<30")
        for seed in UInt64(0)..<30 {
            var maker = RandomGraph(seed: seed)
            let graph = try maker.finish(try layer(&maker))
            let inputs = maker.inputs(of: graph)
            try expectAgreement(graph, inputs, tolerance: 1e-5, seed: seed)
            let expected = try Model(graph: graph, options: RuntimeOptions(allowedISAs: ["scalar"])).run(inputs)
            for isas in instructionSets {
                let what = "seed \(seed), \(isas.sorted())"
                let result = try Model(graph: graph, options: RuntimeOptions(allowedISAs: isas, threads: 2)).run(inputs)
                #expect(result[0].byteArray == expected[0].byteArray, "\(what)")
                let kernels = try kernels(graph, inputs, isas)
                #expect(kernels.last?.hasPrefix("conv_s8f32_") == true, "\(what): \(kernels)")
                #expect(!kernels.contains { $0.hasPrefix("dequantize") }, "\(what): \(kernels)")
            }
        }
    }

    /// The bias says how a layer computes.
    @Test(arguments: [1, 2]) func otherBiasesMeanFloats(_ kind: Int) throws {
        var maker = RandomGraph(seed: 3)
        let graph = try maker.finish(try layer(&maker, bias: kind == 1 ? .otherGrid : .floats))
        let inputs = maker.inputs(of: graph)
        try expectAgreement(graph, inputs, tolerance: 1e-5, seed: 3)
        let kernels = try kernels(graph, inputs, ["scalar"])
        #expect(kernels.first == "dequantize_scalar")
        #expect(kernels.last == "conv_f32_scalar")
    }

    @Test func dequantisedNumbersThatOthersReadStay() throws {
        var maker = RandomGraph(seed: 5)
        let result = try layer(&maker)
        let real = try #require(maker.graph.nodes.last?.inputs.first ?? nil)
        let negative = try maker.node(.unary(.negate), [real])
        let graph = try maker.finish(result, negative)
        try expectAgreement(graph, maker.inputs(of: graph), tolerance: 1e-5, seed: 5)
    }
}
