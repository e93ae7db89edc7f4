import OunceConfig
import OunceGraph
import OunceRuntime

/// Which nodes of a float graph become int8.
///
/// Layers with weights (convolutions and fully connected ones) are chosen by the recipe; what lies between them follows where
/// its inputs are int8 already. Attention whose queries, keys and values are int8 multiplies integers, with scores and the
/// exponentials of its softmax in float. Everything else stays float.
struct QuantizePlan {
    let graph: Graph
    private(set) var nodes: Set<Int> = []
    /// Values that exist in int8 after the pass, made by a quantised node.
    private(set) var int8Values: Set<ValueID> = []
    /// Values whose range must be known.
    private(set) var watched: Set<ValueID> = []

    /// Attentions that multiply integers, by the index of their last product.
    private(set) var attentions: [Int: AttentionPieces] = [:]

    let signed: SignedValues

    /// Quantised layers whose input exists in float only.
    private(set) var entryLayers: [Int] = []

    /// - Parameter float: indices of layers that stay float whatever the recipe says.
    init(_ graph: Graph, _ recipe: Quantization, float: Set<Int> = []) {
        self.graph = graph
        signed = SignedValues(graph)
        // The grid of attention's weights has a zero point.
        let found = recipe.activations == .int8 && !recipe.symmetric ? graph.attentions(ValueFlow(graph)) : [:]
        let consumers = graph.consumers()
        for (index, node) in graph.nodes.enumerated() where !float.contains(index) {
            if let pieces = found[index], multipliesIntegers(pieces, node, recipe) {
                attentions[index] = pieces
                nodes.formUnion([pieces.scoreNode, index])
                if onlyLayersRead(node.outputs[0], consumers) {
                    int8Values.insert(node.outputs[0])
                    watched.insert(node.outputs[0])
                }
                continue
            }
            guard let output = node.outputs.first, becomesInt8(node, recipe),
                node.op != .matMul || onlyLayersRead(output, consumers)
            else { continue }
            nodes.insert(index)
            int8Values.insert(output)
            switch node.op {
            case .conv, .fullyConnected:
                if let x = node.inputs.first ?? nil, !int8Values.contains(x) {
                    watched.insert(x)
                    entryLayers.append(index)
                }
                watched.insert(output)
            case .unary, .binary(.subtract, .none):
                // Signs of what is float are taken of its int8 form.
                if let x = node.inputs.first ?? nil, !int8Values.contains(x) { watched.insert(x) }
                watched.insert(output)
            default:
                if gridFactor(node) == nil { watched.insert(output) }
            }
            // Channel means of the inputs of layers are what bias correction needs.
            if Self.isLayer(node), let x = node.inputs.first ?? nil { watched.insert(x) }
        }
    }

    static func isLayer(_ node: Node) -> Bool {
        switch node.op {
        case .conv, .fullyConnected: true
        default: false
        }
    }

    /// Whether the pass keeps the input's grid for the output.
    static func keepsGrid(_ op: Op) -> Bool {
        switch op {
        case .reshape, .transpose, .slice, .pad: true
        case .pool(let pool): pool.kind == .max
        default: false
        }
    }

    /// Where the output's grid follows from the input's: what its scale is multiplied with, the zero point staying.
    func gridFactor(_ node: Node) -> Float? {
        Self.keepsGrid(node.op) ? 1 : scaling(node)?.factor
    }

    /// A product with a positive number, or a quotient: the same integers on another grid.
    func scaling(_ node: Node) -> (factor: Float, number: Float)? {
        guard case .binary(let op, .none) = node.op, op == .multiply || op == .divide, node.inputs.count == 2,
            let x = node.inputs[0], let id = node.inputs[1], graph[x].shape.rank >= graph[id].shape.rank,
            let numbers = graph[id].constant?.elements(Float.self), numbers.count == 1
        else { return nil }
        let factor = op == .multiply ? numbers[0] : 1 / numbers[0]
        return numbers[0] > 0x1p-20 && numbers[0] < 0x1p20 ? (factor, numbers[0]) : nil
    }

    private func multipliesIntegers(_ pieces: AttentionPieces, _ node: Node, _ recipe: Quantization) -> Bool {
        [pieces.q, pieces.k, pieces.v].allSatisfy { int8Values.contains($0) }
            && [node, graph.nodes[pieces.scoreNode]].allSatisfy { recipe.selection.covers($0, in: graph) }
            // The sum of 8-bit numbers stays exact in float32, that of products in int32.
            && [graph[pieces.q].shape.dims.last, graph[node.inputs[0] ?? pieces.q].shape.dims.last].allSatisfy {
                ($0 ?? 0) <= Self.longestSum
            }
    }

    private static let longestSum = 33_000

    /// Whether a value goes to layers only, perhaps moved around: float numbers of it are of no use.
    private func onlyLayersRead(_ id: ValueID, _ consumers: ValueMap<[Int]>) -> Bool {
        guard !graph.outputs.contains(id), let readers = consumers[id], !readers.isEmpty else { return false }
        return readers.map { graph.nodes[$0] }.allSatisfy { reader in
            switch reader.op {
            case .reshape, .transpose: onlyLayersRead(reader.outputs[0], consumers)
            default: Self.isLayer(reader)
            }
        }
    }

    private func becomesInt8(_ node: Node, _ recipe: Quantization) -> Bool {
        let inputs = node.inputs.compactMap { $0 }
        guard let x = inputs.first, graph[x].dtype == .float32, graph[x].constant == nil else { return false }
        let available = inputs.allSatisfy { int8Values.contains($0) }
        switch node.op {
        case .conv, .fullyConnected:
            guard inputs.count > 1, graph[inputs[1]].constant?.dtype == .float32,
                inputs.dropFirst(2).allSatisfy({ graph[$0].constant?.dtype == .float32 })
            else { return false }
            return recipe.selection.covers(node, in: graph)
        case .unary where signed.forLayers.contains(node.outputs[0]): return true
        case .matMul: return available && recipe.activations == .int8 && recipe.selection.covers(node, in: graph)
        case .pool, .reshape, .transpose, .slice, .concat, .unary: return available
        case .pad(_, _, let value): return available && value == 0
        case .reduce(let reduction, let axes, _):
            let rank = graph[x].shape.rank
            let spatial = Set(1..<max(rank - 1, 1))
            return available && reduction == .mean
                && Set(axes.compactMap { graph[x].shape.normalized(axis: $0) }) == spatial
        case .binary(.subtract, .none) where signed.thresholds[node.outputs[0]] != nil:
            return true
        case .binary where scaling(node) != nil: return recipe.activations == .int8 && int8Values.contains(x)
        case .binary(let op, _):
            return available && (op == .add || op == .subtract) && graph[inputs[0]].shape == graph[inputs[1]].shape
        default: return false
        }
    }
}
