import OunceGraph
import Testing

@testable import OunceFormats

/// Exports of operators whose number of results depends on the data, and of what quantised sums read.
@Suite struct ExportSelectionTests {
    private func proto(_ graph: Graph) throws -> ONNXModelProto {
        try ONNXModelProto(serializedBytes: ONNXExporter.serialize(graph))
    }

    @Test func selectionHasTheExtentOfTheRun() throws {
        var graph = Graph(name: "detector")
        let boxes = graph.add(Value(name: "boxes", type: TensorType(.float32, [1, 20, 4])))
        let scores = graph.add(Value(name: "scores", type: TensorType(.float32, [1, 2, 20])))
        graph.inputs = [boxes, scores]
        let suppression = NonMaxSuppression(limit: 5, overlap: 0.5, leastScore: 0.25, isCentred: true)
        let rows = try graph.append(.nonMaxSuppression(suppression), [boxes, scores], name: "nms")
        let first = try graph.append(.slice([.all, SliceRange(start: 0, end: 1)]), [rows], name: "first")
        let zero = graph.addConstant(Tensor([Int64(0)]), name: "zero")
        let isThere = try graph.append(.compare(.greaterOrEqual), [first, zero], name: "isThere")
        let marks = try graph.append(.cast(.int64), [isThere], name: "marks")
        let count = try graph.append(.reduce(.sum, axes: [0, 1], keepDims: false), [marks], name: "count")
        graph.outputs = [try graph.append(.cut(axis: 0), [rows, count], name: "kept")]
        let model = try proto(graph)
        let types = model.graph.node.map(\.opType)
        #expect(types.contains("NonMaxSuppression"))
        // What only counted the rows is left out.
        #expect(!types.contains("ReduceSum") && !types.contains("Slice"))
        let dims = try #require(model.graph.output.first).type.tensorType.shape.dim
        #expect(dims.map(\.dimValue) == [0, 3])
        #expect(dims.first?.dimParam.isEmpty == false)
        let again = try ONNXImporter.parse(bytes: ONNXExporter.serialize(graph)).simplified()
        let found = again.nodes.compactMap { node in
            if case .nonMaxSuppression(let suppression) = node.op { suppression } else { nil }
        }
        #expect(found == [suppression])
        #expect(again.outputCuts.first.flatMap { $0 }?.axis == 0)
    }

    @Test func quantisedAddendOfAConvolutionIsRoundedTwice() throws {
        var graph = Graph(name: "residual")
        func grid(_ scale: Float, _ zero: Int32) -> Encoding {
            .affine(AffineQuantization(scales: [scale], zeroPoints: [zero], axis: nil))
        }
        let x = graph.add(Value(name: "x", type: TensorType(.int8, [1, 4, 4, 2]), encoding: grid(0.1, 3)))
        graph.inputs = [x]
        let weights = graph.addConstant(
            try #require(Tensor([Int8](repeating: 1, count: 4), shape: [2, 1, 1, 2])), name: "w")
        graph[weights].encoding = grid(0.02, 0)
        let layer = Op.conv(Convolution(strides: [1, 1], dilations: [1, 1], padBefore: [0, 0], padAfter: [0, 0]))
        let made = try graph.append(layer, [x, weights], name: "layer", encoding: grid(0.05, -7))
        let sum = try graph.append(.binary(.add, .none), [x, made], name: "sum", encoding: grid(0.2, 1))
        graph.outputs = [sum]
        let pairs = try proto(graph).graph.node.filter { $0.opType == "QuantizeLinear" }
        #expect(pairs.count { $0.name.contains("addend") } == 1)
    }

    @Test func wideGridsTakeTheOpsetThatHasThem() throws {
        var graph = Graph(name: "wide")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 4])))
        graph.inputs = [x]
        let grid = AffineQuantization(scales: [0.001], zeroPoints: [0], axis: nil)
        graph.outputs = [try graph.append(.quantizeAs(.int16), [x], name: "q", encoding: .affine(grid))]
        let model = try proto(graph)
        #expect(model.opsetImport.map(\.version) == [21])
        #expect(model.irVersion == 10)
        let again = try ONNXImporter.parse(bytes: ONNXExporter.serialize(graph)).simplified()
        #expect(again.outputs.map { again[$0].dtype } == [.int16])
    }
}
