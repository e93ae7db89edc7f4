import OunceConfig
import OunceGraph

/// A layer of a float graph that can be written as a product of smaller ones.
struct LowRankLayer {
    let node: Node
    let isFullyConnected: Bool
    /// As a convolution; of a fully connected layer, one with a kernel of one place.
    let geometry: Convolution
    /// Extents of the kernel.
    let kernel: [Int]
    let inputs: Int
    let outputs: Int
    /// Places (pixels, rows) of one inference: those of the input and those of the output by spatial axis.
    let inputExtents: [Int]
    let outputExtents: [Int]
    /// `[outputs, places of the kernel, inputs]`
    let weights: [Double]
    let bias: [Double]?
    /// Means of the input's channels; zeros where they are not known.
    let means: [Double]
    /// `L` of the input's covariance `L Lᵀ`; nil: the identity.
    let whitening: Matrix?
    /// `L` of the second moments `L Lᵀ` of the gradients of the outputs, before their activation; nil: the identity.
    let importance: Matrix?
    /// Part of the mean that is added to the diagonal of these moments: no output is without meaning.
    private static let leastImportance = 0.1

    /// - Parameters:
    ///   - moments: of the layer's input.
    ///   - gradients: second moments of the gradients of the outputs, row-major.
    init?(_ node: Node, in graph: Graph, moments: ChannelMoments?, gradients: [Double]? = nil) {
        guard let x = node.inputs.first ?? nil, graph[x].constant == nil, node.inputs.count > 1, let w = node.inputs[1],
            let tensor = graph[w].constant, let floats = tensor.elements(Float.self), tensor.shape.rank >= 2,
            let output = node.outputs.first, floats.allSatisfy(\.isFinite)
        else { return nil }
        let dims = tensor.shape.dims
        self.node = node
        kernel = Array(dims.dropFirst().dropLast())
        (outputs, inputs) = (dims[0], dims[dims.count - 1])
        let inner = { (id: ValueID) in graph[id].shape.dims.dropFirst().dropLast().map { max($0, 1) } }
        (inputExtents, outputExtents) = (inner(x), inner(output))
        switch node.op {
        case .fullyConnected(let activation):
            isFullyConnected = true
            geometry = Convolution(strides: [], dilations: [], padBefore: [], padAfter: [], activation: activation)
        case .conv(let conv):
            guard conv.groups == 1, conv.strides.count == kernel.count, inputExtents.count == kernel.count else {
                return nil
            }
            isFullyConnected = false
            geometry = conv
        default: return nil
        }
        guard outputs > 1, inputs > 1 else { return nil }
        weights = floats.map { Double($0) }
        if node.inputs.count > 2, let b = node.inputs[2] {
            guard let numbers = graph[b].constant?.elements(Float.self), numbers.count == outputs else { return nil }
            bias = numbers.map { Double($0) }
        } else {
            bias = nil
        }
        let covariance = moments?.channels == dims[dims.count - 1] ? moments?.covariance : nil
        whitening = covariance?.choleskyFactor
        let count = outputs
        importance = gradients.flatMap { gradients -> Matrix? in
            guard gradients.count == count * count else { return nil }
            let mean = (0..<count).reduce(0) { $0 + gradients[$1 * count + $1] } / Double(count)
            guard mean > 0, mean.isFinite else { return nil }
            return Matrix(rows: count, columns: count) { row, column in
                (1 - Self.leastImportance) * gradients[row * count + column] / mean
                    + (row == column ? Self.leastImportance : 0)
            }.choleskyFactor
        }
        means = whitening == nil ? [Double](repeating: 0, count: inputs) : moments?.means ?? []
    }

    var places: Int { kernel.reduce(1, *) }
    var parameters: Int { weights.count + (bias?.count ?? 0) }
    var isPointwise: Bool { places == 1 && !isPadded }
    /// Whether zeros that are no part of the input go into sums.
    var isPadded: Bool { (geometry.padBefore + geometry.padAfter).contains { $0 != 0 } }
    var macs: Int { outputExtents.reduce(weights.count, *) }

    /// The forms that suit this layer.
    func methods(_ wanted: LowRank.Method) -> [LowRank.Method] {
        var fitting: [LowRank.Method] = []
        if isPointwise { fitting.append(.svd) }
        if places > 1 { fitting.append(.tucker2) }
        if kernel.count == 2, kernel.allSatisfy({ $0 > 1 }) { fitting.append(.spatial) }
        return wanted == .auto ? fitting : fitting.filter { $0 == wanted }
    }

    /// `[outputs * places, inputs]`, for inputs of unit covariance.
    var whitenedByInput: Matrix {
        var matrix = Matrix(rows: outputs * places, columns: inputs)
        matrix.elements = weights
        return whitening.map { matrix * $0 } ?? matrix
    }

    /// The rows of `a`, which are for inputs of unit covariance, for inputs as they are.
    func unwhitened(_ a: Matrix) -> Matrix { whitening.map { a.dividedOnTheRight(byLower: $0) } ?? a }

    /// A matrix of a row for each output, for outputs that all matter as much.
    func weighted(_ a: Matrix) -> Matrix { importance.map { $0.transposed * a } ?? a }

    /// The inverse of `weighted`.
    func unweighted(_ a: Matrix) -> Matrix {
        importance.map { a.transposed.dividedOnTheRight(byLower: $0).transposed } ?? a
    }

    /// What tells apart measurements of this layer and a product that may stand for it.
    func measuringKey(_ choice: Factorization, isInt8: Bool) -> String {
        "\(isInt8 ? "int8" : "float32") \(isFullyConnected ? "fc" : "conv") k\(kernel) \(inputs)>\(outputs) "
            + "at \(inputExtents) s\(geometry.strides) d\(geometry.dilations) as \(choice.text)"
    }
}
