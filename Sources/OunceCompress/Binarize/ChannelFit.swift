import OunceGraph

/// The line through pairs of numbers with the least squared error, for each channel.
struct ChannelFit {
    private struct Moments {
        var count = 0.0
        var (meanX, meanY) = (0.0, 0.0)
        var (xx, xy, yy) = (0.0, 0.0, 0.0)

        mutating func add(_ x: Double, _ y: Double) {
            count += 1
            let (dx, dy) = (x - meanX, y - meanY)
            meanX += dx / count
            meanY += dy / count
            xx += dx * (x - meanX)
            xy += dx * (y - meanY)
            yy += dy * (y - meanY)
        }
    }
    private var channels: [Moments]

    init(channels count: Int) { channels = [Moments](repeating: Moments(), count: count) }

    /// Values whose last axis is the channels.
    mutating func add(x: UnsafeBufferPointer<Float>, y: UnsafeBufferPointer<Float>) {
        let width = channels.count
        for index in 0..<min(x.count, y.count) where x[index].isFinite && y[index].isFinite {
            channels[index % width].add(Double(x[index]), Double(y[index]))
        }
    }

    /// `y ≈ gain · x + offset`. A gain is positive: where x tells little of y it keeps a tenth of y's size.
    var lines: [(gain: Float, offset: Float)] {
        channels.map { moments in
            guard moments.xx > 0 else { return (1, Float(moments.meanY - moments.meanX)) }
            let least = 0.1 * (moments.yy / moments.xx).squareRoot()
            let gain = max(moments.xy / moments.xx, least, 1e-12)
            return (Float(gain), Float(moments.meanY - gain * moments.meanX))
        }
    }
}
