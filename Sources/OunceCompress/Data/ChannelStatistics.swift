import Glibc
import OunceGraph

/// Means and variances of the channels of a value over some samples.
struct ChannelStatistics {
    private let means: [Double]
    private let variances: [Double]

    /// - Parameter axis: of the channels; of one extent in all tensors.
    init(_ tensors: [Tensor], axis: Int) {
        let channels = max(tensors.first?.shape.dims[axis] ?? 1, 1)
        var (sums, squares) = ([Double](repeating: 0, count: channels), [Double](repeating: 0, count: channels))
        var count = 0.0
        for tensor in tensors {
            let inner = tensor.shape.dims.dropFirst(axis + 1).reduce(1, *)
            for (index, value) in tensor.doubles().enumerated() where value.isFinite {
                let channel = index / max(inner, 1) % channels
                sums[channel] += value
                squares[channel] += value * value
            }
            count += Double(tensor.count / max(channels, 1))
        }
        means = sums.map { $0 / max(count, 1) }
        variances = zip(squares, means).map { max($0 / max(count, 1) - $1 * $1, 0) }
    }

    /// The root of the mean variance.
    var deviation: Double { (variances.reduce(0, +) / Double(max(variances.count, 1))).squareRoot() }

    /// The mean over channels of twice the relative entropy of normal distributions to those expected; channels that are far
    /// off count as far off, no more.
    func divergence(mean: [Double], variance: [Double]) -> Double {
        let parts = means.indices.prefix(mean.count).map { channel -> Double in
            let wanted = max(variance[channel], 1e-12)
            let ratio = max(variances[channel] / wanted, 1e-12)
            let shift = means[channel] - mean[channel]
            return min(shift * shift / wanted + ratio - 1 - log(ratio), 10)
        }
        return parts.reduce(0, +) / Double(max(parts.count, 1))
    }
}
