import OunceConfig
import OunceGraph
import OunceTrain

/// Training of a float graph with every weight and value on the grid that it will have (quantisation-aware training), with
/// straight-through gradients and learned scales (arXiv 1902.08153).
///
/// What is rounded here is what the quantised graph rounds, at the same places: inputs of its first integer layers (for
/// these layers only), outputs of its integer nodes, weights with the factors of their groups. What the trained graph
/// computes is then what the quantised graph computes, but for the rounding of biases and sums.
package struct QuantizationTraining {
    /// Trains the constants of a graph but for some.
    package typealias Train = (
        _ graph: Graph, _ constraints: TrainingConstraints, _ frozen: Set<ValueID>
    ) throws(CompressError) -> (result: TrainingResult, note: String)

    let train: Train

    package init(_ train: @escaping Train) { self.train = train }

    struct Trained {
        /// The graph that was given, with trained constants.
        var graph: Graph
        var weights: [Int: WeightQuantizer.Result]
        var grids: ActivationGrids?
        var note: String
    }

    /// - Parameters:
    ///   - layers: whose weights are quantised, by index in the graph's nodes.
    ///   - plan: nil where values stay float.
    ///   - grids: what calibration found.
    func run(
        _ graph: Graph, rounder: WeightRounder, layers: [Int], plan: QuantizePlan?, grids: ActivationGrids?
    ) throws(CompressError) -> Trained {
        var constraints = TrainingConstraints()
        var weightGrids: [ValueID: WeightGrid] = [:]
        var frozen: Set<ValueID> = []
        for index in layers {
            guard let id = graph.nodes[index].inputs[1], let weights = rounder.weights(graph, index),
                let grid = rounder.grid(graph, index)
            else { continue }
            guard !grid.isOfSigns(weights) else {
                frozen.insert(id)
                continue
            }
            weightGrids[id] = grid
            constraints.quantizers[id] = grid.quantizer
            constraints.units[id] = weights.trainingUnits
        }
        let (prepared, values) = try withEntries(graph, plan, grids)
        for (id, value) in values {
            guard let grid = grids?[id] else { continue }
            constraints.quantizers[value] = FakeQuantizer(
                bits: 8, isSymmetric: false, zeroPoint: Float(grid.zeroPoint), scales: [grid.scale])
        }
        let (result, note) = try train(prepared, constraints, frozen)
        var trained = graph
        for id in graph.trainableConstants { trained[id].constant = result.graph[id].constant }
        var scales: [ValueID: Float] = [:]
        for (id, value) in values { scales[id] = result.scales[value]?.first }
        let learned = plan.flatMap { grids?.with(scales: scales, $0) }
        var weights: [Int: WeightQuantizer.Result] = [:]
        for index in layers {
            let node = trained.nodes[index]
            let minimum =
                plan?.nodes.contains(index) == true ? learned?.minimumScales(trained, node) : nil
            guard let id = node.inputs[1], let values = trained[id].constant?.elements(Float.self),
                let grid = weightGrids[id].map({
                    $0.with(scales: result.scales[id] ?? $0.scales, minimumScales: minimum)
                }) ?? rounder.grid(trained, index, minimumScales: minimum)
            else { throw CompressError(.recipe, "\(node.name): the weights are no float32 numbers") }
            weights[index] = grid.result(grid.rounded(values))
        }
        return Trained(graph: trained, weights: weights, grids: learned, note: "trained on the grid: " + note)
    }

    /// The graph with copies of values that only integer nodes read, where float nodes may read the value itself; and for
    /// each value with a grid of its own what is to be rounded.
    private func withEntries(
        _ graph: Graph, _ plan: QuantizePlan?, _ grids: ActivationGrids?
    ) throws(CompressError) -> (Graph, [ValueID: ValueID]) {
        guard let plan, let grids else { return (graph, [:]) }
        var result = graph
        var values: [ValueID: ValueID] = [:]
        for id in grids.rounded where plan.int8Values.contains(id) { values[id] = id }
        result.nodes = []
        for (index, var node) in graph.nodes.enumerated() {
            if plan.nodes.contains(index), QuantizePlan.isLayer(node), let x = node.inputs.first ?? nil,
                !plan.int8Values.contains(x), grids.rounded.contains(x)
            {
                if values[x] == nil {
                    do {
                        values[x] = try result.append(.cast(.float32), [x], name: "\(graph[x].name)/entry")
                    } catch {
                        throw CompressError(.recipe, error.description)
                    }
                }
                node.inputs[0] = values[x]
            }
            result.nodes.append(node)
        }
        return (result, values)
    }
}

extension WeightGrid {
    /// In every channel all weights have one size.
    func isOfSigns(_ weights: Tensor) -> Bool {
        guard perChannel, let values = weights.elements(Float.self), perOutput > 0 else { return false }
        return values.indices.allSatisfy { index in
            let first = abs(values[index / perOutput * perOutput])
            return first > 0 && abs(values[index]) == first
        }
    }

    var quantizer: FakeQuantizer {
        var quantizer = FakeQuantizer(
            bits: bits, scales: perChannel ? scales : Array(scales.prefix(1)), axis: perChannel ? 0 : nil)
        if let group {
            quantizer.group = group
            quantizer.factors = factors
        }
        return quantizer
    }
}
