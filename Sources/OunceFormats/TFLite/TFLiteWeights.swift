import OunceGraph

/// The constant weights of a layer, outputs first.
struct TFLiteWeights {
    let tensor: Tensor
    let encoding: Encoding
    /// Integers that stand in the file as the weights of a layer on floats: such a layer puts its input on a grid, too.
    let areStored: Bool

    var isPerTensor: Bool { encoding.affine?.isPerTensor ?? true }
    /// What int8 kernels take.
    var areSymmetric: Bool { encoding.affine?.zeroPoints.allSatisfy { $0 == 0 } ?? true }
}

extension TFLiteTranslation {
    mutating func isConstant(_ op: TFLiteOperator, _ place: Int) -> Bool {
        guard let index = input(op, place), let binding = try? binding(index) else { return false }
        switch binding {
        case .constant, .dequantized: return true
        case .value(let id): return builder.graph[id].constant != nil
        case .several, .variable, .missing: return false
        }
    }

    /// Constant weights in another order: plain, or int8 that is quantised as a whole or for each output channel.
    mutating func weights(_ op: TFLiteOperator, _ permutation: [Int]) throws(ImportFailure) -> TFLiteWeights {
        var (tensor, encoding) = try constant(op, 1)
        guard tensor.shape.rank == permutation.count else { throw .corrupt("\(op.name): weights \(tensor.shape)") }
        var areStored = encoding != .plain
        if let index = input(op, 1), case .dequantized = try binding(index) { areStored = false }
        if let affine = encoding.affine, (affine.axis != nil && affine.axis != permutation[0]) || tensor.dtype != .int8
        {
            (tensor, encoding) = (try builder.dequantize(tensor, affine), .plain)
        }
        if permutation != permutation.sorted() {
            tensor = try builder.permute(tensor, permutation)
            encoding = encoding.affine.map { .affine($0.permuted(permutation)) } ?? .plain
        }
        return TFLiteWeights(tensor: tensor, encoding: encoding, areStored: areStored)
    }

    /// Input, weights and bias of a layer, all int8 or all real.
    ///
    /// A layer on floats whose weights are stored as integers rounds its input to `grid` first, as LiteRT does where it runs
    /// through XNNPACK, its default: asymmetric, one grid for each row, for each image, and for each pixel under a kernel of
    /// one pixel. On other grids than int8 the layer computes with real numbers.
    mutating func layerInputs(
        _ op: TFLiteOperator, _ x: ValueID, _ weights: TFLiteWeights, grid: DynamicGrid
    ) throws(ImportFailure) -> [ValueID?] {
        let name = try tensor(input(op, 1) ?? -1).name
        let id = builder.constant(weights.tensor, name: name, encoding: weights.encoding)
        let value = builder.graph[x]
        let bias = try optionalValue(op, 2)
        guard let affine = value.encoding.affine else {
            guard weights.areStored, value.dtype == .float32 else { return [x, id, bias] }
            return [try node(.roundToDynamicGrid(grid), [x], name: "\(op.location).rounded"), id, bias]
        }
        let output = try declared(op)
        if value.dtype == .int8, weights.areSymmetric, output.dtype == .int8, weights.encoding != .plain {
            return [x, id, bias]
        }
        return [
            try real(x), id,
            try bias.map { (bias) throws(ImportFailure) in
                try realBias(bias, affine, weights, name: op.location)
            },
        ]
    }

    /// A bias in units of the input's scale times the weights' as real numbers.
    private mutating func realBias(
        _ bias: ValueID, _ input: AffineQuantization, _ weights: TFLiteWeights, name: String
    ) throws(ImportFailure) -> ValueID {
        let value = builder.graph[bias]
        guard value.dtype != .float32 else { return bias }
        guard let numbers = value.constant?.doubles(), let scales = weights.encoding.affine?.scales, !scales.isEmpty,
            scales.count == 1 || scales.count == numbers.count
        else { throw .unsupported("a bias of \(value.dtype) for weights without scales; convert to int8") }
        let reals = numbers.enumerated().map { index, number in
            Float(number * Double(scales[scales.count == 1 ? 0 : index]) * Double(input.scale))
        }
        return builder.constant(Tensor(reals), name: "\(name).bias")
    }

    // MARK: Other layers

    mutating func batchMatMul(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        func operand(_ place: Int, _ isTransposed: Bool, _ t: inout Self) throws(ImportFailure) -> ValueID {
            let x = try t.value(op, place)
            let rank = t.shape(x).rank
            guard rank >= 2 else { throw .corrupt("BATCH_MATMUL: \(t.shape(x))") }
            guard isTransposed else { return x }
            return try t.transposed(x, Array(0..<rank - 2) + [rank - 1, rank - 2], op)
        }
        var a = try operand(0, try op.flag(4), &self)
        var b = try operand(1, try op.flag(6), &self)
        if builder.graph[a].dtype == .float32, let affine = builder.graph[b].encoding.affine {
            let grid = DynamicGrid(isSymmetric: false, batchAxes: shape(a).rank - 1)
            a = try node(.roundToDynamicGrid(grid), [a], name: "\(op.location).rounded")
            b = affine.isPerTensor ? try real(b) : b
        }
        return .value(try emit(.matMul, [a, b], op))
    }

    mutating func convolution3D(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try real(op, 0)
        let given = try floats(op, 1)
        guard given.shape.rank == 5, shape(x).rank == 5 else { throw .corrupt("CONV_3D: weights \(given.shape)") }
        let weights = try builder.permute(given, [4, 0, 1, 2, 3])
        let kernel = Array(given.shape.dims[..<3])
        let strides = [try op.int(6), try op.int(10), try op.int(8)]
        let dilations = [
            try op.int(14, default: 1), try op.int(18, default: 1), try op.int(16, default: 1),
        ]
        guard given.shape[3] > 0, shape(x)[4] % given.shape[3] == 0,
            (kernel + strides + dilations).allSatisfy({ (1...1 << 20).contains($0) })
        else { throw .corrupt("CONV_3D: weights \(given.shape), strides \(strides), dilations \(dilations)") }
        var padding = [WindowPadding](repeating: WindowPadding(before: 0, after: 0), count: 3)
        if try op.code(4) == 0 {
            for axis in 0..<3 {
                padding[axis] =
                    WindowPadding.same(
                        extent: shape(x)[axis + 1], kernel: kernel[axis], stride: strides[axis],
                        dilation: dilations[axis]) ?? padding[axis]
            }
        }
        let id = builder.constant(weights, name: try tensor(input(op, 1) ?? -1).name)
        let groups = shape(x)[4] / given.shape[3]
        return try activated(op, 12, [x, id, try optionalValue(op, 2)]) {
            .conv(
                Convolution(
                    strides: strides, dilations: dilations, padBefore: padding.map(\.before),
                    padAfter: padding.map(\.after), groups: groups, activation: $0))
        }
    }

    /// A convolution with the kernel turned round, over the input with zeros between its pixels.
    mutating func transposedConvolution(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try value(op, 2)
        let size = try integers(op, 0)
        let given = try constant(op, 1)
        let (kernel, strides) = (given.0.shape, [try op.int(8), try op.int(6)])
        guard kernel.rank == 4, shape(x).rank == 4, size.count == 4, shape(x)[3] == kernel[3],
            kernel.dims.allSatisfy({ (1...1 << 16).contains($0) }), strides.allSatisfy({ (1...1 << 10).contains($0) }),
            size.allSatisfy({ (1...1 << 20).contains($0) })
        else { throw .corrupt("TRANSPOSE_CONV: weights \(kernel), output \(size.prefix(8)), strides \(strides)") }
        var spread = try spread(x, strides, op)
        var (before, after, ranges) = ([0, 0, 0, 0], [0, 0, 0, 0], [SliceRange](repeating: .all, count: 4))
        for axis in 0..<2 {
            let (output, reach, stride) = (size[axis + 1], kernel[axis + 1], strides[axis])
            var front = 0
            if try op.code(4) == 0 {
                front = max(((output + stride - 1) / stride - 1) * stride + reach - output, 0) / 2
            }
            let lead = reach - 1 - front
            let extent = shape(spread)[axis + 1]
            let trail = output + reach - 1 - lead - extent
            (before[axis + 1], after[axis + 1]) = (max(lead, 0), max(trail, 0))
            let (start, end) = (max(-lead, 0), extent - max(-trail, 0))
            guard start < end else { throw .corrupt("TRANSPOSE_CONV: output \(size) of an input \(shape(x))") }
            ranges[axis + 1] = SliceRange(from: start, to: end, step: 1, extent: extent)
        }
        if ranges.contains(where: { !$0.isAll }) { spread = try emit(.slice(ranges), [spread], op, part: "crop") }
        if (before + after).contains(where: { $0 > 0 }) {
            spread = try emit(.pad(before: before, after: after, value: 0), [spread], op, part: "margin")
        }
        let weights = try turned(op)
        // Its bias is input 3, where other layers have input 2.
        var layer = op
        layer.inputs = [op.inputs[2], op.inputs[1]] + op.inputs.dropFirst(3)
        let inputs = try layerInputs(
            layer, spread, weights, grid: DynamicGrid(isSymmetric: true, batchAxes: 1))
        return try activated(op, 10, inputs) {
            .conv(
                Convolution(
                    strides: [1, 1], dilations: [1, 1], padBefore: [0, 0], padAfter: [0, 0], activation: $0))
        }
    }

    /// The weights with both spatial axes backwards.
    private mutating func turned(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteWeights {
        let weights = try weights(op, [0, 1, 2, 3])
        let type = TensorType(weights.tensor.dtype, weights.tensor.shape)
        try builder.charge(weights.tensor.byteCount)
        guard
            let turned = GenericOperator(.reverse(axes: [1, 2]), inputs: [type], output: type)?
                .evaluate([weights.tensor])
        else { throw .corrupt("TRANSPOSE_CONV: weights \(type.shape)") }
        // A layer on floats has no rounded form here.
        return TFLiteWeights(tensor: turned, encoding: weights.encoding, areStored: false)
    }

    /// With `stride - 1` zeros after each pixel.
    private mutating func spread(
        _ x: ValueID, _ strides: [Int], _ op: TFLiteOperator
    ) throws(ImportFailure) -> ValueID {
        guard strides != [1, 1] else { return x }
        let dims = shape(x).dims
        let split = try reshaped(x, [dims[0], dims[1], 1, dims[2], 1, dims[3]], op)
        let after = [0, 0, strides[0] - 1, 0, strides[1] - 1, 0]
        let padded = try emit(
            .pad(before: [0, 0, 0, 0, 0, 0], after: after, value: 0), [split], op, part: "zeros")
        return try reshaped(padded, [dims[0], dims[1] * strides[0], dims[2] * strides[1], dims[3]], op)
    }

    // MARK: Normalisation

    mutating func l2Normalization(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try real(op, 0)
        guard shape(x).rank > 0 else { throw .corrupt("L2_NORMALIZATION of one number") }
        let sum = try node(
            .reduce(.sum, axes: [shape(x).rank - 1], keepDims: true), [try binary(.multiply, x, x, op)],
            name: "\(op.location).squares")
        let norm = try unary(.clip(1e-6, .infinity), try unary(.sqrt, sum, op), op)
        return .value(try finish(try activated(op, 4, try binary(.divide, x, norm, op)), op))
    }

    /// The squares of neighbouring channels are summed by a product with a band of ones.
    mutating func localResponseNormalization(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try real(op, 0)
        let (radius, channels) = (try op.int(4), shape(x).dims.last ?? 0)
        guard radius >= 0, (1...1 << 11).contains(channels) else {
            throw .unsupported("\(channels) channels; convert without it")
        }
        try builder.charge(4 * channels * channels)
        let band = (0..<channels * channels).map { place -> Float in
            (place / channels - place % channels).magnitude <= UInt(radius) ? 1 : 0
        }
        guard let tensor = Tensor(band, shape: [channels, channels]) else { throw .corrupt("\(channels) channels") }
        let weights = builder.constant(tensor, name: "\(op.location).band")
        let squares = try binary(.multiply, x, x, op)
        let sum = try node(.fullyConnected(.none), [squares, weights], name: "\(op.location).neighbours")
        let scaled = try binary(.multiply, sum, scalar(try op.float(8)), op)
        let base = try binary(.add, scaled, scalar(try op.float(6)), op)
        let divisor = try binary(.power, base, scalar(try op.float(10)), op)
        return .value(try finish(try binary(.divide, x, divisor, op), op))
    }
}
