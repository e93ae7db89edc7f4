import OunceConfig

/// The singular values of a layer and what can be made of them.
struct LayerDecomposition {
    let layer: LowRankLayer
    /// Of the outputs, `[outputs, places * inputs]`: what `svd` and the output side of `tucker2` cut.
    private(set) var byOutput: SingularValues?
    /// `[outputs * places, inputs]`: the input side of `tucker2`.
    private(set) var byInput: SingularValues?
    /// `[rows of the kernel * inputs, outputs * columns of the kernel]`
    private(set) var bySpace: SingularValues?
    private let methods: [LowRank.Method]

    init(_ layer: LowRankLayer, method: LowRank.Method) {
        self.layer = layer
        methods = layer.methods(method)
        let whitened = layer.whitenedByInput
        if methods.contains(.svd) || methods.contains(.tucker2) {
            byOutput = SingularValues(layer.weighted(Self.reshaped(whitened, rows: layer.outputs)))
        }
        if methods.contains(.tucker2) { byInput = SingularValues(whitened) }
        if methods.contains(.spatial) { bySpace = SingularValues(Self.bySpace(whitened, layer)) }
    }

    static func reshaped(_ matrix: Matrix, rows: Int) -> Matrix {
        var other = Matrix(rows: rows, columns: matrix.elements.count / max(rows, 1))
        other.elements = matrix.elements
        return other
    }

    private static func bySpace(_ whitened: Matrix, _ layer: LowRankLayer) -> Matrix {
        let (height, width) = (layer.kernel[0], layer.kernel[1])
        return Matrix(rows: height * layer.inputs, columns: layer.outputs * width) { row, column in
            let (h, i) = (row / layer.inputs, row % layer.inputs)
            let (o, w) = (column / width, column % width)
            return whitened[(o * height + h) * width + w, i]
        }
    }

    /// All that is smaller than the layer and computes less, ranks in steps that kernels like.
    var candidates: [Factorization] {
        var found: [Factorization] = []
        for method in methods {
            switch method {
            case .svd: found += svd
            case .tucker2: found += tucker2
            case .spatial: found += spatial
            case .auto: continue
            }
        }
        return found.filter { $0.parameters < layer.parameters && $0.macs < layer.macs }
    }

    private func ranks(_ limit: Int) -> [Int] {
        let step = limit >= 32 ? 8 : limit >= 8 ? 4 : 1
        return Array(stride(from: step, through: max(limit, 1), by: step))
    }

    /// For each number of values kept, the part of the energy that is lost.
    private func losses(_ values: [Double]) -> [Double] {
        let squares = values.map { $0 * $0 }
        let total = squares.reduce(0, +)
        guard total > 0 else { return [Double](repeating: 0, count: values.count + 1) }
        var tail = 0.0
        var losses = [0.0]
        for square in squares.reversed() {
            tail += square
            losses.append(tail / total)
        }
        return losses.reversed()
    }

    private var svd: [Factorization] {
        guard let values = byOutput?.values else { return [] }
        let losses = losses(values)
        let positions = layer.outputExtents.reduce(1, *)
        return ranks(min(layer.outputs, layer.inputs)).map { rank in
            Factorization(
                form: .svd(rank: rank),
                parameters: rank * (layer.inputs + layer.outputs + 1) + layer.outputs,
                macs: positions * rank * (layer.inputs + layer.outputs),
                loss: losses[min(rank, losses.count - 1)])
        }
    }

    private var tucker2: [Factorization] {
        guard let left = byInput?.values, let right = byOutput?.values else { return [] }
        let (inputLosses, outputLosses) = (losses(left), losses(right))
        let (before, after) = (layer.inputExtents.reduce(1, *), layer.outputExtents.reduce(1, *))
        return ranks(layer.inputs).flatMap { r1 in
            ranks(layer.outputs).map { r2 in
                let sizes = (first: r1 * layer.inputs, core: r1 * r2 * layer.places, last: r2 * layer.outputs)
                return Factorization(
                    form: .tucker2(inputs: r1, outputs: r2),
                    parameters: sizes.first + sizes.core + sizes.last + r1 + r2 + layer.outputs,
                    macs: before * sizes.first + after * (sizes.core + sizes.last),
                    // An upper bound: De Lathauwer and others, SIAM J. Matrix Anal. Appl. 21 (2000), property 10.
                    loss: inputLosses[min(r1, inputLosses.count - 1)] + outputLosses[min(r2, outputLosses.count - 1)])
            }
        }
    }

    private var spatial: [Factorization] {
        guard let values = bySpace?.values else { return [] }
        let losses = losses(values)
        let between = layer.outputExtents[0] * layer.inputExtents[1]
        let after = layer.outputExtents.reduce(1, *)
        return ranks(min(layer.kernel[0] * layer.inputs, layer.kernel[1] * layer.outputs)).map { rank in
            let (first, last) = (rank * layer.kernel[0] * layer.inputs, rank * layer.kernel[1] * layer.outputs)
            return Factorization(
                form: .spatial(rank: rank), parameters: first + last + layer.outputs + rank,
                macs: between * first + after * last, loss: losses[min(rank, losses.count - 1)])
        }
    }
}
