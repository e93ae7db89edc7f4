import OunceGraph
import OunceRuntime
import Testing

/// Operators whose results have an extent that only a run tells, and those that sample. Expected numbers are those of
/// ONNX's own examples.
@Suite struct SelectionTests {
    private func tensor<T: TensorElement>(_ numbers: [T], _ shape: Shape) throws -> Tensor {
        try #require(Tensor(numbers, shape: shape))
    }

    private func run(_ graph: Graph, _ inputs: [Tensor]) throws -> [Tensor] {
        try Model(graph: graph, options: RuntimeOptions()).run(inputs)
    }

    private func input(_ graph: inout Graph, _ name: String, _ dtype: DType, _ shape: Shape) -> ValueID {
        let id = graph.add(Value(name: name, type: TensorType(dtype, shape)))
        graph.inputs.append(id)
        return id
    }

    /// How many rows of `rows` hold a place, as an operator of the graph.
    private func count(_ graph: inout Graph, _ rows: ValueID, along axis: Int) throws -> ValueID {
        var ranges = [SliceRange](repeating: .all, count: 2)
        ranges[1 - axis] = SliceRange(start: 0, end: 1)
        let marks = try graph.append(.slice(ranges), [rows], name: "marks")
        let zero = graph.addConstant(try tensor([Int64(0)], []), name: "zero")
        let isThere = try graph.append(.compare(.greaterOrEqual), [marks, zero], name: "isThere")
        let ones = try graph.append(.cast(.int64), [isThere], name: "ones")
        return try graph.append(.reduce(.sum, axes: [0, 1], keepDims: false), [ones], name: "count")
    }

    @Test func keepsTheBestBoxes() throws {
        var graph = Graph(name: "boxes")
        let boxes = input(&graph, "boxes", .float32, [1, 6, 4])
        let scores = input(&graph, "scores", .float32, [1, 1, 6])
        let op = Op.nonMaxSuppression(
            NonMaxSuppression(limit: 4, overlap: 0.5, leastScore: 0, isCentred: false))
        let rows = try graph.append(op, [boxes, scores], name: "rows")
        let cut = try graph.append(.cut(axis: 0), [rows, try count(&graph, rows, along: 0)], name: "kept")
        graph.outputs = [cut]
        let corners: [Float] = [
            0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, -0.1, 1, 0.9, 0, 10, 1, 11, 0, 10.1, 1, 11.1, 0, 100, 1, 101,
        ]
        let model = try Model(graph: graph.simplified(), options: RuntimeOptions())
        #expect(model.outputs[0].shape == [-1, 3])
        let numbers: [Float] = [0.9, 0.75, 0.6, 0.95, 0.5, 0.3]
        let result = try model.run([try tensor(corners, [1, 6, 4]), try tensor(numbers, [1, 1, 6])])[0]
        #expect(result.shape == [3, 3])
        #expect(result.elements(Int64.self) == [0, 0, 3, 0, 0, 0, 0, 0, 5])
        let none = try model.run([
            try tensor(corners, [1, 6, 4]), try tensor([Float](repeating: -1, count: 6), [1, 1, 6]),
        ])
        #expect(none[0].shape == [0, 3])
    }

    @Test func findsWhatIsNotZero() throws {
        var graph = Graph(name: "places")
        let x = input(&graph, "x", .bool, [2, 2])
        let places = try graph.append(.nonZero, [x], name: "places")
        graph.outputs = [try graph.append(.cut(axis: 1), [places, try count(&graph, places, along: 1)], name: "found")]
        let result = try run(graph, [try tensor([true, false, true, true], [2, 2])])[0]
        #expect(result.shape == [2, 3] && result.elements(Int64.self) == [0, 1, 1, 0, 0, 1])
    }

    @Test func onlyOutputsMayBeCut() throws {
        var graph = Graph(name: "inside")
        let x = input(&graph, "x", .float32, [2, 2])
        let one = graph.addConstant(try tensor([Int64(1)], []), name: "one")
        let cut = try graph.append(.cut(axis: 0), [x, one], name: "cut")
        graph.outputs = [try graph.append(.unary(.abs), [cut], name: "y")]
        #expect(throws: GraphError.self) { try graph.validate() }
    }

    @Test func slicesBeyondTheCountDoNotMix() throws {
        var graph = Graph(name: "mix")
        let x = input(&graph, "x", .float32, [4, 2])
        let count = graph.addConstant(try tensor([Int64(3)], []), name: "count")
        let extent = RunTimeExtent(axis: 0, count: count)
        func result(_ op: Op, _ shape: Shape) throws -> RunTimeExtent? {
            try graph.runTimeExtent(of: op, [x], [extent], output: shape, node: "node")
        }
        #expect(try result(.transpose([1, 0]), [2, 4])?.axis == 1)
        #expect(try result(.reduce(.sum, axes: [1], keepDims: false), [4])?.axis == 0)
        #expect(try result(.reshape([.literal(1), .copy(0), .copy(1)]), [1, 4, 2])?.axis == 1)
        #expect(throws: GraphError.self) { try result(.reduce(.sum, axes: [0], keepDims: false), [2]) }
        #expect(throws: GraphError.self) { try result(.reverse(axes: [0]), [4, 2]) }
        #expect(throws: GraphError.self) { try result(.softmax(axis: 0), [4, 2]) }
    }

    @Test func readsBetweenPixels() throws {
        var graph = Graph(name: "sample")
        let x = input(&graph, "x", .float32, [1, 1, 2, 2])
        let places = input(&graph, "places", .float32, [1, 1, 3, 2])
        graph.outputs = [
            try graph.append(.sampleAt(GridSampling(.linear, border: .zeros)), [x, places], name: "zeros"),
            try graph.append(.sampleAt(GridSampling(.linear, border: .edge)), [x, places], name: "edge"),
        ]
        // Columns come first: (x, y).
        let at: [Float] = [0.5, 0, 1, 0.5, -0.5, 0]
        let results = try run(graph, [try tensor([Float(0), 1, 2, 3], [1, 1, 2, 2]), try tensor(at, [1, 1, 3, 2])])
        #expect(results[0].elements(Float.self) == [0.5, 2, 0])
        #expect(results[1].elements(Float.self) == [0.5, 2, 0])
    }

    @Test func asksTrees() throws {
        var graph = Graph(name: "tree")
        let x = input(&graph, "x", .float32, [3, 2])
        // Feature 1 at most 0.5: leaf 0, else leaf 1; a missing number goes to leaf 0.
        let tables: [(Tensor, String)] = [
            (try tensor([Int64(1), 0, -1, -2, 1], [1, 5]), "nodes"), (try tensor([0.5], [1]), "limits"),
            (try tensor([Int64(0)], [1]), "roots"), (try tensor([Int64(0), 1, 3], [3]), "leaves"),
            (try tensor([Int64(0), 0, 1], [3]), "targets"), (try tensor([10.0, 20, 30], [3]), "weights"),
        ]
        let op = Op.treeEnsemble(TreeEnsemble(aggregate: .sum, targets: 2))
        let constants = tables.map { graph.addConstant($0.0, name: $0.1) }
        graph.outputs = [try graph.append(op, [x] + constants, name: "scores")]
        let rows = try tensor([Float(9), 0.5, 9, 0.6, 9, .nan], [3, 2])
        #expect(try run(graph, [rows])[0].elements(Float.self) == [10, 0, 20, 30, 10, 0])
    }

    @Test func determinants() throws {
        var graph = Graph(name: "determinant")
        let x = input(&graph, "x", .float32, [2, 2, 2])
        graph.outputs = [try graph.append(.determinant, [x], name: "y")]
        let result = try run(graph, [try tensor([Float(0), 1, 2, 3, 1, 2, 2, 4], [2, 2, 2])])[0]
        #expect(result.elements(Float.self) == [-2, 0])
    }
}
