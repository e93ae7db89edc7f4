import OunceGraph
import OunceTestSupport
import Testing

@testable import OunceTrain

/// Builds a small graph whose constants are to be differentiated.
struct GradientCase {
    var graph = Graph(name: "gradient")
    var random: RandomSource
    var trainable: [ValueID] = []
    private var count = 0

    init(seed: UInt64) { random = RandomSource(seed: seed) }

    mutating func name(_ kind: String) -> String {
        count += 1
        return "\(kind)\(count)"
    }

    mutating func parameter(_ shape: Shape, in range: ClosedRange<Float> = -1...1) -> ValueID {
        let id = graph.addConstant(random.tensor(shape, in: range), name: name("parameter"))
        trainable.append(id)
        return id
    }

    mutating func constant(_ tensor: Tensor) -> ValueID { graph.addConstant(tensor, name: name("constant")) }

    mutating func node(_ op: Op, _ inputs: [ValueID?]) throws -> ValueID {
        try graph.append(op, inputs, name: name("node"))
    }

    /// A computed value, so that gradients are written and not only added to parameters.
    mutating func value(_ shape: Shape, in range: ClosedRange<Float> = -1...1) throws -> ValueID {
        let factors = constant(random.tensor(shape, in: 0.8...1.2))
        return try node(.binary(.multiply, .none), [parameter(shape, in: range), factors])
    }

    mutating func int(_ range: ClosedRange<Int>) -> Int { random.int(range) }
    mutating func pick<T>(_ choices: [T]) -> T { choices[random.int(0...choices.count - 1)] }
}

/// The gradient of a weighted sum of the outputs, against differences of the naive reference in Double.
enum GradientCheck {
    /// The value of every output; plain loops where the naive reference has none.
    private static func outputs(_ graph: Graph) throws -> [[Double]] {
        if let results = try? Interpreter().run(graph, []) { return results.map(\.values) }
        var tensors: [ValueID: Tensor] = [:]
        for (index, value) in graph.values.enumerated() { tensors[ValueID(index)] = value.constant }
        for node in graph.nodes {
            let output = try #require(node.outputs.first)
            let loop = try #require(
                GenericOperator(
                    node.op, inputs: node.inputs.map { $0.map { graph[$0].type } }, output: graph[output].type))
            let operands = node.inputs.map { $0.flatMap { tensors[$0] } }
            tensors[output] = loop.evaluate(operands)
        }
        return graph.outputs.map { tensors[$0]?.doubles() ?? [] }
    }

    static func run(
        _ given: GradientCase, output: ValueID, threads: Int, step: Float, tolerance: Double, seed: UInt64,
        options change: (inout TrainingProgram.Options) -> Void = { _ in },
        reference: ((Graph) throws -> [[Double]])? = nil
    ) throws {
        var (random, graph) = (given.random, given.graph)
        graph.outputs = [output]
        var options = TrainingProgram.Options(trainable: Set(given.trainable), threads: threads)
        change(&options)
        let program = try TrainingProgram(graph: graph, options: options)
        let compute = reference ?? outputs
        // Twice: a second pass must not see anything of the first.
        var weights: [[Float]] = []
        var results: [[Float]] = []
        for _ in 0..<2 {
            program.zeroGradients()
            program.forward()
            results = program.heads.map { Array(UnsafeBufferPointer(start: $0.x, count: $0.count)) }
            if weights.isEmpty { weights = program.heads.map { random.floats($0.count) } }
            for (head, weights) in zip(program.heads, weights) {
                for (index, weight) in weights.enumerated() { head.dx[index] = weight }
            }
            program.backward()
        }
        // The heads may stand before a softmax, which the reference must not compute either.
        var headGraph = graph
        if program.isSoftmax[0], let node = graph.nodes.last, let before = node.inputs[0] {
            headGraph.outputs = [before]
        }
        let base = try compute(headGraph)
        for (result, expected) in zip(results, base) {
            for index in result.indices {
                let scale = max(1, abs(expected[index]))
                #expect(
                    abs(Double(result[index]) - expected[index]) <= 2e-5 * scale,
                    "seed \(seed): output \(index) is \(result[index]), not \(expected[index])")
            }
        }
        func loss(_ graph: Graph) throws -> Double {
            zip(try compute(graph), weights).reduce(0) { sum, pair in
                sum + zip(pair.0, pair.1).reduce(0) { $0 + $1.0 * Double($1.1) }
            }
        }
        for parameter in program.parameters {
            guard let id = parameter.id else { continue }
            let original = parameter.values
            // Single elements and one direction over all.
            var directions = (0..<min(4, original.count)).map { _ -> [Float] in
                var direction = [Float](repeating: 0, count: original.count)
                direction[random.int(0...original.count - 1)] = 1
                return direction
            }
            directions.append(random.floats(original.count))
            for direction in directions {
                let above = zip(original, direction).map { $0 + step * $1 }
                let below = zip(original, direction).map { $0 - step * $1 }
                var (high, low) = (headGraph, headGraph)
                high[id].constant = Tensor(above, shape: graph[id].shape)
                low[id].constant = Tensor(below, shape: graph[id].shape)
                let difference = try loss(high) - loss(low)
                var (product, size) = (0.0, 0.0)
                for (index, gradient) in parameter.gradient.enumerated() {
                    let term = Double(gradient) * (Double(above[index]) - Double(below[index]))
                    product += term
                    size += abs(term)
                }
                let bound = tolerance * (size + Double(step))
                #expect(
                    abs(product - difference) <= bound,
                    "seed \(seed): gradient of \(parameter.name) \(graph[id].shape) gives \(product), differences \(difference)"
                )
            }
        }
    }
}
