import OunceGraph
import OunceTestSupport
import Testing

/// The reference against numbers worked out by hand.
@Suite struct InterpreterTests {
    private func run(_ op: Op, _ x: Tensor, _ others: [Tensor], in encoding: Encoding, weights: Encoding, out: Encoding)
        throws -> [Double]
    {
        var graph = Graph(name: "one")
        let id = graph.add(Value(name: "x", type: TensorType(x.dtype, x.shape), encoding: encoding))
        graph.inputs = [id]
        var ids: [ValueID?] = [id]
        for tensor in others {
            ids.append(graph.addConstant(tensor, name: "c", encoding: tensor.dtype == .int8 ? weights : .plain))
        }
        graph.outputs = [try graph.append(op, ids, name: "y", encoding: out)]
        return try Interpreter().run(graph, [x])[0].values
    }

    @Test func int8LayersRoundTiesToEven() throws {
        let x = try #require(Tensor([3, -3, 5, 1] as [Int8], shape: [4, 1]))
        let w = try #require(Tensor([1] as [Int8], shape: [1, 1]))
        let grid = QuantizationTests.grid
        // (x - 1) * 1 * 0.25, ties to even, then + 2
        let y = try run(.fullyConnected(.none), x, [w], in: grid(0.5, 1), weights: grid(0.5, 0), out: grid(1, 2))
        #expect(y == [2, 1, 3, 2])
        let clipped = try run(.fullyConnected(.relu), x, [w], in: grid(0.5, 1), weights: grid(0.5, 0), out: grid(1, 2))
        #expect(clipped == [2, 2, 3, 2])
    }

    @Test func averagePoolingCountsWhatItIsTold() throws {
        let x = try #require(Tensor([2, 4, 6] as [Float], shape: [1, 3, 1]))
        for (counts, expected) in [(false, [2.0, 3, 5, 6]), (true, [1.0, 3, 5, 3])] {
            let pool = Pooling(
                kind: .average, kernel: [2], strides: [1], dilations: [1], padBefore: [1], padAfter: [1],
                countIncludesPadding: counts)
            #expect(try run(.pool(pool), x, [], in: .plain, weights: .plain, out: .plain) == expected)
        }
    }

    @Test func convolutionWithGroupsStridesAndDilation() throws {
        let x = try #require(Tensor([1, 10, 2, 20, 3, 30, 4, 40] as [Float], shape: [1, 4, 2]))
        let w = try #require(Tensor([1, 2, 3, 4] as [Float], shape: [2, 2, 1]))
        let bias = Tensor([100, 200] as [Float])
        let conv = Convolution(strides: [1], dilations: [2], padBefore: [0], padAfter: [0], groups: 2)
        let y = try run(.conv(conv), x, [w, bias], in: .plain, weights: .plain, out: .plain)
        #expect(y == [107, 350, 110, 420])
    }
}
