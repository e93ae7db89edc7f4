import Glibc
import OunceGraph

/// Sums of products of the gradients of channels, over places.
struct GradientMoments {
    private(set) var products: [Double]
    private let channels: Int
    /// Places of a value that are looked at for each sample.
    private static let maximumRows = 64

    init(channels: Int) {
        self.channels = channels
        products = [Double](repeating: 0, count: channels * channels)
    }

    mutating func add(_ slot: Slot) {
        let rows = slot.count / max(channels, 1)
        let step = max(1, (rows + Self.maximumRows - 1) / Self.maximumRows)
        products.withUnsafeMutableBufferPointer { products in
            for row in stride(from: 0, to: rows, by: step) {
                let g = slot.dx + row * channels
                for i in 0..<channels where g[i] != 0 && g[i].isFinite {
                    let value = Double(g[i])
                    for j in 0..<channels { products[i * channels + j] += value * Double(g[j]) }
                }
            }
        }
    }
}

/// How much a model's outputs mind changes of values inside it: the second moments of the gradients of those values, which
/// are the output side of a Kronecker-factored curvature (arXiv 1503.05671).
package enum OutputSensitivity {
    /// Gradients of a sample, where the model is small.
    private static let maximumDraws = 16
    private static let maximumSamples = 128
    /// Multiply-accumulates that all of this may take, more or less.
    private static let budget = 20_000_000_000
    /// Scores of sure classifiers are softened, else hardly a sample would say anything.
    private static let temperature: Float = 4
    /// Wider values are left out.
    private static let maximumChannels = 2048

    /// - Parameters:
    ///   - values: of the graph, not its inputs.
    ///   - isClassifier: the first output scores classes. Gradients are then those of the log-likelihood of classes drawn from
    ///     the model's own answer, else of random mixtures of the outputs.
    /// - Returns: for each value a matrix of as many rows and columns as it has channels, row-major; none where no output
    ///   depends on it.
    /// - Throws: `.unsupported` where the graph has operators without a gradient.
    package static func measure(
        _ values: [ValueID], in graph: Graph, over data: TrainingData, isClassifier: Bool, threads: Int,
        allowedISAs: Set<String>?
    ) throws(TrainError) -> [ValueID: [Double]] {
        let single = try BatchedGraph.single(graph)
        let probed = values.filter { (1...maximumChannels).contains(single[$0].shape.dims.last ?? 0) }
        let program = try TrainingProgram(
            graph: single,
            options: TrainingProgram.Options(
                trainable: Set(graph.trainableConstants), probes: probed, threads: threads, allowedISAs: allowedISAs))
        for probe in program.importance { probe.moments = GradientMoments(channels: probe.scores.count) }
        let cost = max(1, single.macs.multipliedReportingOverflow(by: 3).partialValue)
        let samples = min(data.count, maximumSamples, max(16, budget / cost))
        let draws = max(1, min(maximumDraws, budget / cost / max(samples, 1)))
        try run(program, over: data, samples: samples, draws: draws, isClassifier: isClassifier, seed: 1) {}
        var results: [ValueID: [Double]] = [:]
        for (id, probe) in zip(probed, program.importance) {
            if let products = probe.moments?.products, products.contains(where: { $0 > 0 }) { results[id] = products }
        }
        return results
    }

    /// Gradients of what the outputs say of single samples, without steps.
    ///
    /// - Parameters:
    ///   - samples: the first so many.
    ///   - draws: gradients of each.
    ///   - visit: is called after each, when weights and gradients are there.
    /// - Throws: `.unsupported` where the graph has operators without a gradient, `.data` where samples do not fit.
    package static func gradients(
        of graph: Graph, over data: TrainingData, samples: Int, draws: Int, isClassifier: Bool, seed: UInt64,
        threads: Int, allowedISAs: Set<String>?, visit: ([TrainingParameter]) -> Void
    ) throws(TrainError) {
        let program = try TrainingProgram(
            graph: try BatchedGraph.single(graph),
            options: TrainingProgram.Options(
                trainable: Set(graph.trainableConstants), threads: threads, allowedISAs: allowedISAs))
        try run(
            program, over: data, samples: min(samples, data.count), draws: draws, isClassifier: isClassifier, seed: seed
        ) { visit(program.parameters) }
    }

    private static func run(
        _ program: TrainingProgram, over data: TrainingData, samples: Int, draws: Int, isClassifier: Bool, seed: UInt64,
        _ visit: () -> Void
    ) throws(TrainError) {
        var random = SplitMix(seed: seed)
        for sample in 0..<samples {
            for _ in 0..<draws {
                for (tensor, slot) in zip(data.inputs, program.inputs) {
                    let bytes = tensor.byteCount / data.count
                    guard let source = tensor.bytes.baseAddress, bytes == slot.value.byteCount else {
                        throw TrainError(.data, "the samples do not fit the model's inputs")
                    }
                    slot.value.raw.copyMemory(from: source + sample * bytes, byteCount: bytes)
                }
                program.forward()
                program.zeroGradients()
                for (index, head) in program.heads.enumerated() where head.needsGradient {
                    if isClassifier || program.isSoftmax[index] {
                        likelihoodGradient(head, &random)
                    } else {
                        for place in 0..<head.count { head.dx[place] = random.normal() }
                    }
                }
                program.backward()
                visit()
            }
        }
    }

    /// The gradient of the log-likelihood of a class drawn from the softmax of each row.
    private static func likelihoodGradient(_ head: Slot, _ random: inout SplitMix) {
        let columns = max(head.shape.dims.last ?? 1, 1)
        for start in stride(from: 0, to: head.count, by: columns) {
            let (x, dx) = (head.x + start, head.dx + start)
            var largest = -Float.infinity
            for i in 0..<columns { largest = max(largest, x[i]) }
            var sum: Float = 0
            for i in 0..<columns {
                dx[i] = expf((x[i] - largest) / temperature)
                sum += dx[i]
            }
            var left = random.unit() * sum
            var drawn = columns - 1
            for i in 0..<columns {
                left -= dx[i]
                if left < 0 {
                    drawn = i
                    break
                }
            }
            for i in 0..<columns { dx[i] = dx[i] / sum - (i == drawn ? 1 : 0) }
        }
    }
}
