import COunceKernels
import OunceGraph

extension Lowering {
    mutating func lowerPooling(_ node: Node, _ pool: Pooling) throws(RuntimeError) {
        let x = try input(node, 0)
        try emitPooling(
            node, pool, shape: Self.image(graph[x].shape), output: Self.image(graph[node.outputs[0]].shape))
    }

    /// A mean over the spatial axes is an average pool whose window is the image; other reductions run as plain loops.
    mutating func lowerReduction(_ node: Node, _ reduction: Reduction, axes: [Int]) throws(RuntimeError) {
        let x = try input(node, 0)
        let shape = graph[x].shape
        let reduced = Set(axes.compactMap { shape.normalized(axis: $0) })
        if isSpatialMean(node) {
            let image = Self.image(shape)
            let window = Pooling(
                kind: .average, kernel: [image[1], image[2]], strides: [1, 1], dilations: [1, 1], padBefore: [0, 0],
                padAfter: [0, 0])
            try emitPooling(node, window, shape: image, output: [image[0], 1, 1, image[3]])
            return
        }
        let source = try dequantized(x, node: node.name)
        guard graph[x].dtype == .float32 || isQuantized(x) else {
            throw RuntimeError(.unsupported, "a reduction of \(graph[x].dtype) values")
        }
        let float = isQuantized(x) ? newBuffer(byteCount: elementCount(node.outputs[0]) * 4) : outputOf(node)
        emitReduction(reduction, shape: shape, axes: reduced, source: source, output: float, node: node.name)
        if isQuantized(x) { try emitQuantize(.buffer(float), node) }
    }

    /// Whether the node is the mean of the places of an image.
    func isSpatialMean(_ node: Node) -> Bool {
        guard case .reduce(.mean, let axes, _) = node.op, hasKernel(node), let x = node.inputs.first, let input = x
        else { return false }
        let shape = graph[input].shape
        return (3...4).contains(shape.rank)
            && Set(axes.compactMap { shape.normalized(axis: $0) }) == Set(1..<(shape.rank - 1))
    }

    private mutating func emitPooling(
        _ node: Node, _ pool: Pooling, shape: [Int], output: [Int]
    ) throws(RuntimeError) {
        let x = try input(node, 0)
        let kernel = Self.spatial(pool.kernel, missing: 1)
        let strides = Self.spatial(pool.strides, missing: 1)
        let dilations = Self.spatial(pool.dilations, missing: 1)
        let before = Self.spatial(pool.padBefore, missing: 0)
        var parameters = ounce_pool_params()
        parameters.batch = Int32(clamping: shape[0])
        parameters.in_h = Int32(clamping: shape[1])
        parameters.in_w = Int32(clamping: shape[2])
        parameters.channels = Int32(clamping: shape[3])
        parameters.out_h = Int32(clamping: output[1])
        parameters.out_w = Int32(clamping: output[2])
        parameters.kernel_h = Int32(clamping: kernel[0])
        parameters.kernel_w = Int32(clamping: kernel[1])
        parameters.stride_h = Int32(clamping: strides[0])
        parameters.stride_w = Int32(clamping: strides[1])
        parameters.dilation_h = Int32(clamping: dilations[0])
        parameters.dilation_w = Int32(clamping: dilations[1])
        parameters.pad_top = Int32(clamping: before[0])
        parameters.pad_left = Int32(clamping: before[1])
        parameters.count_padding = pool.countIncludesPadding ? 1 : 0
        parameters.in_pixel = Int64(shape[3])
        let extents = paddedLayouts[x]?.extents ?? shape
        parameters.in_row = Int64(extents[2] * shape[3])
        parameters.in_image = Int64(extents[1] * extents[2] * shape[3])
        let places = kernel[0].multipliedReportingOverflow(by: kernel[1])
        guard !places.overflow, places.partialValue <= 1 << 24 else {
            throw RuntimeError(.unsupported, "a pooling window of \(kernel[0]) by \(kernel[1])")
        }
        let cost = output.reduce(1, *) * min(places.partialValue, shape[1] * shape[2])
        let family: ounce_family
        var source = try operand(x)
        if let layout = paddedLayouts[x] { source = try source.offset(by: layout.offset * graph[x].dtype.byteSize) }
        switch graph[x].dtype {
        case .float32:
            family = pool.kind == .max ? OUNCE_MAXPOOL_F32 : OUNCE_AVGPOOL_F32
            (parameters.min, parameters.max) = pool.activation.bounds
        case .int8:
            family = pool.kind == .max ? OUNCE_MAXPOOL_S8 : OUNCE_AVGPOOL_S8
            let (from, to) = (try grid(graph[x]), try grid(graph[node.outputs[0]]))
            parameters.in_zero = from.zeroPoint
            parameters.out_zero = to.zeroPoint
            parameters.scale = try factor(Double(from.scale) / Double(to.scale))
            parameters.round_away = pool.roundsHalvesAway && from == to ? 1 : 0
            (parameters.out_min, parameters.out_max) = Self.quantizedBounds(pool.activation, to)
            // Max pooling keeps the grid: the input moves onto the output's first.
            if pool.kind == .max, from != to {
                source = try requantized(x, to: graph[node.outputs[0]].encoding, node: node.name)
            }
        default: throw RuntimeError(.unsupported, "pooling of \(graph[x].dtype) values")
        }
        let target = try rowsOutput(node, shape: output)
        parameters.out_image = Int64(target.strides[0])
        parameters.out_row = Int64(target.strides[1])
        parameters.out_pixel = Int64(target.strides[2])
        emit(
            LoweredStep(
                node: node.name, work: .kernel(family), parameters: StepParameters(parameters), weights: nil,
                inputs: [source], output: target.buffer, outputOffset: target.offset, cost: cost, macs: 0,
                packingKey: ""))
    }

    mutating func lowerSoftmax(_ node: Node, axis: Int) throws(RuntimeError) {
        let x = try input(node, 0)
        let shape = graph[x].shape
        guard let axis = shape.normalized(axis: axis) else {
            throw RuntimeError(.unsupported, "axis \(axis) of \(shape)")
        }
        let columns = shape[axis]
        let count = elementCount(x)
        var parameters = ounce_softmax_params()
        parameters.rows = Int64(columns == 0 ? 0 : count / columns)
        parameters.columns = Int64(columns)
        let family: ounce_family
        switch graph[x].dtype {
        case .float32: family = OUNCE_SOFTMAX_F32
        case .int8:
            let (from, to) = (try grid(graph[x]), try grid(graph[node.outputs[0]]))
            family = OUNCE_SOFTMAX_S8
            (parameters.in_scale, parameters.out_scale) = (from.scale, to.scale)
            parameters.out_zero = to.zeroPoint
        default: throw RuntimeError(.unsupported, "softmax of \(graph[x].dtype) values")
        }
        let source = try operand(x)
        // The kernel works along the last axis: another one is moved there and back.
        guard shape.dims[(axis + 1)...].contains(where: { $0 != 1 }) else {
            let index = outputOf(node)
            emit(family, parameters, inputs: [source], output: index, cost: count * 8, node: node.name)
            return
        }
        let order = shape.dims.indices.filter { $0 != axis } + [axis]
        let moved = Shape(order.map { shape[$0] })
        let size = graph[x].dtype.byteSize
        let (before, after) = (newBuffer(byteCount: count * size), newBuffer(byteCount: count * size))
        let strides = order.map { shape.strides[$0] }
        copy(
            CopyBox(extent: moved.dims, inStride: strides, outStride: moved.strides), elementSize: size,
            from: source, to: before, node: node.name)
        emit(family, parameters, inputs: [.buffer(before)], output: after, cost: count * 8, node: node.name)
        let index = outputOf(node)
        copy(
            CopyBox(extent: moved.dims, inStride: moved.strides, outStride: strides), elementSize: size,
            from: .buffer(after), to: index, node: node.name)
    }
}
