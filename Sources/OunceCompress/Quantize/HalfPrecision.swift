import OunceGraph
import OunceRuntime

/// Float constants rounded to half precision (IEEE 754 binary16): an artifact stores them in two bytes each, and the model
/// computes in float32 as before.
enum HalfPrecision {
    /// What half precision holds with ten binary digits or more, and well above its smallest numbers.
    private static let sizes: ClosedRange<Float> = 0x1p-10...65504

    /// - Parameter covers: whether a node's constants are to be rounded.
    /// - Returns: the graph, and how many constants were rounded.
    static func rounded(_ graph: Graph, covers: (Node) -> Bool) -> (Graph, Int) {
        var result = graph
        var ids: Set<ValueID> = []
        for node in graph.nodes where covers(node) { ids.formUnion(node.inputs.compactMap { $0 }) }
        var count = 0
        for id in ids.sorted() {
            guard graph[id].encoding == .plain, let constant = graph[id].constant,
                constant.byteCount >= TensorPacking.leastBytes, let numbers = constant.elements(Float.self)
            else { continue }
            let largest = numbers.reduce(Float(0)) { max($0, abs($1)) }
            guard numbers.allSatisfy(\.isFinite), largest == 0 || sizes.contains(largest) else { continue }
            result[id].constant = Tensor(
                numbers.map { Float(halfBits: Double($0).halfBits) }, shape: constant.shape)
            count += 1
        }
        return (result, count)
    }
}
