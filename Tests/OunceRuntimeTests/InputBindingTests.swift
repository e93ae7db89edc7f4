import OunceFormats
import OunceGraph
import Testing

@testable import OunceRuntime

/// `open.onnx` (Tests/Golden/formats/make_onnx.py) pads and resizes open extents and branches on an input.
@Suite struct InputBindingTests {
    private func load(_ given: InputBindings) throws(FormatError) -> Graph {
        let tests = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
        return try ModelFile.load(path: "/\(tests)/Golden/formats/open.onnx", given: given)
    }

    @Test func extentsAndValuesAreBound() throws {
        let graph = try load(
            InputBindings(shapes: ["x": [-1, 1, 2, 3]], values: ["rate": try #require(Tensor([16.0], shape: [1]))]))
        #expect(graph.inputs.map { graph[$0].name } == ["x"])
        let shape = graph[graph.outputs[0]].shape
        #expect(shape.dims.suffix(2) == [6, 8])
        // Made by ONNX Runtime 1.31.1 from 0...5.
        let wanted: [(Double, [Float])] = [
            (16, [9, 9, 12, 12, 15, 15, 12, 12]), (8, [-3, -3, -4, -4, -5, -5, -4, -4]),
        ]
        for (rate, row) in wanted {
            let graph = try load(InputBindings(shapes: ["x": [1, 1, 2, 3]], values: ["rate": Tensor([rate])]))
                .simplified()
            let input = try #require(Tensor((0..<6).map { Float($0) }, shape: [1, 1, 2, 3]))
            let output = try Model(graph: graph, options: RuntimeOptions()).run([input])
            #expect(output[0].shape == [1, 1, 6, 8] && Array(output[0].floats().prefix(8)) == row)
        }
    }

    @Test func whatIsMissingIsNamed() throws {
        let error = try #require(throws: FormatError.self) { try load(InputBindings()) }
        #expect(error.code == .unsupported)
        #expect(error.openInputs.map(\.name) == ["x"] && error.openInputs.map(\.shape) == [[1, 1, -1, -1]])
        #expect(error.neededInputs == ["rate"])
        #expect(error.message.contains("--shape x=1,1,N,N") && error.message.contains("--value rate="), "\(error)")
    }

    @Test(arguments: [
        InputBindings(shapes: ["nothing": [1]]), InputBindings(values: ["nothing": Tensor([1.0])]),
        InputBindings(shapes: ["x": [1, 2]]), InputBindings(shapes: ["x": [1, 2, 4, 4]]),
        InputBindings(shapes: ["x": [1, 1, 1 << 40, 1 << 40]]),
    ])
    func whatDoesNotFitIsRefused(_ given: InputBindings) throws {
        let error = try #require(throws: FormatError.self) { try load(given) }
        #expect(error.code == .invalidArgument, "\(error)")
    }
}
