import COunceKernels
import Glibc
import OunceGraph

/// Activations and other functions of one number that the C loops know.
final class UnaryStep: TrainingStep {
    private let kernels: TrainingKernels
    private let op: ounce_unary_op
    private let (alpha, beta): (Float, Float)
    private let dx: GradientTarget?

    /// nil where the C loops do not know `op`.
    init?(name: String, op: UnaryOperator, x: Slot, output: Slot, kernels: TrainingKernels) {
        self.kernels = kernels
        switch op {
        case .clip(let low, let high): (self.op, alpha, beta) = (OUNCE_CLIP, low, high)
        case .leakyRelu(let slope): (self.op, alpha, beta) = (OUNCE_LEAKY_RELU, slope, 0)
        case .sigmoid: (self.op, alpha, beta) = (OUNCE_SIGMOID, 0, 0)
        case .tanh: (self.op, alpha, beta) = (OUNCE_TANH, 0, 0)
        case .exp: (self.op, alpha, beta) = (OUNCE_EXP, 0, 0)
        case .log: (self.op, alpha, beta) = (OUNCE_LOG, 0, 0)
        case .sqrt: (self.op, alpha, beta) = (OUNCE_SQRT, 0, 0)
        case .negate: (self.op, alpha, beta) = (OUNCE_NEGATE, 0, 0)
        case .abs: (self.op, alpha, beta) = (OUNCE_ABS, 0, 0)
        case .hardSwish: (self.op, alpha, beta) = (OUNCE_HARD_SWISH, 0, 0)
        case .hardSigmoid(let slope, let shift): (self.op, alpha, beta) = (OUNCE_HARD_SIGMOID, slope, shift)
        default: return nil
        }
        dx = GradientTarget(x)
        super.init(name: name, inputs: [x], output: output)
    }

    override var splitsForward: Bool { true }
    override var splitsBackward: Bool { true }
    override var targets: [GradientTarget?] { [dx] }

    override func forward(part: Int, of parts: Int) {
        let own = range(output.count, part, parts)
        kernels.c.pointee.unary(
            Int32(op.rawValue), alpha, beta, inputs[0].x + own.lowerBound, output.x + own.lowerBound, Int64(own.count))
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        guard let dx else { return }
        let own = range(output.count, part, parts)
        let start = own.lowerBound
        kernels.c.pointee.unary_gradient(
            Int32(op.rawValue), alpha, beta, inputs[0].x + start, output.x + start, output.dx + start, dx.dx + start,
            Int64(own.count), dx.flag)
    }
}

/// Functions of one number through libm.
final class FunctionStep: TrainingStep {
    private let function: ElementFunction
    private let dx: GradientTarget?

    init(name: String, function: ElementFunction, x: Slot, output: Slot) {
        self.function = function
        dx = GradientTarget(x)
        super.init(name: name, inputs: [x], output: output)
    }

    override var splitsForward: Bool { true }
    override var splitsBackward: Bool { true }
    override var targets: [GradientTarget?] { [dx] }

    override func forward(part: Int, of parts: Int) {
        let (x, y) = (inputs[0].x, output.x)
        for index in range(output.count, part, parts) { y[index] = function.value(x[index]) }
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        guard let dx else { return }
        let (x, dy) = (inputs[0].x, output.dx)
        for index in range(output.count, part, parts) {
            dx.dx[index] = (dx.accumulates ? dx.dx[index] : 0) + dy[index] * function.slope(x[index])
        }
    }
}

extension ElementFunction {
    fileprivate func value(_ x: Float) -> Float {
        switch self {
        case .not: x == 0 ? 1 : 0
        case .sign: x > 0 ? 1 : x < 0 ? -1 : x
        case .floor: x.rounded(.down)
        case .ceil: x.rounded(.up)
        case .round: x.rounded(.toNearestOrEven)
        case .erf: erff(x)
        case .softplus: x > 20 ? x : log1pf(expf(x))
        case .expMinusOne: expm1f(x)
        case .sin: sinf(x)
        case .cos: cosf(x)
        case .tan: tanf(x)
        case .asin: asinf(x)
        case .acos: acosf(x)
        case .atan: atanf(x)
        case .sinh: sinhf(x)
        case .cosh: coshf(x)
        case .asinh: asinhf(x)
        case .acosh: acoshf(x)
        case .atanh: atanhf(x)
        case .gelu: 0.5 * x * (1 + erff(x * 0.707_106_77))
        case .geluTanh: 0.5 * x * (1 + tanhf(0.797_884_6 * (x + 0.044_715 * x * x * x)))
        }
    }

    fileprivate func slope(_ x: Float) -> Float {
        switch self {
        case .not, .sign, .floor, .ceil, .round: return 0
        case .erf: return 1.128_379_2 * expf(-x * x)
        case .softplus: return 1 / (1 + expf(-x))
        case .expMinusOne: return expf(x)
        case .sin: return cosf(x)
        case .cos: return -sinf(x)
        case .tan:
            let c = cosf(x)
            return 1 / (c * c)
        case .asin: return 1 / (1 - x * x).squareRoot()
        case .acos: return -1 / (1 - x * x).squareRoot()
        case .atan: return 1 / (1 + x * x)
        case .sinh: return coshf(x)
        case .cosh: return sinhf(x)
        case .asinh: return 1 / (1 + x * x).squareRoot()
        case .acosh: return 1 / (x * x - 1).squareRoot()
        case .atanh: return 1 / (1 - x * x)
        case .gelu: return 0.5 * (1 + erff(x * 0.707_106_77)) + x * 0.398_942_3 * expf(-0.5 * x * x)
        case .geluTanh:
            let t = tanhf(0.797_884_6 * (x + 0.044_715 * x * x * x))
            return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.797_884_6 * (1 + 0.134_145 * x * x)
        }
    }
}
