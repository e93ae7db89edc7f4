import OunceGraph
import OunceRuntime

/// Lets the layers that read a value make up for the channels that go: what these hold follows in part from those that
/// stay, `x_R ≈ A · x_K` by least squares over samples, and `W_R · x_R ≈ W_R · A · x_K` is added to the weights of those
/// that stay (the idea of arXiv 1707.06168, for each place of a kernel alike, so that padding with zeros stays exact).
struct ChannelReconstruction {
    private let coupling: ChannelCoupling
    /// For the values that layers read, the sums of products of their channels, `[channels, channels]`.
    private var moments: [ValueID: [Double]] = [:]

    /// Numbers added up for a value: rows of channels squared.
    private static let budget = 1 << 28

    /// - Throws: `.recipe` where the graph does not run.
    init(
        _ coupling: ChannelCoupling, _ families: [ChannelFamily], of graph: Graph, data: Dataset,
        options: RuntimeOptions
    ) throws(CompressError) {
        self.coupling = coupling
        guard graph.initialStates.isEmpty else { return }
        let read = Set(families.flatMap(\.consumers).compactMap { coupling.layerInput($0) }).sorted()
        guard !read.isEmpty else { return }
        var probe = graph
        probe.outputs = read
        let samples = data.spread(64)
        var sums: [ValueID: [Double]] = [:]
        do {
            let model = try Model(
                graph: probe, options: RuntimeOptions(allowedISAs: options.allowedISAs, threads: options.threads))
            for index in samples {
                for (id, tensor) in zip(read, try model.run(try data.sample(index))) {
                    let channels = coupling.shape(id).dims.last ?? 1
                    Self.add(
                        tensor.floats(), channels, rows: max(1, Self.budget / (channels * channels * samples.count)),
                        to: &sums[id, default: [Double](repeating: 0, count: channels * channels)])
                }
            }
        } catch let error as CompressError {
            throw error
        } catch {
            throw CompressError(.recipe, "prune: \(error)")
        }
        moments = sums
    }

    /// Adds the products of so many rows, evenly from all.
    private static func add(_ numbers: [Float], _ channels: Int, rows limit: Int, to sums: inout [Double]) {
        let all = numbers.count / max(channels, 1)
        let rows = min(all, limit)
        var block = [Float](repeating: 0, count: channels * channels)
        numbers.withUnsafeBufferPointer { x in
            block.withUnsafeMutableBufferPointer { sum in
                for index in 0..<rows {
                    let row = index * all / rows * channels
                    for i in 0..<channels where x[row + i] != 0 {
                        let factor = x[row + i]
                        for j in 0...i { sum[i * channels + j] += factor * x[row + j] }
                    }
                }
            }
        }
        for i in 0..<channels {
            for j in 0...i {
                sums[i * channels + j] += Double(block[i * channels + j])
                if i != j { sums[j * channels + i] += Double(block[i * channels + j]) }
            }
        }
    }

    /// The graph with changed weights, of which `removed` can then be taken out.
    func adapted(_ graph: Graph, _ families: [ChannelFamily], removing removed: Set<Int>) -> Graph {
        var graph = graph
        var done: Set<ChannelCoupling.Use> = []
        for use in families.flatMap(\.consumers) where done.insert(use).inserted {
            guard let x = coupling.layerInput(use), let moments = moments[x], let old = graph[use.constant].constant,
                let weights = old.elements(Float.self)
            else { continue }
            let roots = coupling.roots(use.constant, use.axis)
            let gone = roots.indices.filter { removed.contains(roots[$0]) }
            let kept = roots.indices.filter { !removed.contains(roots[$0]) }
            guard !gone.isEmpty, !kept.isEmpty, moments.count == roots.count * roots.count else { continue }
            guard let map = Self.leastSquares(moments, roots.count, from: kept, to: gone) else { continue }
            var changed = weights
            for row in stride(from: 0, to: weights.count, by: roots.count) {
                for (r, place) in gone.enumerated() where weights[row + place] != 0 {
                    for (k, target) in kept.enumerated() {
                        changed[row + target] += weights[row + place] * Float(map[r * kept.count + k])
                    }
                }
            }
            if changed.allSatisfy(\.isFinite), let tensor = Tensor(changed, shape: old.shape) {
                graph[use.constant].constant = tensor
            }
        }
        return graph
    }

    /// `A` with the least squared error of `x_to ≈ A · x_from`, `[to, from]`. nil: the numbers are not finite.
    static func leastSquares(_ moments: [Double], _ width: Int, from: [Int], to: [Int]) -> [Double]? {
        guard let factor = Cholesky(moments, width, from) else { return nil }
        return to.flatMap { target in factor.solve(from.map { moments[target * width + $0] }) }
    }

    /// The weights of `from` that give `goal`, the products of `x_from` with what is to be made. nil: not finite.
    static func solve(_ moments: [Double], _ width: Int, _ from: [Int], _ goal: [Double]) -> [Double]? {
        Cholesky(moments, width, from)?.solve(goal)
    }
}

/// The decomposition `L · Lᵀ` of a part of a matrix of products, with a small ridge that keeps it sound.
private struct Cholesky {
    private let n: Int
    private var l: [Double]

    init?(_ moments: [Double], _ width: Int, _ places: [Int]) {
        n = places.count
        let mean = places.reduce(0) { $0 + moments[$1 * width + $1] } / Double(n)
        guard mean.isFinite, mean > 0 else { return nil }
        let ridge = 1e-3 * mean
        l = [Double](repeating: 0, count: n * n)
        for i in 0..<n {
            for j in 0...i {
                var sum = moments[places[i] * width + places[j]] + (i == j ? ridge : 0)
                for k in 0..<j { sum -= l[i * n + k] * l[j * n + k] }
                if i == j {
                    guard sum > 0 else { return nil }
                    l[i * n + i] = sum.squareRoot()
                } else {
                    l[i * n + j] = sum / l[j * n + j]
                }
            }
        }
    }

    func solve(_ goal: [Double]) -> [Double] {
        var y = goal
        for i in 0..<n {
            for k in 0..<i { y[i] -= l[i * n + k] * y[k] }
            y[i] /= l[i * n + i]
        }
        for i in (0..<n).reversed() {
            for k in (i + 1)..<n { y[i] -= l[k * n + i] * y[k] }
            y[i] /= l[i * n + i]
        }
        return y
    }
}

extension ChannelCoupling {
    /// What a convolution or fully connected layer reads, where it is the only one with these weights; nil for others.
    func layerInput(_ use: Use) -> ValueID? {
        let node = graph.nodes[use.node]
        switch node.op {
        case .conv, .fullyConnected: break
        default: return nil
        }
        guard node.inputs.count > 1, node.inputs[1] == use.constant, readers[use.constant]?.count == 1,
            let x = node.inputs[0], graph[x].constant == nil, graph[x].dtype == .float32
        else { return nil }
        return x
    }
}
