import COunceKernels
import OunceGraph

/// Extents of a convolution as if it had two spatial axes: a 1-D one is of height 1.
struct WindowGeometry {
    var batch: Int
    var (height, width, channels): (Int, Int, Int)
    var (outHeight, outWidth, outChannels): (Int, Int, Int)
    var (kernelHeight, kernelWidth): (Int, Int)
    var (strideH, strideW): (Int, Int)
    var (dilationH, dilationW): (Int, Int)
    var (top, left): (Int, Int)
    var (paddedHeight, paddedWidth): (Int, Int)
    var groups: Int

    init(input: Shape, output: Shape, kernel: [Int], _ conv: Convolution) {
        func image(_ shape: Shape) -> [Int] {
            shape.rank == 3 ? [shape[0], 1, shape[1], shape[2]] : shape.dims
        }
        func spatial(_ values: [Int], _ missing: Int) -> [Int] { values.count == 1 ? [missing] + values : values }
        let (x, y) = (image(input), image(output))
        let taps = spatial(kernel, 1)
        (batch, height, width, channels) = (x[0], x[1], x[2], x[3])
        (outHeight, outWidth, outChannels) = (y[1], y[2], y[3])
        (kernelHeight, kernelWidth) = (taps[0], taps[1])
        let (strides, dilations) = (spatial(conv.strides, 1), spatial(conv.dilations, 1))
        (strideH, strideW) = (strides[0], strides[1])
        (dilationH, dilationW) = (dilations[0], dilations[1])
        let (before, after) = (spatial(conv.padBefore, 0), spatial(conv.padAfter, 0))
        (top, left) = (before[0], before[1])
        (paddedHeight, paddedWidth) = (height + before[0] + after[0], width + before[1] + after[1])
        groups = conv.groups
    }

    var taps: Int { kernelHeight * kernelWidth }
    var pixels: Int { outHeight * outWidth }
    var image: Int { height * width * channels }
    var outImage: Int { pixels * outChannels }
    var isPadded: Bool { paddedHeight != height || paddedWidth != width }
    var paddedImage: Int { paddedHeight * paddedWidth * channels }
    var isDepthwise: Bool { groups > 1 && groups == channels && groups == outChannels }
    var groupIn: Int { channels / groups }
    var groupOut: Int { outChannels / groups }
    /// Reduction length of an output element.
    var reduction: Int { taps * groupIn }

    /// Rows and columns that dy needs around it so that the gradient of x is a convolution of stride 1 of it; nil: there
    /// is no such padding.
    var gradientPadding: (top: Int, left: Int)? {
        guard strideH == 1, strideW == 1 else { return nil }
        let (y, x) = ((kernelHeight - 1) * dilationH - top, (kernelWidth - 1) * dilationW - left)
        guard y >= 0, x >= 0, gradientHeight >= y + outHeight, gradientWidth >= x + outWidth else { return nil }
        return (y, x)
    }
    var gradientHeight: Int { height + (kernelHeight - 1) * dilationH }
    var gradientWidth: Int { width + (kernelWidth - 1) * dilationW }

    /// Parameters of the forward kernel over one padded image, for the channels of a group (all of a depthwise one).
    func forwardParameters(low: Float, high: Float) -> ounce_conv_params {
        var p = ounce_conv_params()
        p.batch = 1
        p.in_c = Int32(isDepthwise ? channels : groupIn)
        p.out_c = Int32(isDepthwise ? channels : groupOut)
        (p.out_h, p.out_w) = (Int32(outHeight), Int32(outWidth))
        (p.kernel_h, p.kernel_w) = (Int32(kernelHeight), Int32(kernelWidth))
        (p.stride_h, p.stride_w) = (Int32(strideH), Int32(strideW))
        (p.dilation_h, p.dilation_w) = (Int32(dilationH), Int32(dilationW))
        p.groups = isDepthwise ? Int32(channels) : 1
        (p.in_pixel, p.in_row) = (Int64(channels), Int64(paddedWidth * channels))
        p.in_image = Int64(paddedImage)
        (p.out_pixel, p.out_row, p.out_image) = (
            Int64(outChannels), Int64(outWidth * outChannels), Int64(outImage)
        )
        (p.min, p.max) = (low, high)
        return p
    }

    /// The convolution of the padded dy with mirrored weights that gives the gradient of x.
    func gradientParameters() -> ounce_conv_params {
        var p = forwardParameters(low: -.infinity, high: .infinity)
        swap(&p.in_c, &p.out_c)
        (p.out_h, p.out_w) = (Int32(height), Int32(width))
        (p.in_pixel, p.in_row) = (Int64(outChannels), Int64(gradientWidth * outChannels))
        p.in_image = Int64(gradientHeight * gradientWidth * outChannels)
        (p.out_pixel, p.out_row, p.out_image) = (Int64(channels), Int64(width * channels), Int64(image))
        return p
    }

    /// Windows over one padded image for a group's channels (all of a depthwise one); dy contiguous.
    func windows() -> ounce_windows {
        var w = ounce_windows()
        (w.in_h, w.in_w) = (Int32(paddedHeight), Int32(paddedWidth))
        w.channels = Int32(isDepthwise ? channels : groupIn)
        (w.out_h, w.out_w) = (Int32(outHeight), Int32(outWidth))
        (w.kernel_h, w.kernel_w) = (Int32(kernelHeight), Int32(kernelWidth))
        (w.stride_h, w.stride_w) = (Int32(strideH), Int32(strideW))
        (w.dilation_h, w.dilation_w) = (Int32(dilationH), Int32(dilationW))
        (w.in_row, w.in_pixel) = (Int64(paddedWidth * channels), Int64(channels))
        (w.out_row, w.out_pixel) = (Int64(outWidth * outChannels), Int64(outChannels))
        return w
    }
}
