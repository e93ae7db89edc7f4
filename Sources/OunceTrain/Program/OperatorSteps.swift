import OunceGraph

/// The step, or the few steps, of each operator.
extension ProgramBuilder {
    mutating func addStep(_ node: Node, _ operands: [Slot?], _ output: Slot) throws(TrainError) {
        func operand(_ index: Int) throws(TrainError) -> Slot {
            guard index < operands.count, let slot = operands[index] else {
                throw TrainError(.unsupported, "\(node.name): lacks input \(index)")
            }
            return slot
        }
        func optional(_ index: Int) -> Slot? { index < operands.count ? operands[index] : nil }
        let x = try operand(0)
        guard output.needsGradient || (x.type.dtype == .float32 && output.type.dtype == .float32) else {
            return try addForwardOnly(node, operands, output)
        }
        switch node.op {
        case .conv(let conv) where conv.strides.count <= 2:
            append(
                try ConvolutionStep(
                    name: node.name, x: x, weights: try operand(1), bias: optional(2), output: output, conv: conv,
                    kernels: kernels))
        case .fullyConnected(let activation):
            append(
                FullyConnectedStep(
                    name: node.name, x: x, weights: try operand(1), bias: optional(2), output: output,
                    activation: activation, kernels: kernels))
        case .matMul where x.shape.rank >= 2:
            let b = try operand(1)
            guard b.shape.rank >= 2 else { throw unsupported(node) }
            append(MatMulStep(name: node.name, a: x, b: b, output: output, kernels: kernels))
        case .pool(let pool) where pool.kernel.count <= 2:
            append(PoolStep(name: node.name, x: x, output: output, pool: pool, kernels: kernels))
        case .reduce(let reduction, let axes, _): try addReduce(node, reduction, axes, x, output)
        case .binary(let op, let activation) where op.isArithmetic:
            append(
                BinaryStep(
                    name: node.name, op: op, a: x, b: try operand(1), output: output, activation: activation,
                    kernels: kernels))
        case .binary(.power, .none): try addPower(node, x, try operand(1), output)
        case .unary(.function(.sign)):
            let estimator = node.outputs.first.flatMap { options.signs[$0] } ?? SignEstimator()
            guard [1, output.shape.dims.last].contains(estimator.widths.count) else { throw unsupported(node) }
            append(SignStep(name: node.name, x: x, output: output, estimator: estimator))
        case .unary(.function(let function)):
            append(FunctionStep(name: node.name, function: function, x: x, output: output))
        case .unary(let op):
            guard let step = UnaryStep(name: node.name, op: op, x: x, output: output, kernels: kernels) else {
                throw unsupported(node)
            }
            append(step)
        case .softmax(let axis): try addSoftmax(node, axis, x, output)
        case .batchNormalization(let axis, let epsilon):
            try addBatchNormalization(node, operands, axis: axis, epsilon: epsilon, output)
        case .layerNormalization(let axes, let epsilon):
            func optional(_ index: Int) -> Slot? { index < operands.count ? operands[index] : nil }
            append(
                LayerNormalizationStep(
                    name: node.name, x: x, scale: optional(1), bias: optional(2), axes: axes, epsilon: epsilon,
                    output: output))
        case .reshape: append(MovementStep(name: node.name, copying: x, to: output))
        case .cast where x.type.dtype == output.type.dtype:
            append(MovementStep(name: node.name, copying: x, to: output))
        case .transpose, .concat, .slice, .pad, .expand, .reverse: try addMovement(node, operands, output)
        case .gather(let gathering):
            if node.inputs.count > 1, let id = node.inputs[1], graph[id].constant != nil {
                try addMovement(node, operands, output)
            } else if case .slices(let axis) = gathering, [.int32, .int64].contains(try operand(1).type.dtype) {
                append(GatherStep(name: node.name, axis: axis, data: x, indices: try operand(1), output: output))
            } else {
                try addForwardOnly(node, operands, output)
            }
        case .select:
            let condition = try operand(0)
            guard condition.shape == output.shape else { throw unsupported(node) }
            let a = try expanded(try operand(1), to: output.shape, name: node.name)
            let b = try expanded(try operand(2), to: output.shape, name: node.name)
            append(SelectStep(name: node.name, condition: condition, a: a, b: b, output: output))
        case .resample(let axis): try addResample(node, axis, x, output)
        case .recurrent(let layer):
            append(
                try RecurrentStep(
                    name: node.name, layer: layer, operands: operands, output: output, kernels: kernels))
        default: try addForwardOnly(node, operands, output)
        }
    }

    private func unsupported(_ node: Node) -> TrainError {
        TrainError(
            .unsupported,
            "\(node.name): \(node.op.name) has no gradient here; freeze the layers before it or leave fine_tune out")
    }

    /// What no trained parameter reaches needs no gradient.
    private mutating func addForwardOnly(_ node: Node, _ operands: [Slot?], _ output: Slot) throws(TrainError) {
        guard !output.needsGradient,
            let loop = GenericOperator(node.op, inputs: operands.map { $0?.type }, output: output.type)
        else { throw unsupported(node) }
        append(GenericStep(name: node.name, loop: loop, operands: operands, output: output))
    }

    private mutating func addMovement(_ node: Node, _ operands: [Slot?], _ output: Slot) throws(TrainError) {
        var described: [(type: TensorType, constant: Tensor?)] = []
        var moved: [Slot] = []
        for (index, slot) in operands.enumerated() {
            guard let slot else { throw unsupported(node) }
            // Constant floats move as parameters may; constant indices say where.
            if slot.type.dtype == .float32 {
                described.append((slot.type, nil))
                moved.append(slot)
            } else {
                described.append((slot.type, node.inputs[index].flatMap { graph[$0].constant }))
            }
        }
        guard
            let step = MovementStep(name: node.name, op: node.op, operands: described, moved: moved, output: output)
        else { throw unsupported(node) }
        append(step)
    }

    private mutating func addSoftmax(_ node: Node, _ axis: Int, _ x: Slot, _ output: Slot) throws(TrainError) {
        let last = x.shape.rank - 1
        guard axis != last else {
            return append(SoftmaxStep(name: node.name, x: x, output: output, kernels: kernels))
        }
        var permutation = Array(0...last)
        permutation.swapAt(axis, last)
        let turned = try transposed(x, permutation, name: node.name)
        let result = result(node.name, turned.type, from: [turned])
        append(SoftmaxStep(name: node.name, x: turned, output: result, kernels: kernels))
        try addTransposition(of: result, permutation, to: output, name: node.name)
    }

    private mutating func addTransposition(
        of x: Slot, _ permutation: [Int], to output: Slot, name: String
    ) throws(TrainError) {
        guard
            let step = MovementStep(
                name: name, op: .transpose(permutation), operands: [(x.type, nil)], moved: [x], output: output)
        else { throw TrainError(.unsupported, "\(name): its axes cannot be moved") }
        append(step)
    }

    private mutating func addReduce(
        _ node: Node, _ reduction: Reduction, _ axes: [Int], _ x: Slot, _ output: Slot
    ) throws(TrainError) {
        let reduced = axes.isEmpty ? Array(x.shape.dims.indices) : axes.sorted()
        var source = x
        var first = reduced.first ?? 0
        if reduced != Array(first..<first + reduced.count) {
            let kept = x.shape.dims.indices.filter { !reduced.contains($0) }
            source = try transposed(x, kept + reduced, name: node.name)
            first = kept.count
        }
        let extents = source.shape.dims
        append(
            ReduceStep(
                name: node.name, reduction: reduction, outer: extents[..<first].reduce(1, *),
                reduced: extents[first..<first + reduced.count].reduce(1, *), x: source, output: output,
                kernels: kernels))
    }

    /// `x^p` for constant p: by products, roots and quotients.
    private mutating func addPower(_ node: Node, _ x: Slot, _ exponent: Slot, _ output: Slot) throws(TrainError) {
        guard node.inputs.count > 1, let constant = node.inputs[1].flatMap({ graph[$0].constant }), constant.count == 1
        else { throw unsupported(node) }
        switch constant.floats().first {
        case 1: append(MovementStep(name: node.name, copying: x, to: output))
        case 2:
            append(
                BinaryStep(
                    name: node.name, op: .multiply, a: x, b: x, output: output, activation: .none, kernels: kernels))
        case 3:
            let square = result(node.name, output.type, from: [x])
            append(
                BinaryStep(
                    name: node.name, op: .multiply, a: x, b: x, output: square, activation: .none, kernels: kernels))
            append(
                BinaryStep(
                    name: node.name, op: .multiply, a: square, b: x, output: output, activation: .none,
                    kernels: kernels))
        case 0.5:
            guard let step = UnaryStep(name: node.name, op: .sqrt, x: x, output: output, kernels: kernels) else {
                throw unsupported(node)
            }
            append(step)
        default: throw unsupported(node)
        }
    }

    private mutating func addBatchNormalization(
        _ node: Node, _ operands: [Slot?], axis: Int, epsilon: Float, _ output: Slot
    ) throws(TrainError) {
        let given = operands.compactMap { $0 }
        guard given.count == 5 else { throw unsupported(node) }
        let last = given[0].shape.rank - 1
        var (x, y) = (given[0], output)
        var permutation = Array(0...last)
        if axis != last {
            permutation.swapAt(axis, last)
            x = try transposed(x, permutation, name: node.name)
            y = result(node.name, x.type, from: given)
        }
        append(
            BatchNormalizationStep(
                name: node.name, x: x, scale: given[1], bias: given[2], mean: given[3], variance: given[4],
                epsilon: epsilon, mode: options.batchNormalization, output: y, kernels: kernels))
        if axis != last { try addTransposition(of: y, permutation, to: output, name: node.name) }
    }

    private mutating func addResample(_ node: Node, _ axis: Int, _ x: Slot, _ output: Slot) throws(TrainError) {
        guard node.inputs.count == 3, let places = node.inputs[1].flatMap({ graph[$0].constant?.integers() }),
            let weights = node.inputs[2].flatMap({ graph[$0].constant?.floats() }), places.count == weights.count,
            places.allSatisfy({ (0..<x.shape[axis]).contains($0) })
        else { throw unsupported(node) }
        append(
            ResampleStep(name: node.name, axis: axis, x: x, places: places, weights: weights, output: output))
    }
}
