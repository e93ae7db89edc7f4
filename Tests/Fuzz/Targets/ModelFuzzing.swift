import OunceFormats
import OunceGraph
import OunceRuntime

package enum ModelFuzzing {
    static func importONNX(_ bytes: [UInt8]) {
        guard let graph = try? ONNXImporter.parse(bytes: bytes) else { return }
        simplifyAndRun(graph)
    }

    static func importTFLite(_ bytes: [UInt8]) {
        // What has no mark is taken for ONNX.
        guard bytes.count >= 8 else { return }
        let marked = bytes[..<4] + Array("TFL3".utf8) + bytes[8...]
        guard let graph = try? ModelFile.parse(bytes: Array(marked)) else { return }
        simplifyAndRun(graph)
    }

    private static func simplifyAndRun(_ graph: Graph) {
        guard let simple = try? graph.simplified() else { return }
        run(simple)
    }

    package static let options = RuntimeOptions(memoryLimit: 1 << 26)

    /// Plans the graph and, where it is small, runs it on zeros, with extents of 1 and of 3 for those that are unknown.
    static func run(_ graph: Graph) {
        guard isSmall(graph, unknown: 1), let model = try? Model(graph: graph, options: options) else { return }
        for unknown in [1, 3] where isSmall(graph, unknown: unknown) {
            guard let tensors = zeros(model, unknown) else { return }
            _ = try? model.run(tensors)
        }
    }

    /// Inputs for one inference; nil where their shapes are too large.
    package static func zeros(_ model: Model, _ unknown: Int) -> [Tensor]? {
        var tensors: [Tensor] = []
        for input in model.inputs {
            let shape = Shape(input.shape.dims.map { $0 < 0 ? unknown : $0 })
            guard let count = shape.elementCount else { return nil }
            let storage = TensorStorage(byteCount: count * input.dtype.byteSize) { _ in }
            guard let tensor = Tensor(dtype: input.dtype, shape: shape, storage: storage) else { return nil }
            tensors.append(tensor)
        }
        return tensors
    }

    /// Whether one inference takes well under a second, sanitised as it is.
    package static func isSmall(_ graph: Graph, unknown: Int) -> Bool {
        var shapes: [String: Shape] = [:]
        for id in graph.inputs { shapes[graph[id].name] = Shape(graph[id].shape.dims.map { $0 < 0 ? unknown : $0 }) }
        guard let bound = try? graph.bound(to: shapes), bound.macs < 1 << 22, bound.nodes.count < 1 << 12 else {
            return false
        }
        var elements = 0
        for value in bound.values {
            guard let count = value.shape.elementCount else { return false }
            elements += count
        }
        let steps = bound.nodes.reduce(0) { $0 &+ Self.steps(of: $1, in: bound) }
        return elements < 1 << 20 && (0..<1 << 24).contains(steps)
    }

    /// What macs do not count: the numbers that pooling windows and recurrent layers read.
    private static func steps(of node: Node, in graph: Graph) -> Int {
        let count = graph[node.outputs[0]].shape.elementCount ?? 0
        switch node.op {
        case .pool(let pool), .poolIndices(let pool, _): return pool.kernel.reduce(count) { min($0, 1 << 30) &* $1 }
        case .recurrent(let layer):
            let width = node.inputs.first.flatMap { $0 }.map { graph[$0].shape.dims.last ?? 0 } ?? 0
            return count &* layer.kind.gates &* (width &+ layer.hidden)
        default: return 0
        }
    }
}
