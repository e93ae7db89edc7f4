import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTrain

extension RecipeRunner {
    func prune(
        _ graph: Graph, _ pruning: Pruning, _ recipe: Recipe, _ index: Int
    ) throws(CompressError) -> Stage {
        let progress = self.progress
        let pass = PrunePass(
            pruning: pruning, data: request.training ?? request.calibration, metric: request.metric, options: options,
            progress: { progress(.working("prune \(recipe.name)", $0)) },
            fineTune: { (graph, tuning, constraints, round) throws(CompressError) in
                try training(tuning, of: "prune", recipe, index, round: round, constraints).run(graph)
            })
        let (pruned, note) = try pass.run(graph)
        return Stage(name: "prune", graph: pruned, note: note)
    }
}
