import OunceConfig
import OunceGraph

/// The grids of the values that a quantised graph keeps as integers.
struct ActivationGrids {
    let dtype: DType
    private(set) var grids: [ValueID: AffineQuantization] = [:]
    /// Values that are rounded to a grid of their own; the others take over that of what they are made of.
    private(set) var rounded: [ValueID] = []
    /// Values that are -1, 0 or 1, or become so: stored as they are, so that kernels for them may run.
    private let signs: Set<ValueID>

    init(
        _ plan: QuantizePlan, _ recipe: Quantization, _ statistics: [ValueID: ActivationStatistics],
        signed: SignedValues
    ) {
        let graph = plan.graph
        dtype = recipe.activations == .int16 ? .int16 : .int8
        signs = signed.signs.union(signed.clamped)
        let scores = Set(plan.attentions.values.map(\.scoreNode))
        for index in plan.nodes.sorted() where !scores.contains(index) {
            let node = graph.nodes[index]
            guard let output = node.outputs.first else { continue }
            if plan.attentions[index] != nil {
                if plan.int8Values.contains(output) { round(output, recipe, statistics) }
                continue
            }
            let hasOneValue =
                QuantizePlan.isLayer(node) || signed.thresholds[output] != nil || plan.scaling(node) != nil
            let inputs = hasOneValue ? Array(node.inputs.prefix(1)) : node.inputs
            for case let id? in inputs where grids[id] == nil { round(id, recipe, statistics) }
            if let factor = plan.gridFactor(node), let x = node.inputs.first ?? nil {
                grids[output] = grids[x]?.scaled(by: factor)
            } else {
                round(output, recipe, statistics)
            }
        }
    }

    private mutating func round(
        _ id: ValueID, _ recipe: Quantization, _ statistics: [ValueID: ActivationStatistics]
    ) {
        guard !signs.contains(id) else {
            grids[id] = AffineQuantization(scale: 1, zeroPoint: 0)
            return
        }
        let own = statistics[id].map {
            dtype == .int16 ? $0.wideGrid : $0.grid(recipe.calibration, isSymmetric: recipe.symmetric)
        }
        grids[id] = own ?? AffineQuantization(scale: 1, zeroPoint: 0)
        rounded.append(id)
    }

    subscript(id: ValueID) -> AffineQuantization { grids[id] ?? AffineQuantization(scale: 1, zeroPoint: 0) }

    /// The scales of a layer's weights that leave half of int32 to the bias, half to the sum.
    func minimumScales(_ graph: Graph, _ layer: Node) -> [Float]? {
        guard let x = layer.inputs.first ?? nil, layer.inputs.count > 2,
            let bias = layer.inputs[2].flatMap({ graph[$0].constant?.elements(Float.self) })
        else { return nil }
        let scale = self[x].scale
        return bias.map { abs($0) / (scale * 0x1p30) }
    }

    /// The same with other scales for values that have a grid of their own, in a graph with this plan.
    func with(scales: [ValueID: Float], _ plan: QuantizePlan) -> ActivationGrids {
        var copy = self
        for id in rounded {
            guard let scale = scales[id], let old = grids[id] else { continue }
            copy.grids[id] = AffineQuantization(
                scale: max(scale, Float.leastNormalMagnitude * 0x1p20), zeroPoint: old.zeroPoint)
        }
        for index in plan.nodes.sorted() {
            let node = plan.graph.nodes[index]
            guard let factor = plan.gridFactor(node), let x = node.inputs.first ?? nil else { continue }
            copy.grids[node.outputs[0]] = copy.grids[x]?.scaled(by: factor)
        }
        return copy
    }
}

extension AffineQuantization {
    /// The grid of the same integers for numbers so many times larger.
    fileprivate func scaled(by factor: Float) -> AffineQuantization {
        AffineQuantization(scale: scale * factor, zeroPoint: zeroPoint)
    }
}

extension ActivationStatistics {
    /// The int16 grid for these values: with zero point 0, so that all seen fit.
    var wideGrid: AffineQuantization {
        guard maximum >= minimum else { return AffineQuantization(scale: 1, zeroPoint: 0) }
        let reach = max(abs(minimum), abs(maximum))
        return AffineQuantization(scale: max(reach / 32767, Float.leastNormalMagnitude * 0x1p20), zeroPoint: 0)
    }
}
