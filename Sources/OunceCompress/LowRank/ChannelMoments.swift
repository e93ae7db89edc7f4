import OunceGraph
import OunceRuntime

/// What calibration saw of the channels (last axis) of a value: means and how channels go together.
struct ChannelMoments: Sendable {
    /// More channels than this are not compared with each other.
    static let maximumChannels = 2048
    /// Rows of a value that are looked at, over all samples.
    private static let maximumRows = 1 << 15
    private static let maximumSamples = 512

    let channels: Int
    private var sums: [Double]
    private var products: Matrix
    private var rows = 0
    private var samples = 0

    init(channels: Int) {
        self.channels = channels
        sums = [Double](repeating: 0, count: channels)
        products = Matrix(rows: channels, columns: channels)
    }

    var means: [Double] { sums.map { $0 / Double(max(rows, 1)) } }

    /// - Parameter step: every so many rows are looked at.
    mutating func add(_ values: UnsafeBufferPointer<Float>, step: Int) {
        samples += 1
        products.elements.withUnsafeMutableBufferPointer { products in
            sums.withUnsafeMutableBufferPointer { sums in
                for row in stride(from: 0, to: values.count / max(channels, 1), by: max(step, 1)) {
                    let x = UnsafeBufferPointer(rebasing: values[row * channels..<(row + 1) * channels])
                    guard x.allSatisfy(\.isFinite) else { continue }
                    rows += 1
                    for i in 0..<channels where x[i] != 0 {
                        let value = Double(x[i])
                        sums[i] += value
                        for j in 0...i { products[i * channels + j] += value * Double(x[j]) }
                    }
                }
            }
        }
    }

    /// The covariance, drawn towards a multiple of the identity by as much as the number of samples makes it uncertain:
    /// Chen and others, "Shrinkage algorithms for MMSE covariance estimation", IEEE Trans. Signal Process. 58 (2010),
    /// equation 23. nil where nothing varies.
    var covariance: Matrix? {
        guard rows > 1, channels > 0 else { return nil }
        let (mean, count) = (means, Double(rows))
        let raw = Matrix(rows: channels, columns: channels) { row, column in
            products[max(row, column), min(row, column)] / count - mean[row] * mean[column]
        }
        let trace = (0..<channels).reduce(0) { $0 + max(raw[$1, $1], 0) }
        guard trace > 0, trace.isFinite else { return nil }
        let (p, n) = (Double(channels), Double(samples))
        let spread = raw.squaredNorm - trace * trace / p
        let share =
            spread > 0
            ? min(1, ((1 - 2 / p) * raw.squaredNorm + trace * trace) / ((n + 1 - 2 / p) * spread)) : 1
        // Never singular: what calibration did not see may still occur.
        let shrinkage = max(share, 1e-3)
        return Matrix(rows: channels, columns: channels) { row, column in
            (1 - shrinkage) * raw[row, column] + (row == column ? shrinkage * trace / p : 0)
        }
    }

    /// Moments of float values of a graph over calibration samples.
    static func observe(
        _ wanted: Set<ValueID>, of graph: Graph, over dataset: Dataset, options: RuntimeOptions,
        progress: (Double) -> Void
    ) throws(CompressError) -> [ValueID: ChannelMoments] {
        let order = wanted.sorted().filter { id in
            graph[id].dtype == .float32 && (1...maximumChannels).contains(graph[id].shape.dims.last ?? 0)
        }
        guard !order.isEmpty else { return [:] }
        var instrumented = graph
        instrumented.replaceClientOutputs(order)
        let model = try CompressError.wrapping(.recipe) { try Model(graph: instrumented, options: options) }
        let run = try SampleRun(model, over: dataset)
        var moments = order.map { ChannelMoments(channels: graph[$0].shape.dims.last ?? 1) }
        let total = min(dataset.count, maximumSamples) * dataset.windows
        for index in 0..<total {
            let outputs = try run(index / dataset.windows, window: index % dataset.windows)
            defer { withExtendedLifetime(outputs) {} }
            for (place, output) in zip(moments.indices, outputs) where output.dtype == .float32 {
                let values = output.bytes.bindMemory(to: Float.self)
                let all = values.count / max(moments[place].channels, 1) * total
                moments[place].add(values, step: (all + maximumRows - 1) / maximumRows)
            }
            progress(Double(index + 1) / Double(total))
        }
        return Dictionary(uniqueKeysWithValues: zip(order, moments))
    }
}
