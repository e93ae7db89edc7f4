import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTrain

extension RecipeRunner {
    func lowRank(
        _ graph: Graph, _ lowRank: LowRank, _ recipe: Recipe, _ index: Int
    ) throws(CompressError) -> Stage {
        let isInt8 = recipe.steps[index...].contains {
            if case .quantize(let quantization) = $0 { quantization.activations == .int8 } else { false }
        }
        // The more samples, the better is known what layers see.
        let data = [request.calibration, request.training].compactMap { $0 }.max { $0.count < $1.count }
        guard data != nil || lowRank.dataAware != true else {
            throw CompressError(
                .recipe, "low_rank with data_aware needs samples: give --calibration F.npz, or write data_aware: false")
        }
        let progress = self.progress
        var pass = LowRankPass(
            recipe: lowRank, calibration: lowRank.dataAware == false ? nil : data, options: options, isInt8: isInt8
        ) { progress(.working("factorise for \(recipe.name)", $0)) }
        let key = checkpointKey(recipe, index, data: data?.hash ?? "")
        let store = request.checkpoints?.store("\(recipe.name)-\(index + 1)-layers", key: key)
        if let store { pass.measured = MeasuredChoices(store) }
        let (factored, note) = try pass.run(graph)
        let stage = Stage(name: "low_rank", graph: factored, note: note)
        guard let tuning = lowRank.fineTune else { return stage }
        let tuned = try fineTune(factored, tuning, recipe, index)
        return Stage(
            name: stage.name, graph: tuned.graph, note: [note, tuned.note].compactMap { $0 }.joined(separator: "; "))
    }
}
