import COunceKernels
import OunceGraph

extension Lowering {
    // MARK: Unary operators

    mutating func lowerUnary(_ node: Node, _ op: UnaryOperator) throws(RuntimeError) {
        let x = try input(node, 0)
        let (code, alpha, beta) = Self.unaryParameters(op)
        let source = try operand(x)
        switch graph[x].dtype {
        case .float32:
            let parameters = ounce_unary_params(
                op: Int32(code.rawValue), count: Int64(elementCount(x)), alpha: alpha, beta: beta)
            let output = outputOf(node)
            emit(
                OUNCE_UNARY_F32, parameters, inputs: [source], output: output, cost: elementCount(x),
                node: node.name)
        case .int8:
            let (from, to) = (try grid(graph[x]), try grid(graph[node.outputs[0]]))
            let output = outputOf(node)
            try emitTable(from: from, to: to, source: source, output: output, count: elementCount(x), node: node.name) {
                if case .function(let function) = op, function.kernel == nil { return function.apply($0) }
                return ounce_unary(Int32(code.rawValue), alpha, beta, $0)
            }
        default: throw RuntimeError(.unsupported, "this operator on \(graph[x].dtype) values")
        }
    }

    private static func unaryParameters(_ op: UnaryOperator) -> (ounce_unary_op, Float, Float) {
        switch op {
        case .clip(let low, let high): (OUNCE_CLIP, low, high)
        case .leakyRelu(let slope): (OUNCE_LEAKY_RELU, slope, 0)
        case .sigmoid: (OUNCE_SIGMOID, 0, 0)
        case .tanh: (OUNCE_TANH, 0, 0)
        case .exp: (OUNCE_EXP, 0, 0)
        case .log: (OUNCE_LOG, 0, 0)
        case .sqrt: (OUNCE_SQRT, 0, 0)
        case .negate: (OUNCE_NEGATE, 0, 0)
        case .abs: (OUNCE_ABS, 0, 0)
        case .hardSwish: (OUNCE_HARD_SWISH, 0, 0)
        case .hardSigmoid(let alpha, let beta): (OUNCE_HARD_SIGMOID, alpha, beta)
        // Others are never a kernel's.
        case .function(let function): (function.kernel ?? OUNCE_CLIP, 0, 0)
        }
    }

    /// An int8 -> int8 function as a table: `quantise(function(dequantise(q)))`.
    mutating func emitTable(
        from: AffineQuantization, to: AffineQuantization, source: Operand, output: Int, count: Int, node: String,
        _ function: (Float) -> Float
    ) throws(RuntimeError) {
        guard from.isPerTensor, to.isPerTensor else {
            throw RuntimeError(.unsupported, "activations quantised for each channel")
        }
        var parameters = ounce_lut_params()
        parameters.count = Int64(count)
        withUnsafeMutableBytes(of: &parameters.table) { table in
            for q in Int32(-128)...127 {
                let real = Float(q - from.zeroPoint) * from.scale
                let result = Self.quantize(function(real), to)
                table[Int(UInt8(truncatingIfNeeded: q))] = UInt8(bitPattern: result)
            }
        }
        emit(OUNCE_LUT_S8, parameters, inputs: [source], output: output, cost: count, node: node)
    }

    /// The rule of the quantise kernel: NaN gives the zero point.
    static func quantize(_ real: Float, _ grid: AffineQuantization) -> Int8 {
        let zero = Float(grid.zeroPoint)
        let scaled = real / grid.scale
        if scaled.isNaN { return Int8(clamping: grid.zeroPoint) }
        let clamped = max(-128 - zero, min(127 - zero, scaled))
        return Int8(clamping: Int32(clamped.rounded(.toNearestOrEven)) + grid.zeroPoint)
    }

    // MARK: Binary operators

    mutating func lowerBinary(_ node: Node, _ op: BinaryOperator, _ activation: Activation) throws(RuntimeError) {
        let (a, b) = (try input(node, 0), try input(node, 1))
        let output = node.outputs[0]
        switch graph[a].dtype {
        case .float32:
            let index = outputOf(node)
            try emitBinary(
                op, activation, [(try operand(a), graph[a].shape), (try operand(b), graph[b].shape)],
                shape: graph[output].shape, output: index, node: node.name)
        case .int8 where isQuantized(a):
            guard isQuantized(b) else {
                throw RuntimeError(.unsupported, "this operator on int8 values without scales")
            }
            if keepsIntegers(node) {
                try alias(output, to: a)
            } else if op == .add || op == .subtract, graph[a].shape == graph[b].shape {
                let parameters = try additionParameters(node, subtract: op == .subtract, activation)
                let operands = [try operand(a), try operand(b)]
                emit(
                    OUNCE_ADD_S8, parameters, inputs: operands, output: outputOf(node), cost: elementCount(output),
                    node: node.name)
            } else {
                // Without an int8 kernel: dequantise, float, quantise.
                let left = try dequantized(a, node: node.name)
                let right = try dequantized(b, node: node.name)
                let float = newBuffer(byteCount: elementCount(output) * 4)
                try emitBinary(
                    op, activation, [(left, graph[a].shape), (right, graph[b].shape)], shape: graph[output].shape,
                    output: float, node: node.name)
                try emitQuantize(.buffer(float), node)
            }
        default: try lowerGeneric(node)
        }
    }

    /// A product with a number, or a quotient, whose grid is the first operand's times that number: rounding gives back the
    /// integers that it is made of.
    func keepsIntegers(_ node: Node) -> Bool {
        guard case .binary(let op, .none) = node.op, op == .multiply || op == .divide, node.inputs.count > 1,
            let a = node.inputs[0], let b = node.inputs[1], isQuantized(a), isQuantized(node.outputs[0]),
            let x = graph[a].encoding.affine, let y = graph[node.outputs[0]].encoding.affine,
            let number = graph[b].encoding.affine, [x, y, number].allSatisfy(\.isPerTensor),
            x.zeroPoint == y.zeroPoint, let stored = graph[b].constant?.elements(Int8.self), stored.count == 1,
            graph[a].shape == graph[node.outputs[0]].shape
        else { return false }
        let real = Float(Int32(stored[0]) - number.zeroPoint) * number.scale
        return (0x1p-20...0x1p20).contains(real) && (0x1p-60...0x1p60).contains(x.scale)
            && y.scale == x.scale * (op == .multiply ? real : 1 / real)
    }

    private mutating func emitBinary(
        _ op: BinaryOperator, _ activation: Activation, _ operands: [(Operand, Shape)], shape: Shape, output: Int,
        node: String
    ) throws(RuntimeError) {
        var parameters = ounce_binary_params()
        parameters.op = Int32(op.rawValue)
        (parameters.min, parameters.max) = activation.bounds
        let strides = operands.map { Self.broadcastStrides($0.1, to: shape) }
        let (extent, merged) = Self.mergedBroadcast(shape.dims, strides)
        parameters.rank = Int32(extent.count)
        withUnsafeMutableBytes(of: &parameters.extent) { Self.store(extent, in: $0) }
        withUnsafeMutableBytes(of: &parameters.stride.0) { Self.store(merged[0], in: $0) }
        withUnsafeMutableBytes(of: &parameters.stride.1) { Self.store(merged[1], in: $0) }
        emit(
            OUNCE_BINARY_F32, parameters, inputs: operands.map(\.0), output: output,
            cost: shape.elementCount ?? 0, node: node)
    }

    /// Strides that read `shape` as if it were `target`: 0 along broadcast axes.
    static func broadcastStrides(_ shape: Shape, to target: Shape) -> [Int] {
        let missing = target.rank - shape.rank
        return target.dims.indices.map { axis in
            guard axis >= missing, shape[axis - missing] != 1 else { return 0 }
            return shape.strides[axis - missing]
        }
    }

    /// Joins neighbouring axes that every operand walks through in one stride; drops extents of 1.
    static func mergedBroadcast(_ dims: [Int], _ strides: [[Int]]) -> ([Int], [[Int]]) {
        var extent: [Int] = []
        var merged = strides.map { _ in [Int]() }
        for axis in dims.indices where dims[axis] != 1 {
            if let last = extent.indices.last,
                strides.indices.allSatisfy({ merged[$0][last] == strides[$0][axis] * dims[axis] })
            {
                extent[last] *= dims[axis]
                for operand in strides.indices { merged[operand][last] = strides[operand][axis] }
            } else {
                extent.append(dims[axis])
                for operand in strides.indices { merged[operand].append(strides[operand][axis]) }
            }
        }
        return extent.isEmpty ? ([1], strides.map { _ in [1] }) : (extent, merged)
    }

    /// Of an addition of int8 values of one shape.
    func additionParameters(
        _ node: Node, subtract: Bool, _ activation: Activation
    ) throws(RuntimeError) -> ounce_add_s8_params {
        let (a, b, output) = (try input(node, 0), try input(node, 1), node.outputs[0])
        let (left, right, result) = (try grid(graph[a]), try grid(graph[b]), try grid(graph[output]))
        var parameters = ounce_add_s8_params()
        parameters.count = Int64(elementCount(output))
        parameters.out_zero = result.zeroPoint
        (parameters.out_min, parameters.out_max) = Self.quantizedBounds(activation, result)
        let first = try factor(Double(left.scale) / Double(result.scale))
        let second = try factor(Double(right.scale) / Double(result.scale))
        // Beyond 2^19 any difference of one step saturates.
        let scales = [first, second].map { min($0, 0x1p19) }
        let exponent = scales.map { $0 > 0 ? Int($0.exponent) : -10 }.max() ?? 0
        let shift = min(max(20 - exponent, 1), 30)
        let multipliers = scales.map { Int32(($0 * Float(1 << shift)).rounded(.toNearestOrEven)) }
        parameters.shift = Int32(shift)
        parameters.multiplier = (multipliers[0], subtract ? -multipliers[1] : multipliers[1])
        parameters.bias =
            1 << Int32(shift - 1) - parameters.multiplier.0 * left.zeroPoint - parameters.multiplier.1 * right.zeroPoint
        return parameters
    }

    // MARK: Between int8 and float

    mutating func lowerQuantize(_ node: Node) throws(RuntimeError) {
        let x = try input(node, 0)
        let output = node.outputs[0]
        if graph[x].dtype == .int8, let from = graph[x].encoding.affine, let to = graph[output].encoding.affine {
            let source = try operand(x)
            let index = outputOf(node)
            try emitTable(from: from, to: to, source: source, output: index, count: elementCount(x), node: node.name) {
                $0
            }
            return
        }
        guard graph[x].dtype == .float32 else {
            throw RuntimeError(.unsupported, "quantisation of \(graph[x].dtype) values")
        }
        if let producer = putOffTransposes[x], case .transpose(let permutation) = producer.op {
            let original = try input(producer, 0)
            let (parameters, owned) = try gridParameters(graph[output])
            let quantized = newBuffer(byteCount: elementCount(x))
            emit(
                OUNCE_QUANTIZE, parameters, owning: owned, inputs: [try operand(original)], output: quantized,
                cost: elementCount(x), node: node.name)
            try emitTranspose(node, graph[original].shape, permutation, source: .buffer(quantized))
            return
        }
        try emitQuantize(try operand(x), node)
    }

    mutating func lowerDequantize(_ node: Node) throws(RuntimeError) {
        let x = try input(node, 0)
        guard graph[x].dtype == .int8 else { return try emitGridLoop(node) }
        let (parameters, owned) = try gridParameters(graph[x])
        let source = try operand(x)
        let index = outputOf(node)
        emit(
            OUNCE_DEQUANTIZE, parameters, owning: owned, inputs: [source], output: index, cost: elementCount(x),
            node: node.name)
    }

    /// The float numbers of an int8 value in a buffer of their own.
    func isQuantized(_ id: ValueID) -> Bool { graph[id].dtype == .int8 && graph[id].encoding.affine != nil }

    mutating func dequantized(_ id: ValueID, node: String) throws(RuntimeError) -> Operand {
        guard isQuantized(id) else { return try operand(id) }
        let (parameters, owned) = try gridParameters(graph[id])
        let index = newBuffer(byteCount: elementCount(id) * 4)
        emit(
            OUNCE_DEQUANTIZE, parameters, owning: owned, inputs: [try operand(id)], output: index,
            cost: elementCount(id), node: node)
        return .buffer(index)
    }

    /// Float numbers onto the grid of the node's output.
    mutating func emitQuantize(_ source: Operand, _ node: Node) throws(RuntimeError) {
        let (parameters, owned) = try gridParameters(graph[node.outputs[0]])
        let index = outputOf(node)
        emit(
            OUNCE_QUANTIZE, parameters, owning: owned, inputs: [source], output: index,
            cost: elementCount(node.outputs[0]), node: node.name)
    }

    private func gridParameters(_ value: Value) throws(RuntimeError) -> (ounce_quantize_params, [Tensor]) {
        guard let affine = value.encoding.affine, affine.axis == nil || affine.axis == value.shape.rank - 1 else {
            throw RuntimeError(.unsupported, "a grid that is neither for the whole tensor nor along its last axis")
        }
        let scales = Tensor(affine.scales)
        let zeros = Tensor(affine.zeroPoints)
        let parameters = ounce_quantize_params(
            count: Int64(value.shape.elementCount ?? 0), channels: Int32(clamping: affine.scales.count),
            scales: scales.bytes.baseAddress?.assumingMemoryBound(to: Float.self),
            zeros: zeros.bytes.baseAddress?.assumingMemoryBound(to: Int32.self))
        return (parameters, [scales, zeros])
    }
}

extension ElementFunction {
    /// The operator of the float kernels that computes it.
    var kernel: ounce_unary_op? {
        switch self {
        case .erf: OUNCE_ERF
        case .gelu: OUNCE_GELU
        case .geluTanh: OUNCE_GELU_TANH
        default: nil
        }
    }
}
