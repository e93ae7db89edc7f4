import Glibc
import OunceGraph

/// The factors of a layer: the numbers of the layers that stand for it.
///
/// Values between factors have about the same variance in every channel, so that one int8 grid fits them all, and no mean
/// where padding allows it. The last bias keeps the means of the outputs as they were.
struct LayerFactors {
    struct Factor {
        let suffix: String
        let convolution: Convolution
        /// `[outputs, kernel..., inputs]`
        let shape: Shape
        let weights: [Double]
        let bias: [Double]?
    }
    let factors: [Factor]

    init(_ decomposition: LayerDecomposition, _ form: Factorization.Form) {
        let layer = decomposition.layer
        switch form {
        case .svd(let rank): factors = Self.balanced(Self.svd(layer, decomposition, rank))
        case .tucker2(let inputs, let outputs):
            factors = Self.balanced(Self.tucker2(layer, decomposition, inputs, outputs))
        case .spatial(let rank): factors = Self.balanced(Self.spatial(layer, decomposition, rank))
        }
    }

    /// The same product with weights of one size in all factors, which training wants: nothing but scales lies between them.
    private static func balanced(_ factors: [Factor]) -> [Factor] {
        let sizes = factors.map { factor in
            (factor.weights.reduce(0) { $0 + $1 * $1 } / Double(max(factor.weights.count, 1))).squareRoot()
        }
        guard sizes.allSatisfy({ $0 > 0 && $0.isFinite }) else { return factors }
        let wanted = exp(sizes.reduce(0) { $0 + log($1) } / Double(sizes.count))
        var scale = 1.0
        return zip(factors, sizes).map { factor, size in
            let own = wanted / size
            scale *= own
            // The bias of the last factor, behind which all scales have met, stays.
            return Factor(
                suffix: factor.suffix, convolution: factor.convolution, shape: factor.shape,
                weights: factor.weights.map { $0 * own }, bias: factor.bias.map { bias in bias.map { $0 * scale } })
        }
    }

    /// `W = R⁻¹ U · (Uᵀ R W)` with the first left singular vectors of `R W L`: of all matrices of this rank the one with the
    /// least squared error of the outputs weighted by `R`.
    private static func svd(_ layer: LowRankLayer, _ all: LayerDecomposition, _ rank: Int) -> [Factor] {
        guard let values = all.byOutput else { return [] }
        let u = values.left.prefix(columns: rank)
        let scales = (0..<u.columns).map { max(values.values[$0], .leastNormalMagnitude) }
        var w = Matrix(rows: layer.outputs, columns: layer.inputs)
        w.elements = layer.weights
        let projected = u.transposed * layer.weighted(w)
        let back = layer.unweighted(u)
        let first = Matrix(rows: u.columns, columns: layer.inputs) { projected[$0, $1] / scales[$0] }
        let last = Matrix(rows: layer.outputs, columns: u.columns) { back[$0, $1] * scales[$1] }
        let before = (0..<first.rows).map { row in
            -(0..<layer.inputs).reduce(0) { $0 + first[row, $1] * layer.means[$1] }
        }
        let after = (0..<layer.outputs).map { row in
            (0..<layer.inputs).reduce(layer.bias?[row] ?? 0) { $0 + w[row, $1] * layer.means[$1] }
        }
        let rank = first.rows
        let kernel = layer.kernel.map { _ in 1 }
        var plain = layer.geometry
        plain.strides = kernel
        plain.dilations = kernel
        plain.activation = layer.geometry.activation
        var strided = layer.geometry
        strided.activation = .none
        return [
            Factor(
                suffix: "in", convolution: strided, shape: Shape([rank] + kernel + [layer.inputs]),
                weights: first.elements, bias: before),
            Factor(
                suffix: "out", convolution: plain, shape: Shape([layer.outputs] + kernel + [rank]),
                weights: last.elements, bias: after),
        ]
    }

    private static func tucker2(
        _ layer: LowRankLayer, _ all: LayerDecomposition, _ inputs: Int, _ outputs: Int
    ) -> [Factor] {
        guard let byInput = all.byInput else { return [] }
        let v = byInput.right.prefix(columns: inputs)
        let first = layer.unwhitened(v.transposed)
        let core = layer.weighted(LayerDecomposition.reshaped(layer.whitenedByInput * v, rows: layer.outputs))
        let values = SingularValues(core)
        let u = values.left.prefix(columns: outputs)
        let scales = (0..<u.columns).map { max(values.values[$0], .leastNormalMagnitude) }
        let projected = u.transposed * core
        let middle = Matrix(rows: u.columns, columns: core.columns) { projected[$0, $1] / scales[$0] }
        let back = layer.unweighted(u)
        let last = Matrix(rows: layer.outputs, columns: u.columns) { back[$0, $1] * scales[$1] }
        let whole = LayerDecomposition.reshaped(last * middle, rows: layer.outputs * layer.places) * first
        let ones = layer.kernel.map { _ in 1 }
        let zeros = layer.kernel.map { _ in 0 }
        func pointwise(_ activation: Activation) -> Convolution {
            Convolution(strides: ones, dilations: ones, padBefore: zeros, padAfter: zeros, activation: activation)
        }
        var inner = layer.geometry
        inner.activation = .none
        return [
            Factor(
                suffix: "in", convolution: pointwise(.none), shape: Shape([v.columns] + ones + [layer.inputs]),
                weights: first.elements, bias: nil),
            Factor(
                suffix: "core", convolution: inner, shape: Shape([u.columns] + layer.kernel + [v.columns]),
                weights: middle.elements, bias: nil),
            Factor(
                suffix: "out", convolution: pointwise(layer.geometry.activation),
                shape: Shape([layer.outputs] + ones + [u.columns]), weights: last.elements,
                bias: corrected(layer, whole)),
        ]
    }

    private static func spatial(_ layer: LowRankLayer, _ all: LayerDecomposition, _ rank: Int) -> [Factor] {
        guard let values = all.bySpace else { return [] }
        let rank = min(rank, values.values.count)
        let (height, width) = (layer.kernel[0], layer.kernel[1])
        let (inputs, outputs) = (layer.inputs, layer.outputs)
        // [rank * height, inputs]
        let first = layer.unwhitened(
            Matrix(rows: rank * height, columns: inputs) { row, i in
                values.left[(row % height) * inputs + i, row / height]
            })
        // [outputs, width, rank]
        let last = Matrix(rows: outputs * width, columns: rank) { values.right[$0, $1] * values.values[$1] }
        var whole = Matrix(rows: outputs * height * width, columns: inputs)
        for o in 0..<outputs {
            for w in 0..<width {
                for r in 0..<rank {
                    let factor = last[o * width + w, r]
                    for h in 0..<height {
                        let row = (o * height + h) * width + w
                        for i in 0..<inputs { whole[row, i] += factor * first[r * height + h, i] }
                    }
                }
            }
        }
        let g = layer.geometry
        let down = Convolution(
            strides: [g.strides[0], 1], dilations: [g.dilations[0], 1], padBefore: [g.padBefore[0], 0],
            padAfter: [g.padAfter[0], 0])
        let across = Convolution(
            strides: [1, g.strides[1]], dilations: [1, g.dilations[1]], padBefore: [0, g.padBefore[1]],
            padAfter: [0, g.padAfter[1]], activation: g.activation)
        return [
            Factor(
                suffix: "in", convolution: down, shape: Shape([rank, height, 1, inputs]), weights: first.elements,
                bias: nil),
            Factor(
                suffix: "out", convolution: across, shape: Shape([outputs, 1, width, rank]), weights: last.elements,
                bias: corrected(layer, whole)),
        ]
    }

    /// The bias with what the other weights take from the mean of each output; places at the edge count as all others.
    private static func corrected(_ layer: LowRankLayer, _ whole: Matrix) -> [Double]? {
        let correction = (0..<layer.outputs).map { output -> Double in
            let from = output * layer.places * layer.inputs
            return (from..<from + layer.places * layer.inputs).reduce(0) {
                $0 + (layer.weights[$1] - whole.elements[$1]) * layer.means[$1 % layer.inputs]
            }
        }
        guard let bias = layer.bias else { return correction.allSatisfy { $0 == 0 } ? nil : correction }
        return zip(bias, correction).map { $0 + $1 }
    }
}

extension LayerFactors {
    /// The nodes that stand for the layer, their constants and values added by `add`.
    ///
    /// - Parameter value: what a value of the graph is.
    /// - Throws: `GraphError` where a factor's numbers leave the range of Float.
    func nodes(
        for layer: LowRankLayer, in graph: Graph, input: ValueID, add: (Value) -> ValueID
    ) throws(GraphError) -> [Node] {
        var nodes: [Node] = []
        var (x, type) = (input, graph[input].type)
        for (place, factor) in factors.enumerated() {
            let isLast = place == factors.count - 1
            let name = isLast ? layer.node.name : "\(layer.node.name)/\(factor.suffix)"
            var inputs: [Value?] = [Value(name: name, type: type)]
            var ids: [ValueID?] = [x]
            for (label, numbers, shape) in [
                ("weights", factor.weights, factor.shape), ("bias", factor.bias ?? [], Shape([factor.shape[0]])),
            ] where !numbers.isEmpty {
                let floats = numbers.map { Float($0) }
                guard floats.allSatisfy(\.isFinite), let tensor = Tensor(floats, shape: shape) else {
                    throw GraphError(.limit, at: name, "the factors of the layer do not fit float32")
                }
                let value = Value(
                    name: "\(layer.node.name)/\(factor.suffix)/\(label)", type: TensorType(.float32, shape),
                    constant: tensor)
                inputs.append(value)
                ids.append(add(value))
            }
            let op: Op =
                layer.isFullyConnected
                ? .fullyConnected(factor.convolution.activation) : .conv(factor.convolution)
            type = try graph.inferType(of: op, inputs: inputs, node: name, encoding: .plain)
            let output = isLast ? layer.node.outputs[0] : add(Value(name: name, type: type))
            nodes.append(Node(name: name, op: op, inputs: ids, outputs: [output]))
            x = output
        }
        return nodes
    }
}
