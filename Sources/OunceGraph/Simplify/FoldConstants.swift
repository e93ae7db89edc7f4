/// Computes nodes all of whose inputs are constants, as far as that is exact and does not take much memory.
struct FoldConstants: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard !node.inputs.isEmpty, let output = sweep.output(node) else { return nil }
        var values: [Value] = []
        var constants: [Tensor] = []
        for id in node.inputs {
            guard let id, let constant = sweep[id].constant else { return nil }
            values.append(sweep[id])
            constants.append(constant)
        }
        if case .quantize = node.op, let affine = output.encoding.affine {
            guard constants[0].byteCount <= sweep.budget,
                let quantized = ConstantArithmetic.quantize(constants[0], affine)
            else { return nil }
            return .value(sweep.addConstant(quantized, name: output.name, encoding: output.encoding))
        }
        guard values.allSatisfy({ $0.encoding == output.encoding && $0.encoding.affine?.axis == nil }) else {
            return nil
        }
        let type = try sweep.graph.inferType(
            of: node.op, inputs: values, node: node.name, encoding: output.encoding)
        guard let count = type.shape.elementCount, count * type.dtype.byteSize <= sweep.budget else { return nil }
        guard let folded = evaluate(node.op, constants, type, isPlain: output.encoding == .plain) else { return nil }
        return .value(sweep.addConstant(folded, name: output.name, encoding: output.encoding))
    }

    private func evaluate(_ op: Op, _ inputs: [Tensor], _ type: TensorType, isPlain: Bool) -> Tensor? {
        let x = inputs[0]
        switch op {
        case .reshape: return x.reshaped(type.shape)
        case .transpose(let permutation): return x.transposed(permutation)
        case .slice(let ranges): return x.sliced(ranges, shape: type.shape)
        case .concat(let axis):
            return type.shape.normalized(axis: axis).flatMap { Tensor.concatenated(inputs, axis: $0, type: type) }
        case .pad(let before, let after, 0) where isPlain && (before + after).allSatisfy { $0 >= 0 }:
            return x.zeroPadded(before: before, shape: type.shape)
        case .cast(let dtype) where isPlain: return ConstantArithmetic.cast(x, to: dtype)
        case .unary(let unary) where isPlain: return ConstantArithmetic.unary(unary, x)
        case .binary(let binary, let activation) where isPlain && inputs.count == 2:
            guard let a = x.broadcast(to: type.shape), let b = inputs[1].broadcast(to: type.shape) else { return nil }
            return ConstantArithmetic.binary(binary, activation, a, b)
        case .compare, .select, .expand, .reverse, .reverseSequence, .gather, .scatter, .argReduce, .topK:
            guard isPlain else { return nil }
            let types = inputs.map { TensorType($0.dtype, $0.shape) }
            return GenericOperator(op, inputs: types, output: type)?.evaluate(inputs)
        default: return nil
        }
    }
}
