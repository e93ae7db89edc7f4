import COunceKernels
import OunceGraph

extension Lowering {
    /// The largest reduction that int32 accumulators hold for every int8 input: `k * 128 * 255 < 2^31`.
    static let maximumInt8Reduction = 65_000

    /// - Parameter residual: the addition to the results, if it belongs to the step.
    mutating func lowerConvolution(
        _ node: Node, _ conv: Convolution, _ residual: ResidualLayer?
    ) throws(RuntimeError) {
        let x = try layerInput(node)
        let shape = Self.image(graph[x].shape)
        let output = Self.image(graph[node.outputs[0]].shape)
        let weights = graph[try input(node, 1)]
        let kernel = Self.image(weights.shape)
        let (before, after) = (
            Self.spatial(conv.padBefore, missing: 0), Self.spatial(conv.padAfter, missing: 0)
        )
        let strides = Self.spatial(conv.strides, missing: 1)
        let dilations = Self.spatial(conv.dilations, missing: 1)
        var extents = shape
        var source = try operand(x)
        if let layout = paddedLayouts[x] {
            extents = layout.extents
            source = try source.offset(by: layout.offset(padding: before) * graph[x].dtype.byteSize)
        } else if (before + after).contains(where: { $0 > 0 }) {
            extents[1] += before[0] + after[0]
            extents[2] += before[1] + after[1]
            source = .buffer(
                try pad(
                    source, dims: shape, before: [0, before[0], before[1], 0], to: extents, value: graph[x],
                    node: node.name))
        }
        var parameters = ounce_conv_params()
        parameters.batch = Int32(clamping: shape[0])
        parameters.in_c = Int32(clamping: shape[3])
        parameters.out_h = Int32(clamping: output[1])
        parameters.out_w = Int32(clamping: output[2])
        parameters.out_c = Int32(clamping: output[3])
        parameters.kernel_h = Int32(clamping: kernel[1])
        parameters.kernel_w = Int32(clamping: kernel[2])
        parameters.stride_h = Int32(clamping: strides[0])
        parameters.stride_w = Int32(clamping: strides[1])
        parameters.dilation_h = Int32(clamping: dilations[0])
        parameters.dilation_w = Int32(clamping: dilations[1])
        parameters.groups = Int32(clamping: conv.groups)
        parameters.in_pixel = Int64(shape[3])
        parameters.in_row = Int64(extents[2] * shape[3])
        parameters.in_image = Int64(extents[1] * extents[2] * shape[3])
        try emitConvolution(
            node, parameters, source: source, output: output, activation: conv.activation, residual: residual,
            families: isDepthwise(node) ? (OUNCE_DWCONV_F32, OUNCE_DWCONV_S8) : (OUNCE_CONV_F32, OUNCE_CONV_S8))
    }

    /// What a layer reads: int8 where it sums integers.
    private func layerInput(_ node: Node) throws(RuntimeError) -> ValueID {
        if let source = integerLayers[node.outputs[0]] { return source }
        return try input(node, 0)
    }

    mutating func lowerFullyConnected(
        _ node: Node, _ activation: Activation, _ residual: ResidualLayer?
    ) throws(RuntimeError) {
        let x = try layerInput(node)
        let weights = graph[try input(node, 1)].shape
        let rows = weights[1] == 0 ? 0 : elementCount(x) / weights[1]
        var parameters = ounce_conv_params()
        parameters.batch = 1
        parameters.in_c = Int32(clamping: weights[1])
        parameters.out_h = 1
        parameters.out_w = Int32(clamping: rows)
        parameters.out_c = Int32(clamping: weights[0])
        (parameters.kernel_h, parameters.kernel_w) = (1, 1)
        (parameters.stride_h, parameters.stride_w) = (1, 1)
        (parameters.dilation_h, parameters.dilation_w) = (1, 1)
        parameters.groups = 1
        parameters.in_pixel = Int64(weights[1])
        parameters.in_row = Int64(rows * weights[1])
        parameters.in_image = parameters.in_row
        try emitConvolution(
            node, parameters, source: try operand(x), output: [1, 1, rows, weights[0]], activation: activation,
            residual: residual, families: (OUNCE_CONV_F32, OUNCE_CONV_S8))
    }

    private mutating func emitConvolution(
        _ node: Node, _ geometry: ounce_conv_params, source: Operand, output shape: [Int], activation: Activation,
        residual: ResidualLayer?, families: (float: ounce_family, int8: ounce_family)
    ) throws(RuntimeError) {
        var parameters = geometry
        let x = graph[try layerInput(node)]
        let weightValue = graph[try input(node, 1)]
        let biasValue = node.inputs.count > 2 ? node.inputs[2].map { graph[$0] } : nil
        guard let constant = weightValue.constant else {
            throw RuntimeError(.unsupported, "weights that are computed at run time are not supported here")
        }
        guard biasValue == nil || biasValue?.constant != nil else {
            throw RuntimeError(.unsupported, "a bias that is computed at run time is not supported here")
        }
        let outputs = Int(parameters.out_c)
        let reduction = constant.count / max(outputs, 1)
        let pixels = Int(parameters.batch) * Int(parameters.out_h) * Int(parameters.out_w)
        let macs = pixels * constant.count
        let weights: StepWeights
        let family: ounce_family
        switch x.dtype {
        case .float32:
            family = families.float
            (parameters.min, parameters.max) = activation.bounds
            weights = StepWeights(
                weights: try floatTensor(weightValue), bias: try biasValue.map(floatTensor), scale: nil)
        case .int8 where integerLayers[node.outputs[0]] != nil:
            family = OUNCE_CONV_S8F32
            (parameters.min, parameters.max) = activation.bounds
            parameters.in_zero = try grid(x).zeroPoint
            let scales = biasValue?.encoding.affine?.scales ?? []
            weights = StepWeights(
                weights: constant, bias: biasValue?.constant,
                scale: Tensor((0..<outputs).map { scales[scales.count == 1 ? 0 : $0] }))
        case .int8:
            family = families.int8
            let output = graph[node.outputs[0]]
            let (input, result) = (try grid(x), try grid(output))
            guard let encoded = weightValue.encoding.affine, constant.dtype == .int8 else {
                throw RuntimeError(.unsupported, "an int8 convolution needs int8 weights with scales")
            }
            guard encoded.zeroPoints.allSatisfy({ $0 == 0 }), encoded.axis == nil || encoded.axis == 0 else {
                throw RuntimeError(
                    .unsupported, "int8 weights must be symmetric (zero point 0), per tensor or per output channel")
            }
            guard reduction <= Self.maximumInt8Reduction else {
                throw RuntimeError(.unsupported, "a sum of \(reduction) int8 products may overflow; keep it in float")
            }
            guard biasValue == nil || biasValue?.dtype == .int32 else {
                throw RuntimeError(.unsupported, "the bias of an int8 convolution must be int32")
            }
            parameters.in_zero = input.zeroPoint
            parameters.in_ternary = ternary.contains(try self.input(node, 0)) ? 1 : 0
            parameters.out_zero = result.zeroPoint
            (parameters.out_min, parameters.out_max) = Self.quantizedBounds(activation, result)
            var scales: [Float] = []
            for channel in 0..<outputs {
                let weight = encoded.scales[encoded.isPerTensor ? 0 : channel]
                scales.append(try factor(Double(input.scale) * Double(weight) / Double(result.scale)))
            }
            weights = StepWeights(weights: constant, bias: biasValue?.constant, scale: Tensor(scales))
        default:
            throw RuntimeError(.unsupported, "convolution of \(x.dtype) values; float32 and int8 are supported")
        }
        let target = try rowsOutput(residual?.addition ?? node, shape: shape)
        parameters.out_image = Int64(target.strides[0])
        parameters.out_row = Int64(target.strides[1])
        parameters.out_pixel = Int64(target.strides[2])
        var inputs: [Operand?] = [source]
        if let residual {
            inputs.append(try addResidual(residual, to: &parameters, outputOffset: target.offset))
        }
        emit(
            LoweredStep(
                node: node.name, work: .kernel(family), parameters: StepParameters(parameters), weights: weights,
                inputs: inputs, output: target.buffer, outputOffset: target.offset, cost: macs, macs: macs,
                packingKey: "\(node.outputs[0].index)"))
    }

    /// A constant as float32; int8 weights under a float operator are dequantised here, once.
    func floatTensor(_ value: Value) throws(RuntimeError) -> Tensor {
        guard let constant = value.constant else { throw RuntimeError(.unsupported, "\(value.name) is no constant") }
        if constant.dtype == .float32, value.encoding == .plain { return constant }
        guard let affine = value.encoding.affine else {
            guard let converted = Tensor(constant.floats(), shape: constant.shape) else {
                throw RuntimeError(.unsupported, "\(value.name) cannot be converted to float32")
            }
            return converted
        }
        let size = constant.dtype.byteSize
        let row = constant.shape.rank == 0 ? 1 : constant.count / max(constant.shape[0], 1)
        let stride = affine.axis.map { constant.shape.strides[$0] } ?? 1
        let type = constant.dtype
        let floats = constant.mappedRows(as: .float32) { rows, source, target in
            let part = Shape([source.count / size])
            let copy = TensorStorage(byteCount: source.count) { $0.copyMemory(from: source) }
            for (index, q) in (Tensor(dtype: type, shape: part, storage: copy)?.doubles() ?? []).enumerated() {
                let place = rows.lowerBound * row + index
                let channel = affine.isPerTensor ? 0 : (place / max(stride, 1)) % affine.scales.count
                let real = Float(q - Double(affine.zeroPoints[channel])) * affine.scales[channel]
                target.storeBytes(of: real, toByteOffset: 4 * index, as: Float.self)
            }
        }
        guard let floats else { throw RuntimeError(.unsupported, "\(value.name) cannot be converted to float32") }
        return floats
    }

    /// `[N, H, W, C]` of a tensor with one or two spatial axes; one axis is a width, the height 1.
    static func image(_ shape: Shape) -> [Int] {
        shape.rank == 3 ? [shape[0], 1, shape[1], shape[2]] : shape.dims
    }

    /// The clamp of a quantised result: the bounds of the activation on the output's grid, within int8.
    static func quantizedBounds(_ activation: Activation, _ output: AffineQuantization) -> (Int32, Int32) {
        let (low, high) = activation.bounds
        func place(_ bound: Float) -> Int32 {
            let q = (bound / output.scale).rounded(.toNearestOrEven) + Float(output.zeroPoint)
            return Int32(max(-128, min(127, q)))
        }
        return (low == -.infinity ? -128 : place(low), high == .infinity ? 127 : place(high))
    }
}
