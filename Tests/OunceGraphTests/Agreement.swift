import OunceGraph
import OunceTestSupport
import Testing

/// Simplifies `graph` and expects the same interface and, for random inputs, the same outputs.
///
/// - Parameters:
///   - batch: what unknown extents become.
///   - tolerance: relative to the largest magnitude of an output.
@discardableResult
func expectSimplified(
    _ graph: Graph, seed: UInt64, batch: Int = 2, tolerance: Double = 1e-5,
    sourceLocation: SourceLocation = #_sourceLocation
) throws -> Graph {
    let simple = try graph.simplified()
    let interface = { (graph: Graph, ids: [ValueID]) in ids.map { "\(graph[$0].name) \(graph[$0].type)" } }
    #expect(interface(graph, graph.inputs) == interface(simple, simple.inputs), sourceLocation: sourceLocation)
    #expect(interface(graph, graph.outputs) == interface(simple, simple.outputs), sourceLocation: sourceLocation)
    #expect(try simple.simplified().listing == simple.listing, "no fixed point", sourceLocation: sourceLocation)
    var random = RandomSource(seed: seed &+ 1)
    let inputs = graph.inputs.map { id in
        let shape = Shape(graph[id].shape.dims.map { $0 < 0 ? batch : $0 })
        return graph[id].dtype == .int8 ? random.int8Tensor(shape) : random.tensor(shape)
    }
    let before = try Interpreter().run(graph, inputs)
    let after = try Interpreter().run(simple, inputs)
    for (a, b) in zip(before, after) {
        #expect(a.shape == b.shape, sourceLocation: sourceLocation)
        let scale = max(a.values.map { abs($0) }.max() ?? 0, 1e-3)
        let worst = zip(a.values, b.values).map { abs($0 - $1) }.max() ?? 0
        #expect(
            worst <= tolerance * scale, "differs by \(worst) of \(scale), seed \(seed)", sourceLocation: sourceLocation)
    }
    return simple
}
