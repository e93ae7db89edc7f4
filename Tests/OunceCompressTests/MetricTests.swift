import OunceCompress
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Metrics of a model that answers with its input, against values worked out by hand or by definition.
@Suite struct MetricTests {
    private func evaluate(
        _ metric: Metric, _ x: Tensor, labels: Tensor? = nil, reference: Graph? = nil
    ) throws -> Report.Accuracy {
        let graph = try Samples.identity(Shape([-1] + x.shape.dims.dropFirst()))
        let data = try Samples.dataset([("x", x)] + (labels.map { [("labels", $0)] } ?? []), for: graph)
        let model = try Model(graph: graph, options: RuntimeOptions())
        return try Evaluator(metric: metric, dataset: data).evaluate(
            model, reference: try reference.map { try Model(graph: $0, options: RuntimeOptions()) })
    }

    private func isRefused(_ body: () throws -> Void) -> Bool {
        do {
            try body()
            return false
        } catch { return (error as? CompressError)?.code == .data }
    }

    @Test func top1() throws {
        // The first of equals counts as the largest: right, wrong, right, wrong.
        let x = try Samples.tensor([0, 1, 0, 5, 5, 1, 3, 2, 1, 0, 0, 9] as [Float], [4, 3])
        let result = try evaluate(.top1, x, labels: Tensor([1, 1, 0, 0] as [UInt8]))
        #expect(result.value == 0.5 && result.samples == 4 && result.metric == "top1")
        #expect(abs(result.standardError - 0.25) < 1e-12)
        #expect(isRefused { _ = try evaluate(.top1, x) })
    }

    @Test func aucByDefinition() throws {
        struct Golden: Decodable {
            struct Case: Decodable {
                let scores: [Float]
                let labels: [UInt8]
                let area: Double
            }
            let auc: [Case]
        }
        for golden in try Samples.golden(Golden.self, "compress/compress.json").auc {
            let labels = Tensor(golden.labels)
            let one = try evaluate(.auc, try Samples.tensor(golden.scores, [golden.scores.count, 1]), labels: labels)
            #expect(abs(one.value - golden.area) < 1e-12)
            #expect(one.standardError > 0 && one.standardError < 0.5)
            // Of two class scores the second counts.
            let pairs = golden.scores.flatMap { [Float(3), $0] }
            let second = try evaluate(.auc, try Samples.tensor(pairs, [golden.scores.count, 2]), labels: labels)
            #expect(second.value == one.value)
        }
    }

    @Test func aucWithTies() throws {
        // Pairs (positive, negative): (1, 1) tie, (1, 0) right, (2, 1) right, (2, 0) right.
        let x = try Samples.tensor([1, 1, 2, 0] as [Float], [4, 1])
        #expect(try evaluate(.auc, x, labels: Tensor([1, 0, 1, 0] as [UInt8])).value == 0.875)
        #expect(isRefused { _ = try evaluate(.auc, x, labels: Tensor([1, 1, 1, 1] as [UInt8])) })
        #expect(isRefused { _ = try evaluate(.auc, x, labels: Tensor([0, 1, 2, 0] as [UInt8])) })
        #expect(isRefused { _ = try evaluate(.auc, x) })
    }

    @Test func meanSquaredError() throws {
        let x = try Samples.tensor([1, 2, 3, 4] as [Float], [2, 2])
        let labels = try Samples.tensor([1, 0, 0, 0] as [Float], [2, 2])
        // (0 + 4) / 2 and (9 + 16) / 2.
        let result = try evaluate(.mse, x, labels: labels)
        #expect(result.value == 7.25)
        #expect(abs(result.standardError - 5.25 / 2.0.squareRoot()) < 1e-12)
        #expect(try evaluate(.mse, x).value == 0)
        #expect(isRefused { _ = try evaluate(.mse, x, labels: Tensor([1, 2] as [Float])) })
    }

    @Test func fidelity() throws {
        // Against r = 2x: ‖x - 2x‖ / ‖2x‖ is a half everywhere.
        var doubled = Graph(name: "doubled")
        let input = doubled.add(Value(name: "x", type: TensorType(.float32, [-1, 2])))
        doubled.inputs = [input]
        doubled.outputs = [try doubled.append(.binary(.add, .none), [input, input], name: "y")]
        let x = Samples.floats([9, 2])
        let result = try evaluate(.fidelity, x, reference: doubled)
        #expect(abs(result.value - 0.5) < 1e-6)
        #expect(try evaluate(.fidelity, x, reference: try Samples.identity([-1, 2])).value == 1)
        #expect(isRefused { _ = try evaluate(.fidelity, x) })
    }

    @Test func drops() {
        #expect(abs(Metric.top1.drop(from: 0.9, to: 0.88) - 2) < 1e-9)
        #expect(Metric.auc.drop(from: 0.5, to: 0.75) == -25)
        #expect(Metric.mse.drop(from: 2, to: 3) == 50)
        #expect(Metric.top1.misses(floor: 0.9, 0.89) && !Metric.top1.misses(floor: 0.9, 0.9))
        #expect(Metric.mse.misses(floor: 1, 1.1) && !Metric.mse.misses(floor: 1, 0.9))
        #expect(!Metric.fidelity.misses(floor: nil, 0))
    }

    @Test func quantisedOutputsCountAsRealNumbers() throws {
        var graph = try Samples.identity([-1, 2])
        let grid = AffineQuantization(scale: 0.25, zeroPoint: 3)
        graph.outputs = [try graph.append(.quantize, [graph.inputs[0]], name: "q", encoding: .affine(grid))]
        let x = try Samples.tensor([1, -2, 0.5, 0.25] as [Float], [2, 2])
        let data = try Samples.dataset([("x", x)], for: graph)
        let result = try Evaluator(metric: .mse, dataset: data).evaluate(
            try Model(graph: graph, options: RuntimeOptions()))
        #expect(result.value == 0)
    }
}
