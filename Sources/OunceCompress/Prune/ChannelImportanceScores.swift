import OunceConfig
import OunceGraph
import OunceTrain

/// How much each set of channels matters: higher is more.
struct ChannelScores {
    let coupling: ChannelCoupling
    /// With the constants that the graph has.
    let graph: Graph

    /// - Parameter taylor: for a constant and an axis how much the loss depends on each slice; nil: not measured.
    func scores(
        _ family: ChannelFamily, _ importance: Pruning.Importance, seed: Int,
        taylor: [Int: Double]
    ) throws(CompressError) -> [Int: Double] {
        switch importance {
        case .l1:
            return sum(family, family.layersOfWeights) { rows in rows.map { $0.reduce(0) { $0 + abs(Double($1)) } } }
        case .l2:
            return sum(family, family.layersOfWeights) { rows in
                rows.map { $0.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }
            }
        case .geometricMedian: return sum(family, family.producers, Self.distances)
        case .scale:
            guard !family.scales.isEmpty else {
                throw CompressError(
                    .recipe,
                    "prune: \(family.layers.joined(separator: ", ")) has no batch normalisation left: its scales are "
                        + "folded into the weights; write 'importance: l2', which sees them there")
            }
            return sum(family, family.scales) { rows in rows.map { $0.reduce(0) { $0 + abs(Double($1)) } } }
        case .taylor: return taylor
        case .random:
            var random = SplitMix(seed: UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(family.sets[0]))
            var scores: [Int: Double] = [:]
            for root in family.sets { scores[root] = Double(random.unit()) }
            return scores
        }
    }

    /// Adds over the layers of a family, those that make the channels and those that read them, what `measure` says of
    /// their slices, in parts of the layer's mean: so layers with
    /// large and with small weights count alike.
    private func sum(
        _ family: ChannelFamily, _ uses: [ChannelCoupling.Use], _ measure: ([[Float]]) -> [Double]
    ) -> [Int: Double] {
        var scores: [Int: Double] = [:]
        for root in family.sets { scores[root] = 0 }
        for use in uses {
            guard let tensor = graph[use.constant].constant else { continue }
            let values = measure(tensor.slices(along: use.axis))
            let mean = values.reduce(0, +) / Double(max(values.count, 1))
            for (place, root) in coupling.roots(use.constant, use.axis).enumerated() where place < values.count {
                scores[root]? += mean > 0 ? values[place] / mean : 0
            }
        }
        return scores
    }

    /// The sum of the distances to all others: small near the geometric median (arXiv 1811.00250).
    private static func distances(_ rows: [[Float]]) -> [Double] {
        var sums = [Double](repeating: 0, count: rows.count)
        for i in rows.indices {
            for j in rows.indices.dropFirst(i + 1) {
                var square = 0.0
                for (a, b) in zip(rows[i], rows[j]) { square += Double(a - b) * Double(a - b) }
                sums[i] += square.squareRoot()
                sums[j] += square.squareRoot()
            }
        }
        return sums
    }
}

extension Tensor {
    /// The numbers of each slice along an axis.
    func slices(along axis: Int) -> [[Float]] {
        let all = floats()
        let (extent, inner) = (shape[axis], shape.dims[(axis + 1)...].reduce(1, *))
        var result = [[Float]](repeating: [], count: extent)
        for start in stride(from: 0, to: all.count, by: max(inner, 1)) {
            result[start / max(inner, 1) % extent] += all[start..<start + inner]
        }
        return result
    }
}
