import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Resizing of two neighbouring axes runs as one step, in float32 and between int8 values.
@Suite struct ResizeTests {
    /// Bilinear, bicubic or any other tables, some weights 0.
    private func tables(_ maker: inout RandomGraph, extent: Int) -> (places: ValueID, weights: ValueID) {
        let (outputs, taps) = (maker.random.int(1...20), maker.pick([1, 2, 2, 2, 4]))
        let places = (0..<outputs * taps).map { _ in Int64(maker.random.int(-extent...(extent - 1))) }
        let weights = places.map { _ in maker.chance(0.2) ? 0 : Float.random(in: -0.2...1, using: &maker.random) }
        func constant(_ tensor: Tensor) -> ValueID {
            maker.graph.addConstant(tensor.reshaped([outputs, taps]) ?? tensor, name: maker.name("table"))
        }
        return (constant(Tensor(places)), constant(Tensor(weights)))
    }

    private func resized(_ maker: inout RandomGraph, _ x: ValueID, axis: Int) throws -> ValueID {
        let (places, weights) = tables(&maker, extent: maker.graph[x].shape[axis])
        return try maker.node(.resample(axis: axis), [x, places, weights])
    }

    private func image(_ maker: inout RandomGraph, _ dtype: DType) -> ValueID {
        maker.input(
            [
                maker.random.int(1...3), maker.random.int(1...9), maker.random.int(1...9),
                maker.pick([1, 2, 3, 4, 8, 15, 16, 33]),
            ], dtype)
    }

    private func kernels(_ graph: Graph, _ inputs: [Tensor], _ options: RuntimeOptions) throws -> [String] {
        try Model(graph: graph, options: options).measureSteps(inputs: inputs, seconds: 0).map(\.kernel)
    }

    /// What the plain loop of each node gives.
    private func loops(_ graph: Graph, _ input: Tensor) throws -> Tensor {
        try graph.nodes.reduce(input) { tensor, node in
            let tables = node.inputs.dropFirst().map { $0.flatMap { graph[$0].constant } }
            let operands = [tensor] + tables
            let output = TensorType(tensor.dtype, graph[node.outputs[0]].shape)
            let types = operands.map { $0.map { TensorType($0.dtype, $0.shape) } }
            return try #require(GenericOperator(node.op, inputs: types, output: output)?.evaluate(operands))
        }
    }

    @Test func floats() throws {
        print("seeds 0..<40")
        for seed in UInt64(0)..<40 {
            var maker = RandomGraph(seed: seed)
            var x = image(&maker, .float32)
            for axis in 1...(seed % 4 == 0 ? 1 : 2) { x = try resized(&maker, x, axis: axis) }
            let graph = try maker.finish(x)
            let inputs = maker.inputs(of: graph)
            try expectAgreement(graph, inputs, tolerance: 1e-5, seed: seed)
            let expected = try loops(graph, inputs[0]).byteArray
            for isas in instructionSets {
                let options = RuntimeOptions(allowedISAs: isas, threads: 2)
                let result = try Model(graph: graph, options: options).run(inputs)
                #expect(result[0].byteArray == expected, "seed \(seed), \(isas.sorted())")
                let kernels = try kernels(graph, inputs, options)
                #expect(kernels.count == 1 && kernels[0].hasPrefix("resize_f32_"), "seed \(seed): \(kernels)")
            }
        }
    }

    /// Between dequantise and quantise the numbers are never written out as floats.
    @Test func int8() throws {
        print("seeds 100..<140")
        for seed in UInt64(100)..<140 {
            var maker = RandomGraph(seed: seed)
            let source = image(&maker, .int8)
            var x = try maker.node(.dequantize, [source])
            for axis in 1...(seed % 4 == 0 ? 1 : 2) { x = try resized(&maker, x, axis: axis) }
            let output = try maker.node(.quantize, [x], like: .int8)
            let graph = try maker.finish(output)
            var real = graph
            real.outputs = [x]
            let inputs = maker.inputs(of: graph)
            let grid = try #require(graph[output].encoding.affine)
            let exact = try Interpreter().run(real, inputs)[0].values.map {
                max(-128, min(127, $0 / Double(grid.scale) + Double(grid.zeroPoint)))
            }
            let expected = try Model(graph: graph, options: RuntimeOptions(allowedISAs: ["scalar"])).run(inputs)
            for (q, number) in zip(expected[0].doubles(), exact) {
                #expect(abs(q - number) <= 0.5 + 1e-4, "seed \(seed): \(q) for \(number)")
            }
            for isas in instructionSets {
                let options = RuntimeOptions(allowedISAs: isas, threads: 2)
                let result = try Model(graph: graph, options: options).run(inputs)
                #expect(result[0].byteArray == expected[0].byteArray, "seed \(seed), \(isas.sorted())")
                let kernels = try kernels(graph, inputs, options)
                #expect(kernels.count == 1 && kernels[0].hasPrefix("resize_s8_"), "seed \(seed): \(kernels)")
            }
        }
    }

    /// Slices are moved as they are, whatever the type.
    @Test(arguments: [DType.float32, .int8, .int64, .int16, .bool]) func slices(_ dtype: DType) throws {
        print("seeds 200..<212")
        for seed in UInt64(200)..<212 {
            var maker = RandomGraph(seed: seed)
            var x = image(&maker, dtype)
            let encoding = maker.graph[x].encoding
            for axis in 1...2 {
                let extent = maker.graph[x].shape[axis]
                let places = (0..<maker.random.int(1...20)).map { _ in Int64(maker.random.int(-extent...(extent - 1))) }
                let table = maker.graph.addConstant(Tensor(places), name: maker.name("places"))
                x = try maker.node(.gather(.slices(axis: axis)), [x, table], encoding: encoding)
            }
            let graph = try maker.finish(x)
            let inputs = maker.inputs(of: graph)
            let expected = try loops(graph, inputs[0]).byteArray
            for isas in instructionSets {
                let options = RuntimeOptions(allowedISAs: isas)
                #expect(try Model(graph: graph, options: options).run(inputs)[0].byteArray == expected, "seed \(seed)")
                let kernels = try kernels(graph, inputs, options)
                #expect(kernels.count == 1 && kernels[0].hasPrefix("resize_"), "seed \(seed): \(kernels)")
            }
        }
    }

    /// What others read is written out; places that do not exist are no kernel's.
    @Test func otherForms() throws {
        var maker = RandomGraph(seed: 9)
        let between = try resized(&maker, image(&maker, .float32), axis: 1)
        let graph = try maker.finish(try resized(&maker, between, axis: 2), between)
        let inputs = maker.inputs(of: graph)
        try expectAgreement(graph, inputs, tolerance: 1e-5, seed: 9)
        #expect(try kernels(graph, inputs, RuntimeOptions()).count == 2)

        var outside = RandomGraph(seed: 10)
        let table = outside.graph.addConstant(Tensor([Int64](arrayLiteral: 0, 7)), name: "places")
        let x = try outside.node(.gather(.slices(axis: 0)), [outside.input([3, 4]), table])
        let loose = try outside.finish(x)
        #expect(try kernels(loose, outside.inputs(of: loose), RuntimeOptions()) == ["gather"])
    }
}
