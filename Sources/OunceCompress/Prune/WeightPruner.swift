import OunceConfig
import OunceGraph
import OunceTrain

/// Sets weights to zero, single ones or in blocks.
struct WeightPruner {
    let pruning: Pruning
    let graph: Graph

    /// Weights of a layer, and the units of them that become zero together.
    private struct Layer {
        let id: ValueID
        /// `[rows, columns]`: for each output what it reads, in the order in which kernels do.
        let rows: Int
        let columns: Int
        /// Weights that lie together in the input: blocks do not reach beyond.
        let segment: Int
    }

    /// - Throws: `.recipe` where no layer fits.
    ///
    /// Blocks are for layers in which kernels skip them, where there are such layers and the recipe names no others.
    private func layers() throws(CompressError) -> [Layer] {
        let isFree = pruning.selection.layers == nil && pruning.selection.kinds == nil
        if isFree, case .blocks = pruning.what {
            let fast = try? layers { self.positions($0) >= Self.fewestPositions }
            if let fast { return fast }
        }
        return try layers { _ in true }
    }

    /// Below this many output positions no sparse kernel takes a layer.
    private static let fewestPositions = 8

    private func positions(_ node: Node) -> Int {
        node.outputs.first.map { graph[$0].shape.dims.dropLast().reduce(1) { $0 * max($1, 1) } } ?? 0
    }

    private func layers(_ isWanted: (Node) -> Bool) throws(CompressError) -> [Layer] {
        var layers: [Layer] = []
        var known: Set<ValueID> = []
        for node in graph.nodes where pruning.selection.covers(node, in: graph) && isWanted(node) {
            for place in Self.weightInputs(of: node) where place < node.inputs.count {
                guard let id = node.inputs[place], let constant = graph[id].constant, constant.dtype == .float32,
                    constant.shape.rank >= 2, constant.count > 0, known.insert(id).inserted
                else { continue }
                let dims = constant.shape.dims
                if let layer = layer(node, id, dims) { layers.append(layer) }
            }
        }
        guard !layers.isEmpty else { throw LayerSelection.nothingFits("prune", "layer with float weights") }
        return layers
    }

    private static func weightInputs(of node: Node) -> [Int] {
        switch node.op {
        case .conv, .fullyConnected: [1]
        case .recurrent: [1, 2]
        case .matMul: [0, 1]
        default: []
        }
    }

    /// nil: nothing of the kind helps here.
    private func layer(_ node: Node, _ id: ValueID, _ dims: [Int]) -> Layer? {
        let rows = dims[0]
        let columns = dims.dropFirst().reduce(1, *)
        switch (node.op, pruning.what) {
        case (_, .weights): return Layer(id: id, rows: rows, columns: columns, segment: columns)
        case (.conv(let conv), _):
            guard conv.groups == 1 else { return nil }
            // The kernels read a row of the kernel at once where its places touch each other.
            let inputs = dims[dims.count - 1]
            let touches = conv.dilations.last == 1
            return Layer(
                id: id, rows: rows, columns: columns, segment: touches ? inputs * dims[dims.count - 2] : inputs)
        case (.fullyConnected, _), (.recurrent, _):
            return Layer(id: id, rows: rows, columns: columns, segment: columns)
        default: return nil
        }
    }

    /// The places of a unit within the layer's weights, row by row.
    private func units(_ layer: Layer) -> [[Int]] {
        switch pruning.what {
        case .blocks(let outputs, let inputs): return blocks(layer, outputs, inputs)
        default: return (0..<layer.rows * layer.columns).map { [$0] }
        }
    }

    private func blocks(_ layer: Layer, _ outputs: Int, _ inputs: Int) -> [[Int]] {
        var units: [[Int]] = []
        for top in stride(from: 0, to: layer.rows, by: outputs) {
            for start in stride(from: 0, to: layer.columns, by: layer.segment) {
                for left in stride(from: start, to: start + layer.segment, by: inputs) {
                    let across = left..<min(left + inputs, start + layer.segment)
                    units.append(
                        (top..<min(top + outputs, layer.rows)).flatMap { row in across.map { row * layer.columns + $0 }
                        })
                }
            }
        }
        return units
    }

    /// - Parameters:
    ///   - taylor: for each constant the importance of its weights; nil where it is not asked for.
    ///   - share: the part of what is to go that is gone after this round.
    /// - Returns: the graph with zeros, for each constant a mask, and the share of the chosen layers' weights that are zero.
    func pruned(
        taylor: [ValueID: [Float]]?, share: Double
    ) throws(CompressError) -> (graph: Graph, masks: [ValueID: [Float]], zeros: Double) {
        let layers = try layers()
        guard case .removed(let ratio) = pruning.amount else {
            throw CompressError(.recipe, "prune: zeros leave the count of multiplications as it is; write 'ratio'")
        }
        var random = SplitMix(seed: UInt64(pruning.seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1)
        var masks: [ValueID: [Float]] = [:]
        var scored: [(layer: Int, places: [Int], score: Double)] = []
        for (index, layer) in layers.enumerated() {
            guard let weights = graph[layer.id].constant?.floats() else { continue }
            masks[layer.id] = [Float](repeating: 1, count: weights.count)
            let measure = sizes(layer, weights, taylor, &random)
            if case .pattern(let kept, let group) = pruning.what {
                keepBest(kept, of: group, layer, measure, &masks[layer.id, default: []])
                continue
            }
            let units = units(layer)
            var scores = units.map { places in places.reduce(0) { $0 + measure[$1] } / Double(places.count) }
            if pruning.scope == .global, pruning.importance == .l1 || pruning.importance == .l2 {
                scores = Self.shares(scores)
            }
            for (places, score) in zip(units, scores) {
                // What is zero stays zero.
                let isZero = places.allSatisfy { weights[$0] == 0 }
                scored.append((index, places, isZero ? -1 : score))
            }
        }
        zero(scored, layers, ratio * share, &masks)
        return apply(layers, masks)
    }

    private func apply(
        _ layers: [Layer], _ masks: [ValueID: [Float]]
    ) -> (graph: Graph, masks: [ValueID: [Float]], zeros: Double) {
        var graph = graph
        var (zeros, all) = (0, 0)
        for layer in layers {
            guard let mask = masks[layer.id], let constant = graph[layer.id].constant else { continue }
            let numbers = zip(constant.floats(), mask).map { $1 == 0 ? 0 : $0 }
            graph[layer.id].constant = Tensor(numbers, shape: constant.shape)
            zeros += mask.count { $0 == 0 }
            all += mask.count
        }
        return (graph, masks, Double(zeros) / Double(max(all, 1)))
    }

    /// What each weight counts.
    private func sizes(
        _ layer: Layer, _ weights: [Float], _ taylor: [ValueID: [Float]]?, _ random: inout SplitMix
    ) -> [Double] {
        switch pruning.importance {
        case .taylor: return (taylor?[layer.id] ?? weights.map { abs($0) }).map { Double($0) }
        case .random: return weights.map { _ in Double(random.unit()) }
        case .l2: return weights.map { Double($0) * Double($0) }
        default: return weights.map { abs(Double($0)) }
        }
    }

    /// Each score as its share of the sum of all in the layer that are not smaller: comparable between layers, and the last
    /// one of a layer never goes before those of others (LAMP, arXiv 2010.07611).
    private static func shares(_ scores: [Double]) -> [Double] {
        let order = scores.indices.sorted { (scores[$0], $0) > (scores[$1], $1) }
        var result = scores
        var sum = 0.0
        for index in order {
            sum += scores[index]
            result[index] = sum > 0 ? scores[index] / sum : 0
        }
        return result
    }

    /// Masks the units with the least scores, but for the last of a layer.
    private func zero(
        _ scored: [(layer: Int, places: [Int], score: Double)], _ layers: [Layer], _ ratio: Double,
        _ masks: inout [ValueID: [Float]]
    ) {
        let groups =
            pruning.scope == .global
            ? [Array(scored.indices)] : Dictionary(grouping: scored.indices) { scored[$0].layer }.map(\.value)
        var left = [Int](repeating: 0, count: layers.count)
        for unit in scored { left[unit.layer] += 1 }
        for group in groups {
            let order = group.sorted { (scored[$0].score, $0) < (scored[$1].score, $1) }
            let wanted = Double(group.reduce(0) { $0 + scored[$1].places.count }) * ratio
            var gone = 0
            for index in order {
                let unit = scored[index]
                guard Double(gone + unit.places.count) <= wanted + 0.5 else { break }
                guard left[unit.layer] > 1 else { continue }
                left[unit.layer] -= 1
                gone += unit.places.count
                for place in unit.places { masks[layers[unit.layer].id]?[place] = 0 }
            }
        }
    }

    /// Of every `group` successive weights of a row the best ones stay.
    private func keepBest(_ kept: Int, of group: Int, _ layer: Layer, _ sizes: [Double], _ mask: inout [Float]) {
        for start in stride(from: 0, to: layer.rows * layer.columns, by: layer.segment) {
            for first in stride(from: start, to: start + layer.segment, by: group) {
                let places = first..<min(first + group, start + layer.segment)
                let order = places.sorted { (sizes[$0], $0) < (sizes[$1], $1) }
                for place in order.prefix(max(0, places.count - kept)) { mask[place] = 0 }
            }
        }
    }
}
