/// Makes one operator of the pieces into which exporters split layer normalisation.
///
/// `(x - m) / sqrt(v + epsilon)`, also times a reciprocal root, then scale and bias one by one (PyTorch, ONNX's function body);
/// and `x * f + (bias - m * f)` with `f = scale / sqrt(v + epsilon)` (TensorFlow's and Keras's).
struct FuseLayerNormalization: Rule {
    /// `1 / sqrt(variance(x) + epsilon)`, or the root itself.
    private struct Deviation {
        var x: ValueID
        var axes: Int
        var epsilon: Float
        /// `x - mean`.
        var centred: ValueID
        var mean: ValueID
        /// How often the variance reads `centred`.
        var reads: Int
        var isReciprocal = false

        func rewrite(_ scale: ValueID?, _ bias: ValueID?, for node: Node) -> Rewrite {
            .node(.layerNormalization(axes: axes, epsilon: epsilon), [x, scale, bias], for: node)
        }
    }

    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard case .binary(let op, .none) = node.op, let y = sweep.output(node), y.dtype == .float32 else { return nil }
        switch op {
        case .divide: return normal(node, root: 1, in: sweep)
        case .multiply:
            return normal(node, root: 1, in: sweep) ?? normal(node, root: 0, in: sweep)
                ?? parameter(node, isScale: true, in: &sweep)
        case .add: return shifted(node, in: &sweep) ?? parameter(node, isScale: false, in: &sweep)
        case .subtract: return shifted(node, in: &sweep)
        default: return nil
        }
    }

    /// The centred numbers by the root of their variance.
    private func normal(_ node: Node, root: Int, in sweep: Sweep) -> Rewrite? {
        guard let deviation = deviation(node, root, in: sweep), deviation.isReciprocal == !node.isDivision,
            node.inputs[1 - root] == deviation.centred, sweep.readers(of: deviation.centred) == deviation.reads + 1,
            sweep.readers(of: deviation.mean) == 1
        else { return nil }
        return deviation.rewrite(nil, nil, for: node)
    }

    /// Matches input `index` of `node`, which nothing else reads.
    private func deviation(_ node: Node, _ index: Int, in sweep: Sweep, readers: Int = 1) -> Deviation? {
        guard let id = node.inputs[index], sweep.readers(of: id) == readers, let top = sweep.producer(node, index)
        else { return nil }
        if top.isDivision {
            guard sweep.number(top, 0) == 1, var found = deviation(top, 1, in: sweep), !found.isReciprocal else {
                return nil
            }
            found.isReciprocal = true
            return found
        }
        guard case .unary(.sqrt) = top.op, let sum = sweep.soleProducer(top, 0), case .binary(.add, .none) = sum.op
        else { return nil }
        for place in 0...1 {
            guard let epsilon = sweep.number(sum, 1 - place), let variance = sweep.soleProducer(sum, place) else {
                continue
            }
            return self.variance(variance, epsilon, in: sweep)
        }
        return nil
    }

    private func variance(_ node: Node, _ epsilon: Float, in sweep: Sweep) -> Deviation? {
        guard let (axes, squares) = lastAxes(node, in: sweep), let square = sweep.soleProducer(node, 0),
            squares.isStatic(last: axes), let centred = square.inputs[0], let difference = sweep.producer(square, 0),
            case .binary(.subtract, .none) = difference.op, let x = difference.inputs[0],
            let mean = difference.inputs[1], let average = sweep.producer(difference, 1), average.inputs[0] == x,
            let (same, _) = lastAxes(average, in: sweep), same == axes
        else { return nil }
        let reads: Int
        switch square.op {
        case .binary(.multiply, .none) where square.inputs[1] == centred: reads = 2
        case .binary(.power, .none) where sweep.number(square, 1) == 2: reads = 1
        default: return nil
        }
        return Deviation(x: x, axes: axes, epsilon: epsilon, centred: centred, mean: mean, reads: reads)
    }

    /// How many of the last axes `node` takes the mean of, keeping them; and the shape of its input.
    private func lastAxes(_ node: Node, in sweep: Sweep) -> (Int, Shape)? {
        guard case .reduce(.mean, let axes, true) = node.op, let shape = sweep.input(node, 0)?.shape else { return nil }
        let reduced = Set(axes.compactMap { shape.normalized(axis: $0) })
        guard !reduced.isEmpty, reduced == Set(shape.rank - reduced.count..<shape.rank) else { return nil }
        return (reduced.count, shape)
    }

    // MARK: Scale and bias

    /// Scale or bias of a normalisation that has none yet.
    private func parameter(_ node: Node, isScale: Bool, in sweep: inout Sweep) -> Rewrite? {
        for index in 0...1 {
            guard let before = sweep.soleProducer(node, index), case .layerNormalization(let axes, _) = before.op,
                before.inputs.count == 3, before.inputs[2] == nil, !isScale || before.inputs[1] == nil,
                let x = sweep.input(before, 0), x.dtype == .float32,
                let parameter = parameter(node, 1 - index, Array(x.shape.dims.suffix(axes)), in: &sweep)
            else { continue }
            let inputs = isScale ? [parameter, nil] : [before.inputs[1], parameter]
            return .node(before.op, [before.inputs[0]] + inputs, for: node)
        }
        return nil
    }

    /// Input `index` as a tensor of exactly these extents.
    private func parameter(_ node: Node, _ index: Int, _ extents: [Int], in sweep: inout Sweep) -> ValueID? {
        guard let id = node.inputs[index], let value = sweep.input(node, index), value.dtype == .float32 else {
            return nil
        }
        if value.shape.dims == extents { return id }
        guard let constant = value.constant, value.shape.rank > extents.count,
            value.shape.dims.suffix(extents.count).elementsEqual(extents),
            let reshaped = constant.reshaped(Shape(extents))
        else { return nil }
        return sweep.addConstant(reshaped, name: value.name)
    }

    /// `x * f + (bias - mean * f)`, or without bias `x * f - mean * f`.
    private func shifted(_ node: Node, in sweep: inout Sweep) -> Rewrite? {
        let isSum = node.op == .binary(.add, .none)
        for place in 0...(isSum ? 1 : 0) {
            guard let product = sweep.soleProducer(node, place), product.isProduct,
                var rest = sweep.soleProducer(node, 1 - place)
            else { continue }
            var biased: Node?
            if isSum {
                guard case .binary(.subtract, .none) = rest.op, let inner = sweep.soleProducer(rest, 1) else {
                    continue
                }
                (biased, rest) = (rest, inner)
            }
            guard rest.isProduct else { continue }
            for factor in 0...1 {
                guard let id = product.inputs[factor], let own = rest.inputs.firstIndex(of: id),
                    let (deviation, scaled) = factorOfDeviation(product, factor, in: sweep), deviation.isReciprocal,
                    product.inputs[1 - factor] == deviation.x, rest.inputs[1 - own] == deviation.mean,
                    sweep.readers(of: deviation.centred) == deviation.reads, sweep.readers(of: deviation.mean) == 2,
                    let x = product.inputs[1 - factor].map({ sweep[$0] })
                else { continue }
                let extents = Array(x.shape.dims.suffix(deviation.axes))
                var (scale, bias): (ValueID?, ValueID?)
                if let scaled {
                    guard let found = parameter(scaled.node, scaled.index, extents, in: &sweep) else { continue }
                    scale = found
                }
                if let biased {
                    guard let found = parameter(biased, 0, extents, in: &sweep) else { continue }
                    bias = found
                }
                return deviation.rewrite(scale, bias, for: node)
            }
        }
        return nil
    }

    /// The reciprocal root at input `index`, which two products read, and where its scale stands.
    private func factorOfDeviation(
        _ node: Node, _ index: Int, in sweep: Sweep
    ) -> (Deviation, scale: (node: Node, index: Int)?)? {
        if let found = deviation(node, index, in: sweep, readers: 2) { return (found, nil) }
        guard let id = node.inputs[index], sweep.readers(of: id) == 2, let product = sweep.producer(node, index),
            product.isProduct
        else { return nil }
        for place in 0...1 {
            if let found = deviation(product, place, in: sweep) { return (found, (product, 1 - place)) }
        }
        return nil
    }
}

extension Node {
    var isProduct: Bool { op == .binary(.multiply, .none) }
    var isDivision: Bool { op == .binary(.divide, .none) }
}

extension Shape {
    fileprivate func isStatic(last axes: Int) -> Bool { dims.suffix(axes).allSatisfy { $0 > 0 } }
}

extension Sweep {
    /// The one number of a float32 constant.
    func number(_ node: Node, _ index: Int) -> Float? {
        guard let constant = constant(node, index), constant.count == 1 else { return nil }
        return constant.elements(Float.self)?.first
    }
}
