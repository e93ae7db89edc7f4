import COunceKernels
import OunceGraph

/// Pooling with one or two spatial axes, image by image.
final class PoolStep: TrainingStep {
    private let kernels: TrainingKernels
    private let dx: GradientTarget?
    private var windows = ounce_windows()
    private let kind: Pooling.Kind
    private let bounds: (low: Float, high: Float)
    private let (batch, image, outImage): (Int, Int, Int)
    /// Maximum: where each output came from in its image.
    private let index: TrainBuffer
    /// dy behind the activation.
    private let arriving: TrainBuffer?

    init(name: String, x: Slot, output: Slot, pool: Pooling, kernels: TrainingKernels) {
        self.kernels = kernels
        dx = GradientTarget(x)
        kind = pool.kind
        bounds = pool.activation.bounds
        let conv = Convolution(
            strides: pool.strides, dilations: pool.dilations, padBefore: pool.padBefore, padAfter: pool.padAfter)
        let geometry = WindowGeometry(input: x.shape, output: output.shape, kernel: pool.kernel, conv)
        windows = geometry.windows()
        (windows.in_h, windows.in_w) = (Int32(geometry.height), Int32(geometry.width))
        windows.in_row = Int64(geometry.width * geometry.channels)
        (windows.pad_top, windows.pad_left) = (Int32(geometry.top), Int32(geometry.left))
        windows.count_padding = pool.countIncludesPadding ? 1 : 0
        (batch, image, outImage) = (geometry.batch, geometry.image, geometry.outImage)
        index = TrainBuffer(persistent: pool.kind == .max ? output.count * 4 : 0)
        arriving = pool.activation == .none ? nil : TrainBuffer(persistent: output.value.byteCount)
        super.init(name: name, inputs: [x], output: output)
    }

    override var splitsForward: Bool { true }
    override var splitsBackward: Bool { true }
    override var targets: [GradientTarget?] { [dx] }
    override var backwardBuffers: [TrainBuffer] { arriving == nil ? [] : [output.value] }

    override func forward(part: Int, of parts: Int) {
        var w = windows
        let places = index.raw.assumingMemoryBound(to: Int32.self)
        for number in range(batch, part, parts) {
            let (from, to) = (inputs[0].x + number * image, output.x + number * outImage)
            switch kind {
            case .max: kernels.c.pointee.max_pool(&w, from, to, places + number * outImage)
            case .average: kernels.c.pointee.average_pool(&w, from, to)
            }
            if arriving != nil {
                kernels.c.pointee.unary(Int32(OUNCE_CLIP.rawValue), bounds.low, bounds.high, to, to, Int64(outImage))
            }
        }
    }

    override func beginBackward() { dx?.zeroUnlessAccumulating() }

    override func backward(phase: Int, part: Int, of parts: Int) {
        guard let dx else { return }
        var w = windows
        let places = index.raw.assumingMemoryBound(to: Int32.self)
        for number in range(batch, part, parts) {
            var dy = output.dx + number * outImage
            if let arriving {
                let to = arriving.floats + number * outImage
                kernels.c.pointee.mask(
                    dy, output.x + number * outImage, bounds.low, bounds.high, 1, Int64(outImage), to, 0, 0)
                dy = to
            }
            let target = dx.dx + number * image
            switch kind {
            case .max:
                for place in 0..<outImage {
                    let from = Int(places[number * outImage + place])
                    if from >= 0 { target[from] += dy[place] }
                }
            case .average: kernels.c.pointee.average_pool_gradient(&w, dy, target)
            }
        }
    }
}
