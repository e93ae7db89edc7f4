import Glibc
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Products of int8 matrices sum integers, and so does attention on int8 numbers.
@Suite struct IntegerMatMulTests {
    private func kernels(_ graph: Graph, _ inputs: [Tensor], _ isas: Set<String>) throws -> [String] {
        try Model(graph: graph, options: RuntimeOptions(allowedISAs: isas)).measureSteps(inputs: inputs, seconds: 0)
            .map(\.kernel)
    }

    private func centred(_ tensor: Tensor, _ grid: AffineQuantization) -> [Int] {
        (tensor.elements(Int8.self) ?? []).map { Int($0) - Int(grid.zeroPoint) }
    }

    /// Sums of products of `[pairs, m, k]` and `[pairs or 1, k, n]`.
    private func sums(_ a: [Int], _ b: [Int], pairs: Int, _ m: Int, _ k: Int, _ n: Int) -> [Int] {
        var sums: [Int] = []
        for pair in 0..<pairs {
            let right = b.count == k * n ? 0 : pair * k * n
            for row in 0..<m {
                for column in 0..<n {
                    sums.append((0..<k).reduce(0) { $0 + a[(pair * m + row) * k + $1] * b[right + $1 * n + column] })
                }
            }
        }
        return sums
    }

    @Test(arguments: [true, false]) func productsAreExact(isReal: Bool) throws {
        print("seeds 0..<20")
        for seed in UInt64(0)..<20 {
            var maker = RandomGraph(seed: seed)
            let (pairs, m, n) = (maker.random.int(1...3), maker.random.int(1...60), maker.random.int(1...80))
            let k = maker.random.int(1...90)
            let a = maker.input([pairs, m, k], .int8)
            let b = maker.input([maker.chance(0.3) ? 1 : pairs, k, n], .int8)
            let (left, right) = (
                try #require(maker.graph[a].encoding.affine), try #require(maker.graph[b].encoding.affine)
            )
            let output =
                isReal ? try maker.node(.matMul, [a, b]) : try maker.sum(.matMul, a, b, nil, terms: k)
            let graph = try maker.finish(output)
            let inputs = maker.inputs(of: graph)
            let sums = sums(centred(inputs[0], left), centred(inputs[1], right), pairs: pairs, m, k, n)
            let product = Double(left.scale) * Double(right.scale)
            for isas in instructionSets {
                for threads in 1...2 {
                    let what = "seed \(seed), \(isas.sorted()), \(threads) threads"
                    let options = RuntimeOptions(allowedISAs: isas, threads: threads)
                    let result = try Model(graph: graph, options: options).run(inputs)[0]
                    if let grid = graph[output].encoding.affine {
                        let expected = sums.map { sum in
                            let units = (Float(sum) * Float(product / Double(grid.scale))).rounded(.toNearestOrEven)
                            return Int8(clamping: Int(units) + Int(grid.zeroPoint))
                        }
                        #expect(result.elements(Int8.self) == expected, "\(what)")
                    } else {
                        #expect(result.elements(Float.self) == sums.map { Float($0) * Float(product) }, "\(what)")
                    }
                    let kernels = try kernels(graph, inputs, isas)
                    #expect(kernels.count == 1 && kernels[0].hasPrefix("matmul_s8_"), "\(what): \(kernels)")
                }
            }
        }
    }

    /// What artifacts of before say: products of dequantised numbers are float ones.
    @Test func dequantisedOperandsStayFloat() throws {
        var maker = RandomGraph(seed: 3)
        let (a, b) = (maker.input([2, 7, 5], .int8), maker.input([2, 5, 6], .int8))
        let product = try maker.node(.matMul, [maker.node(.dequantize, [a]), maker.node(.dequantize, [b])])
        let graph = try maker.finish(try maker.node(.quantize, [product], encoding: .affine(maker.grid())))
        let inputs = maker.inputs(of: graph)
        let kernels = try kernels(graph, inputs, InstructionSets.available.names.reduce(into: []) { $0.insert($1) })
        #expect(kernels.contains { $0.hasPrefix("matmul_f32_") } && !kernels.contains { $0.hasPrefix("matmul_s8_") })
        #expect(kernels.filter { $0.hasPrefix("dequantize_") }.count == 2)
    }

    // MARK: Attention

    private struct Heads {
        var graph: Graph
        /// The same with the scores as an output, which keeps the pieces apart.
        var apart: Graph
        var inputs: [Tensor]
    }

    /// - Parameter isPlain: heads apart and nothing scaled.
    private func heads(
        _ mask: AttentionTests.Mask, isReal: Bool, isPlain: Bool = false, _ maker: inout RandomGraph
    ) throws -> Heads {
        let (batch, heads) = (maker.random.int(1...2), maker.random.int(1...3))
        let (queries, keys) = (maker.random.int(1...50), maker.random.int(1...40))
        let (width, values) = (maker.random.int(1...20), maker.random.int(1...40))
        let order = [0, 2, 1, 3]
        /// Heads beside each other, as layers give them, or moved already.
        func matrices(_ rows: Int, _ columns: Int) throws -> ValueID {
            guard !isPlain, maker.chance(0.5) else { return maker.input([batch, heads, rows, columns], .int8) }
            let x = maker.input([batch, rows, heads, columns], .int8)
            return try maker.node(.transpose(order), [x], encoding: maker.graph[x].encoding)
        }
        var q = try matrices(queries, width)
        if !isPlain, maker.chance(0.5), let grid = maker.graph[q].encoding.affine {
            let number = maker.graph.addConstant(
                Tensor([Int8(1)]), name: "number", encoding: .affine(AffineQuantization(scale: 0.35, zeroPoint: 0)))
            q = try maker.node(
                .binary(.multiply, .none), [q, number],
                encoding: .affine(AffineQuantization(scale: grid.scale * 0.35, zeroPoint: grid.zeroPoint)))
        }
        let k = maker.input([maker.chance(0.5) ? batch : 1, heads, width, keys], .int8)
        let v = try matrices(keys, values)
        let product = try maker.node(.matMul, [q, k])
        var scores = product
        let shape: Shape? =
            switch mask {
            case .none: nil
            case .keys: [keys]
            case .heads: [batch, 1, queries, keys]
            case .rows: [queries, 1]
            case .number: []
            case .layer: [batch, heads, queries, 3]
            }
        if let shape {
            var added = maker.input(shape)
            // The layer is no place to add the scores to.
            if mask == .layer { added = try maker.node(.fullyConnected(.none), [added, maker.constant([keys, 3])]) }
            scores = try maker.node(.binary(.add, .none), maker.chance(0.5) ? [product, added] : [added, product])
        }
        let top = try maker.node(.reduce(.max, axes: [-1], keepDims: true), [scores])
        let e = try maker.node(.unary(.exp), [try maker.node(.binary(.subtract, .none), [scores, top])])
        let weights = try maker.node(.quantize, [e], encoding: .affine(AttentionWeights.grid))
        let total = try maker.node(
            .reduce(.sum, axes: [-1], keepDims: true), [try maker.node(.dequantize, [weights])])
        var output = try maker.node(
            .binary(.divide, .none), [try maker.node(.matMul, [weights, v]), total])
        if !isReal { output = try maker.node(.quantize, [output], encoding: .affine(maker.grid())) }
        if !isPlain, maker.chance(0.5) {
            output = try maker.node(.transpose(order), [output], encoding: maker.graph[output].encoding)
        }
        let graph = try maker.finish(output)
        var apart = graph
        apart.outputs.append(product)
        return Heads(graph: graph, apart: apart, inputs: maker.inputs(of: graph))
    }

    @Test(arguments: AttentionTests.Mask.allCases, [true, false])
    func attentionHasTheBitsOfItsPieces(_ mask: AttentionTests.Mask, isReal: Bool) throws {
        print("seeds 0..<8")
        for seed in UInt64(0)..<8 {
            var maker = RandomGraph(seed: seed)
            var made = try heads(mask, isReal: isReal, &maker)
            if seed % 4 == 3, made.inputs.count > 3, var numbers = made.inputs[3].elements(Float.self) {
                // Keys that are left out, and rows without any.
                for index in numbers.indices where maker.chance(0.5) { numbers[index] = -.infinity }
                made.inputs[3] = try #require(Tensor(numbers, shape: made.inputs[3].shape))
            }
            let expected = try Model(graph: made.apart, options: RuntimeOptions(allowedISAs: ["scalar"]))
                .run(made.inputs)[0]
            for isas in instructionSets {
                for threads in 1...2 {
                    let options = RuntimeOptions(allowedISAs: isas, threads: threads)
                    let (one, pieces) = (
                        try Model(graph: made.graph, options: options), try Model(graph: made.apart, options: options)
                    )
                    let what = "seed \(seed), \(isas.sorted()), \(threads) threads"
                    let result = try one.run(made.inputs)[0]
                    #expect(same(result, expected), "\(what)")
                    #expect(try same(pieces.run(made.inputs)[0], expected), "\(what)")
                    let kernels = try one.measureSteps(inputs: made.inputs, seconds: 0).map(\.kernel)
                    #expect(kernels.count == (mask == .layer ? 2 : 1), "\(what): \(kernels)")
                    #expect(kernels.last?.hasPrefix("attention_s8_") == true, "\(what): \(kernels)")
                    let apart = try pieces.measureSteps(inputs: made.inputs, seconds: 0).map(\.kernel)
                    #expect(apart.filter { $0.hasPrefix("matmul_s8_") }.count == 2, "\(what): \(apart)")
                }
            }
        }
    }

    /// The same bytes but for which NaN it is.
    private func same(_ a: Tensor, _ b: Tensor) -> Bool {
        guard let x = a.elements(Float.self), let y = b.elements(Float.self) else { return a.byteArray == b.byteArray }
        return x.count == y.count
            && zip(x, y).allSatisfy { $0.bitPattern == $1.bitPattern || ($0.isNaN && $1.isNaN) }
    }

    /// Against softmax in double: the weights are rounded by at most half a 256th of the largest.
    @Test func attentionIsNear() throws {
        for seed in UInt64(20)..<26 {
            var maker = RandomGraph(seed: seed)
            let made = try heads(.none, isReal: true, isPlain: true, &maker)
            let graph = made.graph
            let shapes = graph.inputs.map { graph[$0].shape }
            let (q, k, v) = (made.inputs[0], made.inputs[1], made.inputs[2])
            let grids = graph.inputs.compactMap { graph[$0].encoding.affine }
            let (m, n, width, values) = (shapes[0][2], shapes[1][3], shapes[0][3], shapes[2][3])
            let heads = shapes[0][0] * shapes[0][1]
            let (x, y, z) = (centred(q, grids[0]), centred(k, grids[1]), centred(v, grids[2]))
            let result = try #require(
                try Model(graph: graph, options: RuntimeOptions()).run(made.inputs)[0].elements(Float.self))
            for head in 0..<heads {
                let keys = head % (shapes[1][0] * shapes[1][1]) * width * n
                let row = maker.random.int(0...m - 1)
                let scores = (0..<n).map { column in
                    Double((0..<width).reduce(0) { $0 + x[(head * m + row) * width + $1] * y[keys + $1 * n + column] })
                        * Double(grids[0].scale) * Double(grids[1].scale)
                }
                let top = scores.max() ?? 0
                let e = scores.map { exp($0 - top) }
                let total = e.reduce(0, +)
                for column in 0..<values {
                    let exact =
                        (0..<n).reduce(0) { $0 + e[$1] / total * Double(z[(head * n + $1) * values + column]) }
                        * Double(grids[2].scale)
                    let bound = Double(n) / 200 / total * 168 * Double(grids[2].scale) + 1e-5
                    let given = Double(result[(head * m + row) * values + column])
                    #expect(abs(given - exact) <= bound, "seed \(seed): \(given), exactly \(exact)")
                }
            }
        }
    }

    /// A number's product with int8 values on a grid larger by it is the same integers: no step is left.
    @Test func scalingKeepsIntegers() throws {
        for op in [BinaryOperator.multiply, .divide] {
            var maker = RandomGraph(seed: 9)
            let x = maker.input([3, 8], .int8)
            let grid = try #require(maker.graph[x].encoding.affine)
            let one = maker.graph.addConstant(
                Tensor([Int8(1)]), name: "number", encoding: .affine(AffineQuantization(scale: 0.3, zeroPoint: 0)))
            let factor: Float = op == .multiply ? 0.3 : 1 / 0.3
            let scaled = try maker.node(
                .binary(op, .none), [x, one],
                encoding: .affine(AffineQuantization(scale: grid.scale * factor, zeroPoint: grid.zeroPoint)))
            let other = try maker.node(
                .binary(op, .none), [x, one],
                encoding: .affine(AffineQuantization(scale: grid.scale * factor * 1.5, zeroPoint: grid.zeroPoint)))
            let graph = try maker.finish(try maker.node(.unary(.abs), [scaled], encoding: .affine(maker.grid())), other)
            let inputs = maker.inputs(of: graph)
            try expectAgreement(graph, inputs, tolerance: 1e-5, seed: 9)
            let kernels = try kernels(graph, inputs, ["scalar"])
            #expect(kernels.filter { $0.hasPrefix("binary_f32_") }.count == 1, "\(kernels)")
        }
    }
}
