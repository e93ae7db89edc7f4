import OunceGraph

extension Graph {
    /// The graph for `batch` samples at once: the first axis of every input, which is 1 or unknown, becomes `batch`, and
    /// follows through the nodes.
    ///
    /// Exporters write a batch of 1 into shapes in many ways; what comes out is right only where each sample's output is
    /// what the sample alone would give, which the caller checks by numbers.
    /// - Returns: nil where the batch axis cannot be followed.
    func rebatched(_ batch: Int) -> Graph? {
        guard let single = try? bound(to: [:]), inputs.allSatisfy({ single[$0].shape.dims.first == 1 }) else {
            return nil
        }
        var follower = BatchFollower(graph: single, batch: batch)
        return try? follower.run()
    }
}

private struct BatchFollower {
    /// With a batch of 1.
    let single: Graph
    let batch: Int
    private var graph: Graph
    private var axes: [ValueID: Int] = [:]

    init(graph: Graph, batch: Int) {
        single = graph
        self.graph = graph
        self.batch = batch
    }

    mutating func run() throws(GraphError) -> Graph {
        for id in graph.inputs {
            graph[id].type.shape[0] = batch
            axes[id] = 0
        }
        let nodes = graph.nodes
        graph.nodes = []
        for var node in nodes {
            let axis = outputAxis(node)
            if let axis { try repeatConstants(&node, axis) }
            adjustExtents(&node, axis)
            guard let output = node.outputs.first else { continue }
            graph[output].type = try graph.inferType(
                of: node.op, inputs: node.inputs.map { $0.map { graph[$0] } }, node: node.name,
                encoding: graph[output].encoding)
            if let axis { axes[output] = axis }
            graph.nodes.append(node)
        }
        for id in graph.outputs where graph[id].shape.dims.first != single[id].shape.dims.first.map({ $0 * batch }) {
            throw GraphError(.invalidShape, at: graph[id].name, "the batch axis is not the first of this output")
        }
        return graph
    }

    /// Where the batch lies in the output of a node; nil: the node does not depend on the inputs.
    private func outputAxis(_ node: Node) -> Int? {
        guard let output = node.outputs.first else { return nil }
        let rank = single[output].shape.rank
        func axis(_ index: Int) -> Int? { index < node.inputs.count ? node.inputs[index].flatMap { axes[$0] } : nil }
        func rankOf(_ index: Int) -> Int { node.inputs[index].map { single[$0].shape.rank } ?? 0 }
        /// Aligned at the last axis.
        func broadcast() -> Int? {
            for index in node.inputs.indices {
                if let own = axis(index) { return own + rank - rankOf(index) }
            }
            return nil
        }
        switch node.op {
        case .matMul, .binary, .compare, .select, .expand, .concat: return broadcast()
        case .transpose(let permutation): return axis(0).flatMap { permutation.firstIndex(of: $0) }
        case .reduce(_, let reduced, let keepsDims):
            guard let own = axis(0) else { return nil }
            return keepsDims ? own : own - reduced.count { $0 < own }
        case .gather(.slices(let along)):
            if let own = axis(0) { return own > along ? own - 1 + rankOf(1) : own }
            return axis(1).map { along + $0 }
        case .recurrent: return axis(0) == nil ? nil : 1
        case .reshape:
            guard let own = axis(0), let input = node.inputs[0] else { return nil }
            // The axis before which there are as many elements.
            let before = single[input].shape.dims[..<own].reduce(1, *)
            var product = 1
            for (index, extent) in single[output].shape.dims.enumerated() {
                if product == before, extent == 1 || before == 1 || own > 0 || index == 0 { return index }
                product *= extent
            }
            return nil
        default: return axis(0)
        }
    }

    /// Constants that take part along the batch axis with an extent of 1.
    private mutating func repeatConstants(_ node: inout Node, _ axis: Int) throws(GraphError) {
        for (index, id) in node.inputs.enumerated() {
            guard let id, axes[id] == nil else { continue }
            let place: Int
            switch node.op {
            case .concat: place = axis
            case .recurrent where index == 5 || index == 6: place = 0
            default: continue
            }
            var dims = graph[id].shape.dims
            guard dims.indices.contains(place), dims[place] == 1 else { continue }
            dims[place] = batch
            node.inputs[index] = try graph.append(.expand(dims), [id], name: "\(graph[id].name) for each sample")
        }
    }

    private func adjustExtents(_ node: inout Node, _ axis: Int?) {
        guard let axis, let output = node.outputs.first, let input = node.inputs.first.flatMap({ $0 }) else { return }
        let dims = single[output].shape.dims
        switch node.op {
        case .reshape:
            node.op = .reshape(dims.indices.map { .literal($0 == axis ? dims[$0] * batch : dims[$0]) })
        case .expand(var extents) where extents.count == dims.count:
            if extents[axis] == 1 { extents[axis] = batch }
            node.op = .expand(extents)
        case .slice(var ranges) where axis < ranges.count:
            let range = ranges[axis]
            if range.start == 0, range.step == 1, dims[axis] == single[input].shape[axis] { ranges[axis] = .all }
            node.op = .slice(ranges)
        default: return
        }
    }
}
