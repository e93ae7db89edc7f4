import COunceKernels
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Every operator against the naive interpreter, on random extents.
@Suite struct OperatorTests {
    static let rounds = 40

    @Test(arguments: Set(RandomGraph.floatOperators).sorted())
    func float(_ kind: String) throws {
        print("float \(kind): seeds 1000..<\(1000 + Self.rounds)")
        for seed in 1000..<(1000 + UInt64(Self.rounds)) {
            var maker = RandomGraph(seed: seed)
            let graph = try maker.single(kind, .float32)
            let inputs = maker.inputs(of: graph)
            try expectAgreement(graph, inputs, tolerance: 1e-5, seed: seed)
        }
    }

    @Test(arguments: Set(RandomGraph.int8Operators).sorted())
    func int8BitForBit(_ kind: String) throws {
        print("int8 \(kind): seeds 2000..<\(2000 + Self.rounds)")
        for seed in 2000..<(2000 + UInt64(Self.rounds)) {
            var maker = RandomGraph(seed: seed)
            let graph = try maker.single(kind, .int8)
            let inputs = maker.inputs(of: graph)
            try expectAgreement(graph, inputs, tolerance: 0, seed: seed)
        }
    }

    /// Without an int8 kernel: by way of float32, at most one quantum from the exact rule.
    @Test(arguments: ["reduce", "binary"]) func int8ThroughFloat(_ kind: String) throws {
        print("int8 \(kind): seeds 3000..<\(3000 + Self.rounds)")
        for seed in 3000..<(3000 + UInt64(Self.rounds)) {
            var maker = RandomGraph(seed: seed)
            let graph = try maker.single(kind, .int8)
            try expectAgreement(graph, maker.inputs(of: graph), quanta: 1, seed: seed)
        }
    }

    @Test(arguments: [DType.int32, .int64]) func integerArithmetic(_ dtype: DType) throws {
        for seed in UInt64(0)..<20 {
            var maker = RandomGraph(seed: seed)
            let full = maker.shape(rank: 3)
            let a = maker.input(full, dtype)
            let b = maker.input(Shape(full.dims.map { maker.chance(0.4) ? 1 : $0 }), dtype)
            let op = maker.pick([BinaryOperator.add, .subtract, .multiply, .minimum, .maximum])
            let sum = try maker.node(.binary(op, .none), [a, b])
            let cast = try maker.node(.cast(.float32), [sum])
            let graph = try maker.finish(sum, cast)
            try expectAgreement(graph, maker.inputs(of: graph), tolerance: 0, seed: seed)
        }
    }

    @Test func casts() throws {
        let numbers: [Float] = [0, 1, -1, 1.5, -1.5, 127, -128, 0.49, 100.99]
        for dtype in DType.allCases where dtype != .float16 {
            var maker = RandomGraph(seed: 1)
            let x = maker.input([numbers.count])
            let graph = try maker.finish(try maker.node(.cast(dtype), [x]))
            let values = dtype == .uint8 || !dtype.isFloat ? numbers.map { dtype == .int8 ? $0 : abs($0) } : numbers
            try expectAgreement(graph, [Tensor(values)], tolerance: 0, seed: 1)
        }
    }

    /// Numbers that have no place in the target type saturate or wrap, whatever they are.
    @Test func castsOfAnything() throws {
        let numbers: [Float] = [.nan, .infinity, -.infinity, 1e30, -1e30, 9.3e18, 300, -5]
        for dtype in DType.allCases where dtype != .float16 {
            var maker = RandomGraph(seed: 1)
            let x = maker.input([numbers.count])
            let graph = try maker.finish(try maker.node(.cast(dtype), [x]))
            #expect(try Model(graph: graph, options: RuntimeOptions()).run([Tensor(numbers)])[0].dtype == dtype)
        }
    }
}

/// Runs `graph` and expects what the interpreter gives.
///
/// - Parameters:
///   - tolerance: relative to the largest magnitude of an output; 0: equal.
///   - quanta: absolute, in units of an int8 output.
func expectAgreement(
    _ graph: Graph, _ inputs: [Tensor], tolerance: Double = 0, quanta: Double = 0, seed: UInt64,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    var interpreter = Interpreter()
    // An int8 table is rounded from these: another last bit may give another quantum.
    interpreter.math.exp = ounce_exp
    interpreter.math.log = ounce_log
    interpreter.math.tanh = ounce_tanh
    interpreter.math.sigmoid = ounce_sigmoid
    let expected = try interpreter.run(graph, inputs)
    let results = try Model(graph: graph, options: RuntimeOptions()).run(inputs)
    for (result, wanted) in zip(results, expected) {
        #expect(result.shape.dims == wanted.shape, "seed \(seed)", sourceLocation: sourceLocation)
        let scale = max(wanted.values.map { abs($0) }.max() ?? 0, 1e-3)
        let worst = zip(result.doubles(), wanted.values).map { $0 == $1 ? 0 : abs($0 - $1) }.max() ?? 0
        #expect(
            worst <= tolerance * scale + quanta,
            "\(graph.nodes.map(\.op)) differs by \(worst) of \(scale), seed \(seed)",
            sourceLocation: sourceLocation)
    }
}
