import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTrain

extension RecipeRunner {
    func binarize(
        _ graph: Graph, _ binarization: Binarization, _ recipe: Recipe, _ index: Int
    ) throws(CompressError) -> Stage {
        let pass = BinarizePass(
            recipe: binarization, data: try trainingData(binarization.fineTuning, of: "binarize"), options: options
        ) { (round, tuning) throws(CompressError) in
            try training(tuning, of: "binarize", recipe, index, round: round)
        }
        let (binary, note) = try pass.run(graph)
        return Stage(name: "binarize", graph: binary, note: note)
    }
}
