import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Graphs that are well formed and absurd: refused, each with a word about the cause, or run.
@Suite struct HostileGraphTests {
    private func refusal(of graph: Graph) -> String? {
        do {
            try graph.validate()
            let model = try Model(graph: graph, options: RuntimeOptions(memoryLimit: 1 << 26))
            _ = try model.measureSteps(seconds: 0)
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// A graph with one node whose output is declared as `output`, whatever inference says.
    private func graph(
        _ op: Op, _ inputs: [(DType, Shape, Encoding)], constants: [(DType, Shape, Encoding)] = [],
        output: (DType, Shape, Encoding)
    ) -> Graph {
        var graph = Graph(name: "hostile")
        var ids: [ValueID] = []
        for (index, (dtype, shape, encoding)) in inputs.enumerated() {
            let id = graph.add(Value(name: "x\(index)", type: TensorType(dtype, shape), encoding: encoding))
            graph.inputs.append(id)
            ids.append(id)
        }
        for (index, (dtype, shape, encoding)) in constants.enumerated() {
            let bytes = (shape.elementCount ?? 0) * dtype.byteSize
            let storage = TensorStorage(byteCount: bytes) { _ in }
            if let tensor = Tensor(dtype: dtype, shape: shape, storage: storage) {
                ids.append(graph.addConstant(tensor, name: "c\(index)", encoding: encoding))
            }
        }
        let result = graph.add(Value(name: "y", type: TensorType(output.0, output.1), encoding: output.2))
        graph.nodes = [Node(name: "node", op: op, inputs: ids, outputs: [result])]
        graph.outputs = [result]
        return graph
    }

    private func affine(_ scale: Float = 0.1, _ zero: Int32 = 0) -> Encoding {
        .affine(AffineQuantization(scale: scale, zeroPoint: zero))
    }

    private func conv(pad: Int = 0, stride: Int = 1, groups: Int = 1) -> Op {
        .conv(
            Convolution(
                strides: [stride, stride], dilations: [1, 1], padBefore: [pad, pad], padAfter: [pad, pad],
                groups: groups))
    }

    @Test func paddingBeyondAnyMemory() {
        let big = graph(
            conv(pad: 1 << 20), [(.float32, [1 << 15, 1, 1, 1 << 16], .plain)],
            constants: [(.float32, [1, 1, 1, 1 << 16], .plain)],
            output: (.float32, [1 << 15, 1 << 21 + 1, 1 << 21 + 1, 1], .plain))
        #expect(refusal(of: big) != nil)
        let strided = graph(
            conv(pad: 1 << 20, stride: 1 << 20), [(.float32, [1 << 15, 1, 1, 1 << 15], .plain)],
            constants: [(.float32, [1, 1, 1, 1 << 15], .plain)], output: (.float32, [1 << 15, 3, 3, 1], .plain))
        #expect(refusal(of: strided)?.contains("too large") == true)
    }

    @Test func int8WithoutScales() {
        let plain = Encoding.plain
        let cases: [(Op, [(DType, Shape, Encoding)])] = [
            (.matMul, [(.int8, [64, 64], affine()), (.int8, [64, 64], affine())]),
            (.matMul, [(.int8, [64, 64], affine()), (.float32, [64, 64], plain)]),
            (.binary(.multiply, .none), [(.int8, [4096], plain), (.int8, [4096], affine())]),
            (.binary(.add, .none), [(.int8, [4096], affine()), (.int8, [4096], plain)]),
            (.binary(.add, .none), [(.int8, [4096], affine()), (.int8, [1], affine())]),
            (.unary(.tanh), [(.int8, [4096], plain)]), (.softmax(axis: 0), [(.int8, [4096], plain)]),
            (.reduce(.sum, axes: [0], keepDims: true), [(.int8, [4096], affine())]),
            (.dequantize, [(.int8, [4096], plain)]),
        ]
        for (op, inputs) in cases {
            var shape = inputs[0].1
            if case .reduce = op { shape = [1] }
            let dtype: DType = op == .dequantize ? .float32 : .int8
            #expect(refusal(of: graph(op, inputs, output: (dtype, shape, plain))) != nil, "\(op)")
        }
    }

    @Test func integersAreNumbers() {
        let cases: [(Op, DType)] = [
            (.binary(.add, .none), .int8), (.binary(.multiply, .none), .int32), (.matMul, .int32), (.matMul, .int64),
            (.unary(.abs), .int8), (.unary(.clip(0, 5)), .int8), (.reduce(.sum, axes: [0, 1], keepDims: true), .int8),
            (.reduce(.mean, axes: [0, 1], keepDims: true), .int64),
        ]
        for (op, dtype) in cases {
            var shape: Shape = [4, 4]
            if case .reduce = op { shape = [1, 1] }
            var inputs: [(DType, Shape, Encoding)] = [(dtype, [4, 4], .plain)]
            if case .binary = op { inputs.append(inputs[0]) }
            if op == .matMul { inputs.append(inputs[0]) }
            #expect(refusal(of: graph(op, inputs, output: (dtype, shape, .plain))) == nil, "\(op)")
        }
    }

    @Test func gridsThatFitNoKernel() {
        let perChannel = Encoding.affine(AffineQuantization(scales: [1, 2], zeroPoints: [0, 0], axis: 1))
        let grids = [affine(0.1, 1 << 30), affine(0.1, -129), affine(0.1, .min), affine(.nan), affine(0), affine(-1)]
        for grid in grids {
            #expect(
                refusal(of: graph(.unary(.tanh), [(.int8, [2, 2], grid)], output: (.int8, [2, 2], affine()))) != nil)
            #expect(refusal(of: graph(.quantize, [(.float32, [2, 2], .plain)], output: (.int8, [2, 2], grid))) != nil)
        }
        let far = graph(
            .binary(.add, .none), [(.int8, [2, 2], affine(1e38)), (.int8, [2, 2], affine(1))],
            output: (.int8, [2, 2], affine(1e-38)))
        #expect(refusal(of: far) != nil)
        let none = Encoding.affine(AffineQuantization(scales: [], zeroPoints: [], axis: 0))
        #expect(refusal(of: graph(.dequantize, [(.int8, [-1, 2], none)], output: (.float32, [-1, 2], .plain))) != nil)
        for op in [Op.unary(.tanh), .softmax(axis: 1), .transpose([1, 0]), .concat(axis: 0)] {
            let one = graph(op, [(.int8, [2, 2], perChannel)], output: (.int8, [2, 2], affine()))
            #expect(refusal(of: one) != nil, "\(op)")
        }
    }

    @Test func emptyTensors() {
        let slice = Op.slice([SliceRange(start: 1, end: 1), .all])
        #expect(refusal(of: graph(slice, [(.float32, [2, 3], .plain)], output: (.float32, [0, 3], .plain))) == nil)
        let weights = graph(
            .fullyConnected(.none), [(.float32, [2, 3], .plain)], constants: [(.float32, [0, 3], .plain)],
            output: (.float32, [2, 0], .plain))
        #expect(refusal(of: weights) == nil)
        let wide = graph(
            .reshape([.literal(1 << 31), .literal(0)]), [(.float32, [2, 0], .plain)],
            output: (.float32, [1 << 31, 0], .plain))
        #expect(refusal(of: wide) == nil)
    }

    @Test func axesAndWindowsOutOfRange() {
        let x = (DType.float32, Shape([2, 3, 4, 5]), Encoding.plain)
        func pool(_ kernel: Int, stride: Int = 1, dilation: Int = 1, pad: Int = 0) -> Op {
            .pool(
                Pooling(
                    kind: .average, kernel: [kernel, kernel], strides: [stride, stride],
                    dilations: [dilation, dilation],
                    padBefore: [pad, pad], padAfter: [pad, pad]))
        }
        let operators: [Op] = [
            .softmax(axis: 4), .softmax(axis: -5), .softmax(axis: .max), .softmax(axis: .min), .concat(axis: 9),
            .concat(axis: .min), .transpose([0, 1, 2]), .transpose([0, 0, 1, 2]), .transpose([0, 1, 2, .max]),
            .reduce(.mean, axes: [4], keepDims: true), .reduce(.max, axes: [.min], keepDims: false),
            .slice([.all]), .slice([.all, .all, .all, SliceRange(step: 0)]),
            .slice([.all, .all, .all, SliceRange(step: .min)]), .reshape([.literal(.max)]),
            .reshape([.infer, .infer]), .reshape([.copy(9)]), .reshape([.literal(-7), .infer]),
            .pad(before: [0], after: [0], value: 0), .pad(before: [.max, 0, 0, 0], after: [.max, 0, 0, 0], value: 0),
            .pad(before: [.min, 0, 0, 0], after: [0, 0, 0, 0], value: 0),
            .pad(before: [-1, 0, 0, 0], after: [2, 0, 0, 0], value: 0), pool(0), pool(-1), pool(.max),
            pool(1, stride: 0),
            pool(1, stride: .min), pool(2, dilation: .max), pool(1, pad: -1), pool(1, pad: .max), pool(1 << 20),
            .batchNormalization(axis: 9, epsilon: 0), conv(groups: 0), conv(groups: .min), .matMul,
        ]
        for op in operators {
            for output in [Shape([2, 3, 4, 5]), [-1, -1, -1, -1]] {
                #expect(refusal(of: graph(op, [x], output: (.float32, output, .plain))) != nil, "\(op)")
            }
        }
    }

    @Test func inputsOfOneName() throws {
        var maker = RandomGraph(seed: 1)
        let (a, b) = (maker.input([-1, 3]), maker.input([-1, 3]))
        maker.graph[b].name = maker.graph[a].name
        maker.graph.outputs = [a, b]
        #expect(throws: GraphError.self) { try maker.graph.validate() }
    }

    @Test func manyNodes() throws {
        var maker = RandomGraph(seed: 1)
        var outputs = [maker.input([4])]
        for _ in 0..<4000 { outputs.append(try maker.node(.unary(.negate), [outputs[outputs.count - 1]])) }
        maker.graph.outputs = outputs
        let model = try Model(graph: maker.graph, options: RuntimeOptions(memoryLimit: 1 << 24))
        #expect(try model.run([Tensor([1, 2, 3, 4] as [Float])]).last?.floats() == [1, 2, 3, 4])
    }
}
