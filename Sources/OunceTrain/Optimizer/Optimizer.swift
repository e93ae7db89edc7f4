import COunceKernels

/// How gradients become steps.
package enum OptimizerKind: Sendable, Hashable {
    case sgd(momentum: Float, nesterov: Bool)
    /// arXiv 1711.05101
    case adamW(beta1: Float, beta2: Float, epsilon: Float)

    package static let sgd = OptimizerKind.sgd(momentum: 0.9, nesterov: true)
    package static let adamW = OptimizerKind.adamW(beta1: 0.9, beta2: 0.999, epsilon: 1e-8)

    var statesPerParameter: Int {
        if case .sgd = self { 1 } else { 2 }
    }
}

/// An optimiser with its state for the parameters of one program.
final class Optimizer {
    let kind: OptimizerKind
    let weightDecay: Float
    /// Gradients whose norm over all parameters exceeds this are scaled down to it; 0: never.
    let clipNorm: Float
    private let parameters: [TrainingParameter]
    /// For each parameter one or two buffers of its size.
    let states: [[TrainBuffer]]
    private(set) var stepCount = 0
    private let kernels: TrainingKernels

    init(
        kind: OptimizerKind, weightDecay: Float, clipNorm: Float, parameters: [TrainingParameter],
        kernels: TrainingKernels
    ) {
        self.kind = kind
        self.weightDecay = weightDecay
        self.clipNorm = clipNorm
        self.parameters = parameters
        self.kernels = kernels
        states = parameters.map { parameter in
            (0..<kind.statesPerParameter).map { _ in TrainBuffer(persistent: parameter.count * 4) }
        }
    }

    /// One step from the gradients that the parameters hold.
    ///
    /// - Returns: the norm of the gradient over all parameters.
    func step(rate: Float) -> Float {
        stepCount += 1
        let norm = parameters.reduce(0.0) { $0 + kernels.c.pointee.squared_norm($1.slot.dx, Int64($1.count)) }
            .squareRoot()
        var update = ounce_update()
        update.scale = clipNorm > 0 && norm > Double(clipNorm) ? clipNorm / Float(norm) : 1
        for (parameter, state) in zip(parameters, states) {
            update.decay = parameter.decays ? weightDecay : 0
            let (w, g) = (parameter.slot.x, parameter.slot.dx)
            let units = parameter.units ?? [1]
            let row = parameter.count / max(units.count, 1)
            for (index, unit) in units.enumerated() {
                // In a unit u the gradient is u times as large, and so is a step of 1 in terms of the parameter.
                update.rate = rate * unit * (isScaleFree ? 1 : unit)
                let start = index * row
                switch kind {
                case .sgd(let momentum, let nesterov):
                    (update.momentum, update.nesterov) = (momentum, nesterov ? 1 : 0)
                    kernels.c.pointee.sgd(w + start, g + start, state[0].floats + start, Int64(row), &update)
                case .adamW(let beta1, let beta2, let epsilon):
                    (update.beta1, update.beta2, update.epsilon) = (beta1, beta2, epsilon)
                    update.correction1 = 1 - Self.power(beta1, stepCount)
                    update.correction2 = 1 - Self.power(beta2, stepCount)
                    kernels.c.pointee.adamw(
                        w + start, g + start, state[0].floats + start, state[1].floats + start, Int64(row), &update)
                }
            }
            if let mask = parameter.mask, mask.count == parameter.count {
                for index in 0..<parameter.count { w[index] *= mask[index] }
            }
        }
        return Float(norm)
    }

    /// Steps do not grow with the gradient.
    private var isScaleFree: Bool { if case .adamW = kind { true } else { false } }

    func restore(steps: Int) { stepCount = steps }

    private static func power(_ base: Float, _ exponent: Int) -> Float {
        var (result, square, left) = (1.0, Double(base), exponent)
        while left > 0 {
            if left & 1 == 1 { result *= square }
            square *= square
            left >>= 1
        }
        return Float(result)
    }
}
