import OunceGraph
import OunceRuntime

/// What calibration saw of the channels (last axis) of a value: means and how channels go together.
struct ChannelMoments: Sendable {
    /// More channels than this are not compared with each other.
    static let maximumChannels = 2048
    /// Rows of a value that are looked at, over all samples.
    private static let maximumRows = 1 << 15
    private static let maximumSamples = 1024

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

    /// The covariance, its correlations drawn towards zero by as much as the number of samples makes them uncertain: Schäfer
    /// and Strimmer, "A shrinkage approach to large-scale covariance matrix estimation", Stat. Appl. Genet. Mol. Biol. 4
    /// (2005), with the variance of a correlation of normally distributed values. nil where nothing varies.
    var covariance: Matrix? {
        guard rows > 1, samples > 1, channels > 0 else { return nil }
        let (mean, count) = (means, Double(rows))
        let raw = Matrix(rows: channels, columns: channels) { row, column in
            products[max(row, column), min(row, column)] / count - mean[row] * mean[column]
        }
        let average = (0..<channels).reduce(0) { $0 + max(raw[$1, $1], 0) } / Double(channels)
        guard average > 0, average.isFinite else { return nil }
        // Never zero: what calibration did not see may still occur.
        let deviations = (0..<channels).map { max(raw[$0, $0], 1e-3 * average).squareRoot() }
        var (uncertain, certain) = (0.0, 0.0)
        for row in 0..<channels {
            for column in 0..<row {
                let correlation = raw[row, column] / (deviations[row] * deviations[column])
                let rest = 1 - min(correlation * correlation, 1)
                uncertain += rest * rest / Double(samples - 1)
                certain += correlation * correlation
            }
        }
        let shrinkage = max(certain > 0 ? min(1, uncertain / certain) : 1, 1e-3)
        return Matrix(rows: channels, columns: channels) { row, column in
            row == column ? deviations[row] * deviations[row] : (1 - shrinkage) * raw[row, column]
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
