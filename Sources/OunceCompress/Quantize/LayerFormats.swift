import OunceConfig
import OunceGraph

/// How the weights of each layer that a recipe covers are kept.
struct LayerFormats {
    /// By index in the graph's nodes.
    private(set) var formats: [Int: WeightFormat] = [:]
    /// Below this many successive weights a group's factor costs what narrow weights save.
    private static let leastRow = 4

    init(_ graph: Graph, _ recipe: Quantization) {
        let ends = Self.ends(graph)
        for (index, node) in graph.nodes.enumerated() where QuantizePlan.isLayer(node) {
            guard recipe.selection.covers(node, in: graph), node.inputs.count > 1,
                let weights = node.inputs[1].flatMap({ graph[$0].constant }), weights.dtype == .float32
            else { continue }
            var format = recipe.weights.format(isEnd: ends.contains(index)) { $0.covers(node, in: graph) }
            if format.isNarrow, format == recipe.weights.format, (weights.shape.dims.last ?? 0) < Self.leastRow {
                format = .int8
            }
            formats[index] = format
        }
    }

    /// Layers with no other layer between them and the model's inputs or outputs.
    private static func ends(_ graph: Graph) -> Set<Int> {
        var found: Set<Int> = []
        var near = Set(graph.inputs)
        for (index, node) in graph.nodes.enumerated()
        where node.inputs.contains(where: { $0.map(near.contains) ?? false }) {
            if QuantizePlan.isLayer(node) { found.insert(index) } else { near.formUnion(node.outputs) }
        }
        near = Set(graph.outputs)
        for (index, node) in graph.nodes.enumerated().reversed() where node.outputs.contains(where: near.contains) {
            if QuantizePlan.isLayer(node) {
                found.insert(index)
            } else {
                near.formUnion(node.inputs.compactMap { $0 })
            }
        }
        return found
    }

    subscript(index: Int) -> WeightFormat? { formats[index] }

    /// "int4 in groups of 32: 17 layers, int8: 2"; nil where all are int8.
    var note: String? {
        guard formats.values.contains(where: { $0 != .int8 }) else { return nil }
        let counts = Dictionary(grouping: formats.values) { $0 }.mapValues(\.count)
        return counts.sorted { ($0.value, $0.key.text) > ($1.value, $1.key.text) }
            .enumerated().map { "\($1.key.text): \($1.value)" + ($0 > 0 ? "" : $1.value == 1 ? " layer" : " layers") }
            .joined(separator: ", ")
    }
}
