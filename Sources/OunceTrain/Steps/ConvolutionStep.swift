import COunceKernels
import OunceGraph

/// Convolutions of every kind, image by image: what a part works on stays in the caches of its core.
///
/// The gradient of the input is a convolution of the padded dy with mirrored weights where strides are 1, else products
/// added to their places (col2im). The gradient of the weights is summed for each part over its images.
final class ConvolutionStep: TrainingStep {
    let geometry: WindowGeometry
    let kernels: TrainingKernels
    let x: Slot
    let weights: Slot
    let bias: Slot?
    let dx: GradientTarget?
    let dw: GradientTarget?
    let db: GradientTarget?
    private let bounds: (low: Float, high: Float)
    private var forwardRuns: [KernelRun] = []
    private var gradientRuns: [KernelRun] = []
    private var scratch: [ConvolutionScratch] = []
    let columns: WeightColumns
    /// Depthwise weights as [tap][channel]; mirrored weights of a group.
    private let arranged: TrainBuffer

    init(
        name: String, x: Slot, weights: Slot, bias: Slot?, output: Slot, conv: Convolution, kernels: TrainingKernels
    ) throws(TrainError) {
        let kernel = weights.shape.dims.dropFirst().dropLast()
        geometry = WindowGeometry(input: x.shape, output: output.shape, kernel: Array(kernel), conv)
        self.kernels = kernels
        (self.x, self.weights, self.bias) = (x, weights, bias)
        (dx, dw, db) = (GradientTarget(x), GradientTarget(weights), GradientTarget(bias))
        bounds = conv.activation.bounds
        columns = WeightColumns(geometry)
        arranged = TrainBuffer(persistent: weights.value.byteCount)
        super.init(name: name, inputs: [x, weights] + (bias.map { [$0] } ?? []), output: output)
        let forward = geometry.forwardParameters(low: bounds.low, high: bounds.high)
        for _ in 0..<runs { forwardRuns.append(try KernelRun(forward, isas: kernels.isas, name: name)) }
        if dx != nil, geometry.gradientPadding != nil {
            let gradient = geometry.gradientParameters()
            for _ in 0..<runs { gradientRuns.append(try KernelRun(gradient, isas: kernels.isas, name: name)) }
        }
    }

    private var runs: Int { geometry.isDepthwise ? 1 : geometry.groups }
    private var isClamped: Bool { bounds.low > -.infinity || bounds.high < .infinity }

    override var splitsForward: Bool { true }
    override var splitsBackward: Bool { true }
    override var targets: [GradientTarget?] { [dx, dw, db] }
    override var backwardBuffers: [TrainBuffer] { [x.value, weights.value] + (isClamped ? [output.value] : []) }

    override func prepare(parts: Int) {
        scratch = (0..<parts).map { _ in ConvolutionScratch(geometry, columns, hasInputGradient: dx != nil) }
    }

    override func beginForward() {
        let group = geometry.isDepthwise ? weights.count : geometry.groupOut * geometry.reduction
        for (index, run) in forwardRuns.enumerated() {
            run.pack(weights: weights.x + index * group, bias: bias.map { $0.x + index * geometry.groupOut })
        }
    }

    override func forward(part: Int, of parts: Int) {
        let own = scratch[part]
        for image in range(geometry.batch, part, parts) {
            let source = padded(image, own)
            let to = output.x + image * geometry.outImage
            for (group, run) in forwardRuns.enumerated() {
                run.run(source + group * geometry.groupIn, to + group * geometry.groupOut)
            }
        }
    }

    /// The image with its padding.
    private func padded(_ image: Int, _ own: ConvolutionScratch) -> UnsafePointer<Float> {
        let source = x.x + image * geometry.image
        guard geometry.isPadded else { return UnsafePointer(source) }
        let row = geometry.width * geometry.channels
        let start = own.x.floats + (geometry.top * geometry.paddedWidth + geometry.left) * geometry.channels
        kernels.c.pointee.mask(
            source, nil, 0, 0, Int64(geometry.height), Int64(row), start,
            Int64(geometry.paddedWidth * geometry.channels), 0)
        return UnsafePointer(own.x.floats)
    }

    // MARK: Backward

    override func beginBackward() {
        for own in scratch { own.zeroSums() }
        // Weights behind a quantiser are no parameters.
        for target in [dw, db] { target?.zeroUnlessAccumulating() }
        guard dx != nil else { return }
        if geometry.isDepthwise {
            arrangeDepthwise()
            gradientRuns.first?.pack(weights: arranged.floats, bias: nil)
        } else {
            for (group, run) in gradientRuns.enumerated() {
                mirror(group: group)
                run.pack(weights: arranged.floats, bias: nil)
            }
        }
    }

    /// Weights of a group as `[in][taps backwards][out]`.
    private func mirror(group: Int) {
        let (taps, inputs, outputs) = (geometry.taps, geometry.groupIn, geometry.groupOut)
        let from = weights.x + group * outputs * taps * inputs
        for o in 0..<outputs {
            for tap in 0..<taps {
                for i in 0..<inputs {
                    arranged.floats[(i * taps + taps - 1 - tap) * outputs + o] = from[(o * taps + tap) * inputs + i]
                }
            }
        }
    }

    /// `[channel][taps backwards]` for a convolution of dy, `[tap][channel]` for adding in place.
    private func arrangeDepthwise() {
        let (taps, channels) = (geometry.taps, geometry.channels)
        for c in 0..<channels {
            for tap in 0..<taps {
                let place = gradientRuns.isEmpty ? tap * channels + c : c * taps + taps - 1 - tap
                arranged.floats[place] = weights.x[c * taps + tap]
            }
        }
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        let own = scratch[part]
        for image in range(geometry.batch, part, parts) {
            let (dy, row) = arrivingGradient(image, own)
            if dw != nil { addWeightGradient(padded(image, own), dy, row, own) }
            if db != nil {
                for y in 0..<geometry.outHeight {
                    kernels.c.pointee.column_sums(
                        dy + y * row, Int64(geometry.outWidth), Int64(geometry.outChannels),
                        Int64(geometry.outChannels), own.biasSums.floats)
                }
            }
            if let dx { addInputGradient(dx, image, dy, own) }
        }
    }

    /// dy behind the activation, and the elements between its rows: inside its padding where that is wanted.
    private func arrivingGradient(
        _ image: Int, _ own: ConvolutionScratch
    ) -> (UnsafePointer<Float>, row: Int) {
        let from = output.dx + image * geometry.outImage
        let y = output.x + image * geometry.outImage
        let length = geometry.outWidth * geometry.outChannels
        guard let padding = geometry.gradientPadding, dx != nil else {
            guard isClamped else { return (UnsafePointer(from), length) }
            kernels.c.pointee.mask(
                from, y, bounds.low, bounds.high, 1, Int64(geometry.outImage), own.dy.floats, 0, 0)
            return (UnsafePointer(own.dy.floats), length)
        }
        let row = geometry.gradientWidth * geometry.outChannels
        let start = own.dy.floats + padding.top * row + padding.left * geometry.outChannels
        kernels.c.pointee.mask(
            from, isClamped ? y : nil, bounds.low, bounds.high, Int64(geometry.outHeight), Int64(length), start,
            Int64(row), 0)
        return (UnsafePointer(start), row)
    }

    private func addWeightGradient(
        _ source: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, _ row: Int, _ own: ConvolutionScratch
    ) {
        if geometry.isDepthwise {
            var windows = geometry.windows()
            windows.out_row = Int64(row)
            return kernels.c.pointee.depthwise_weight_gradient(&windows, source, dy, own.sums.floats)
        }
        columns.offsets.withUnsafeBufferPointer { offsets in
            var call = ounce_weight_gradient()
            (call.out_h, call.out_w) = (Int32(geometry.outHeight), Int32(geometry.outWidth))
            (call.out_c, call.sums_channels) = (Int32(geometry.groupOut), Int64(geometry.groupOut))
            (call.columns, call.offsets) = (Int32(columns.count), offsets.baseAddress)
            call.x_row = Int64(geometry.strideH * geometry.paddedWidth * geometry.channels)
            call.x_pixel = Int64(geometry.strideW * geometry.channels)
            (call.dy_row, call.dy_pixel) = (Int64(row), Int64(geometry.outChannels))
            for group in 0..<geometry.groups {
                kernels.c.pointee.weight_gradient(
                    &call, source + group * geometry.groupIn, dy + group * geometry.groupOut,
                    own.sums.floats + group * columns.sumsPerGroup)
            }
        }
    }

    private func addInputGradient(
        _ target: GradientTarget, _ image: Int, _ dy: UnsafePointer<Float>, _ own: ConvolutionScratch
    ) {
        let to = target.dx + image * geometry.image
        guard gradientRuns.isEmpty else {
            let direct = target.accumulates ? own.dx.floats : to
            for (group, run) in gradientRuns.enumerated() {
                run.run(own.dy.floats + group * geometry.groupOut, direct + group * geometry.groupIn)
            }
            if target.accumulates { kernels.c.pointee.add(to, direct, Int64(geometry.image)) }
            return
        }
        own.dx.zero()
        var windows = geometry.windows()
        if geometry.isDepthwise {
            kernels.c.pointee.depthwise_input_gradient(&windows, dy, arranged.floats, own.dx.floats)
        } else {
            for group in 0..<geometry.groups {
                var product = ounce_gemm()
                (product.n, product.k) = (Int64(geometry.reduction), Int64(geometry.groupOut))
                product.a = dy + group * geometry.groupOut
                (product.a_row, product.a_step) = (Int64(geometry.outChannels), 1)
                product.b = UnsafePointer(weights.x + group * geometry.groupOut * geometry.reduction)
                (product.b_row, product.c_row) = (product.n, product.n)
                product.c = own.columns.floats
                kernels.gemm(product, rows: 0..<geometry.pixels)
                kernels.c.pointee.col2im(&windows, own.columns.floats, own.dx.floats + group * geometry.groupIn)
            }
        }
        let row = geometry.width * geometry.channels
        for y in 0..<geometry.height {
            let from = ((geometry.top + y) * geometry.paddedWidth + geometry.left) * geometry.channels
            kernels.c.pointee.mask(own.dx.floats + from, nil, 0, 0, 1, Int64(row), to + y * row, 0, target.flag)
        }
    }

    override func endBackward() {
        for own in scratch {
            if let db { kernels.c.pointee.add(db.dx, own.biasSums.floats, Int64(geometry.outChannels)) }
            guard let dw else { continue }
            if geometry.isDepthwise {
                columns.addDepthwise(own.sums.floats, to: dw.dx)
            } else {
                columns.add(own.sums.floats, to: dw.dx)
            }
        }
    }
}
