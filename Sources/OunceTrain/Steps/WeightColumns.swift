/// The reduction places of a convolution's weights in runs of at most 16 that lie side by side in the input.
struct WeightColumns {
    private struct Column {
        /// First reduction place, and how many.
        var start: Int
        var count: Int
    }
    /// Elements from an output pixel's first input element to each run.
    private(set) var offsets: [Int64] = []
    private var columns: [Column] = []
    private let geometry: WindowGeometry
    private static let lanes = 16

    init(_ geometry: WindowGeometry) {
        self.geometry = geometry
        let whole = geometry.dilationW == 1 && geometry.groups == 1
        let length = whole ? geometry.kernelWidth * geometry.channels : geometry.groupIn
        var start = 0
        for row in 0..<geometry.kernelHeight {
            for column in 0..<(whole ? 1 : geometry.kernelWidth) {
                let offset =
                    row * geometry.dilationH * geometry.paddedWidth * geometry.channels
                    + column * geometry.dilationW * geometry.channels
                for place in stride(from: 0, to: length, by: Self.lanes) {
                    offsets.append(Int64(offset + place))
                    columns.append(Column(start: start + place, count: min(Self.lanes, length - place)))
                }
                start += length
            }
        }
    }

    var count: Int { columns.count }
    var sumsPerGroup: Int { count * geometry.groupOut * Self.lanes }
    private var paddedChannels: Int { (geometry.channels + Self.lanes - 1) / Self.lanes * Self.lanes }

    /// Floats that a part's sums take.
    var sumsCount: Int {
        geometry.isDepthwise ? geometry.taps * paddedChannels : sumsPerGroup * geometry.groups
    }

    /// Adds sums `[group][column][out][16]` to a gradient `[out][reduction]`.
    func add(_ sums: UnsafePointer<Float>, to gradient: UnsafeMutablePointer<Float>) {
        var from = sums
        for group in 0..<geometry.groups {
            for column in columns {
                for o in 0..<geometry.groupOut {
                    let to = gradient + (group * geometry.groupOut + o) * geometry.reduction + column.start
                    for lane in 0..<column.count { to[lane] += from[lane] }
                    from += Self.lanes
                }
            }
        }
    }

    /// Adds sums `[tap][channels]` to a gradient `[channel][tap]`.
    func addDepthwise(_ sums: UnsafePointer<Float>, to gradient: UnsafeMutablePointer<Float>) {
        for tap in 0..<geometry.taps {
            for c in 0..<geometry.channels {
                gradient[c * geometry.taps + tap] += sums[tap * paddedChannels + c]
            }
        }
    }
}

/// What a part of a convolution needs for one image.
final class ConvolutionScratch {
    /// The padded image; its border stays zero.
    let x: TrainBuffer
    /// dy behind the activation, with a border where the gradient of x is a convolution.
    let dy: TrainBuffer
    let dx: TrainBuffer
    let columns: TrainBuffer
    let sums: TrainBuffer
    let biasSums: TrainBuffer

    init(_ geometry: WindowGeometry, _ weightColumns: WeightColumns, hasInputGradient: Bool) {
        func floats(_ count: Int) -> TrainBuffer { TrainBuffer(persistent: count * 4) }
        x = floats(geometry.isPadded ? geometry.paddedImage : 0)
        let asConvolution = hasInputGradient && geometry.gradientPadding != nil
        dy = floats(
            asConvolution ? geometry.gradientHeight * geometry.gradientWidth * geometry.outChannels : geometry.outImage)
        dx = floats(hasInputGradient ? max(geometry.paddedImage, geometry.image) : 0)
        let needsColumns = hasInputGradient && !asConvolution && !geometry.isDepthwise
        columns = floats(needsColumns ? geometry.pixels * geometry.reduction : 0)
        sums = floats(weightColumns.sumsCount)
        biasSums = floats(geometry.outChannels)
    }

    func zeroSums() {
        sums.zero()
        biasSums.zero()
    }
}
