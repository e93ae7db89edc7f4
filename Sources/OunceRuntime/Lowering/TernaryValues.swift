import OunceGraph

/// The int8 values of a graph that hold nothing but -1, 0 and 1 whatever the input: what the sign of another value is made
/// of, what layers clamp to that, and what moves such numbers about. Convolutions of them with weights of +-1 have kernels of their own.
struct TernaryValues {
    private var ids: ValueSet

    /// - Parameter graph: nodes in an order in which they can run.
    init(_ graph: Graph) {
        ids = ValueSet(over: graph)
        /// Float values that are -1, 0 or 1.
        var signs = ids
        for node in graph.nodes {
            guard let output = node.outputs.first, let input = node.inputs.first, let x = input else { continue }
            let grid = graph[output].dtype == .int8 ? graph[output].encoding.affine : nil
            switch node.op {
            case .conv(let conv):
                if Self.clampsToSigns(conv.activation, grid) { ids.insert(output) }
            case .fullyConnected(let activation):
                if Self.clampsToSigns(activation, grid) { ids.insert(output) }
            case .pool(let pool):
                guard pool.kind == .max, pool.activation == .none,
                    (pool.padBefore + pool.padAfter).allSatisfy({ $0 == 0 })
                else { continue }
                if ids.contains(x), graph[x].encoding == graph[output].encoding { ids.insert(output) }
            case .unary(.function(.sign)):
                if graph[output].dtype == .float32 { signs.insert(output) }
                if Self.keepsSigns(grid) { ids.insert(output) }
            case .quantize:
                if signs.contains(x), Self.keepsSigns(grid) { ids.insert(output) }
            case .reshape, .transpose, .slice:
                if graph[output].dtype == .float32, signs.contains(x) { signs.insert(output) }
                if ids.contains(x), graph[x].encoding == graph[output].encoding { ids.insert(output) }
            case .pad(_, _, let value):
                guard ids.contains(x), let grid, graph[x].encoding == graph[output].encoding else { continue }
                if (-1...1).contains(Lowering.quantize(value, grid)) { ids.insert(output) }
            default: break
            }
        }
    }

    func contains(_ id: ValueID) -> Bool { ids.contains(id) }

    /// Whether a layer's int8 output is nothing but -1, 0 and 1.
    private static func clampsToSigns(_ activation: Activation, _ grid: AffineQuantization?) -> Bool {
        guard let grid, keepsSigns(grid) else { return false }
        let (low, high) = Lowering.quantizedBounds(activation, grid)
        return low >= -1 && high <= 1
    }

    /// Whether the grid stores -1, 0 and 1 as numbers from -1 to 1. The zero point, which pads, is one of them then.
    private static func keepsSigns(_ grid: AffineQuantization?) -> Bool {
        guard let grid, grid.isPerTensor else { return false }
        return [-1, 0, 1].allSatisfy { (-1...1).contains(Lowering.quantize($0, grid)) }
    }
}
