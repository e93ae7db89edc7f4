import OunceGraph
import OunceTestSupport
import OunceTrain
import Testing

/// Second moments of gradients where they are known: of a linear map they are its own products.
@Suite struct OutputSensitivityTests {
    @Test func ofALinearMap() throws {
        var random = RandomSource(seed: 5)
        var graph = Graph(name: "net")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [-1, 6])))
        graph.inputs = [x]
        let first = graph.addConstant(random.tensor([5, 6], in: -1...1), name: "first/w")
        let second = random.tensor([8, 5], in: -1...1)
        let hidden = try graph.append(.fullyConnected(.none), [x, first, nil], name: "first")
        let w = graph.addConstant(second, name: "second/w")
        graph.outputs = [try graph.append(.fullyConnected(.none), [hidden, w, nil], name: "second")]
        let data = try TrainingData(inputs: [random.tensor([128, 6], in: -1...1)])
        let found = try OutputSensitivity.measure(
            [hidden], in: graph, over: data, isClassifier: false, threads: 1, allowedISAs: nil)
        let moments = try #require(found[hidden])
        let numbers = second.doubles()
        let passes = 128.0 * 16
        for i in 0..<5 {
            for j in 0..<5 {
                let exact = (0..<8).reduce(0) { $0 + numbers[$1 * 5 + i] * numbers[$1 * 5 + j] }
                // The error of a mean over so many random draws, four times.
                let scale =
                    (0..<8).reduce(0) { $0 + numbers[$1 * 5 + i] * numbers[$1 * 5 + i] }
                    + (0..<8).reduce(0) { $0 + numbers[$1 * 5 + j] * numbers[$1 * 5 + j] }
                #expect(abs(moments[i * 5 + j] / passes - exact) < 4 * scale / passes.squareRoot())
            }
        }
    }
}
