import OunceGraph

/// The attributes that convolutions and poolings share.
private struct Window {
    var kernel: [Int]
    var strides: [Int]
    var dilations: [Int]
    var padding: [WindowPadding]

    /// - Parameter extents: of the spatial axes.
    init(_ node: inout ONNXNode, extents: [Int], kernel given: [Int]?) throws(ImportFailure) {
        let count = extents.count
        if let given {
            kernel = given
            if let stated = node.ints("kernel_shape"), stated != given {
                throw .corrupt("kernel_shape is \(stated.prefix(8)), the weights have \(given)")
            }
        } else {
            guard node.attribute("kernel_shape") != nil else { throw .corrupt("kernel_shape is missing") }
            kernel = try node.sizes("kernel_shape", count: count, default: 1, minimum: 1)
        }
        strides = try node.sizes("strides", count: count, default: 1, minimum: 1)
        dilations = try node.sizes("dilations", count: count, default: 1, minimum: 1)
        let pads = try node.sizes("pads", count: 2 * count, default: 0, minimum: 0)
        padding = (0..<count).map { WindowPadding(before: pads[$0], after: pads[count + $0]) }
        switch node.string("auto_pad", default: "NOTSET") {
        case "NOTSET", "": break
        case "VALID": padding = padding.map { _ in WindowPadding(before: 0, after: 0) }
        case let mode where mode == "SAME_UPPER" || mode == "SAME_LOWER":
            for axis in 0..<count {
                guard
                    let same = WindowPadding.same(
                        extent: extents[axis], kernel: kernel[axis], stride: strides[axis], dilation: dilations[axis],
                        isLower: mode == "SAME_LOWER")
                else { throw .unsupported("auto_pad \(mode) over an unknown extent; export with fixed shapes") }
                padding[axis] = same
            }
        case let mode: throw .corrupt("auto_pad is '\(mode)'")
        }
    }
}

extension ONNXTranslation {
    /// Emits `op` between transpositions to channels-last order and back.
    private mutating func channelsLast(
        _ x: ValueID, _ node: ONNXNode, _ op: Op, _ others: [ValueID?] = []
    ) throws(ImportFailure) -> ONNXBinding {
        let rank = shape(x).rank
        let there = [0] + Array(2..<rank) + [1]
        let back = [0, rank - 1] + Array(1..<rank - 1)
        let moved = try emit(.transpose(there), [x], node, part: "channels_last")
        let result = try emit(op, [moved] + others, node, part: "result")
        return .value(try emit(.transpose(back), [result], node))
    }

    /// The extents of the spatial axes of `[N, C, spatial...]`.
    private func spatial(_ x: ValueID) throws(ImportFailure) -> [Int] {
        let shape = shape(x)
        guard (3...4).contains(shape.rank) else {
            throw .unsupported("its input is \(shape); one or two spatial axes are supported")
        }
        return Array(shape.dims[2...])
    }

    mutating func convolution(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let extents = try spatial(x)
        let (weights, encoding) = try weights(node, 1, outputAxis: 0)
        guard weights.shape.rank == extents.count + 2 else {
            throw .corrupt("weights \(weights.shape) for an input \(shape(x))")
        }
        let kernel = Array(weights.shape.dims[2...])
        guard kernel.allSatisfy({ (1...ONNXNode.maximumSize).contains($0) }) else {
            throw .corrupt("weights \(weights.shape)")
        }
        let window = try Window(&node, extents: extents, kernel: kernel)
        let groups = node.int("group", default: 1)
        let permutation = [0] + Array(2..<weights.shape.rank) + [1]
        let permuted = try builder.permute(weights, permutation)
        let conv = Convolution(
            strides: window.strides, dilations: window.dilations, padBefore: window.padding.map(\.before),
            padAfter: window.padding.map(\.after), groups: groups)
        let id = builder.constant(permuted, name: node.input(1) ?? node.name, encoding: encoding)
        return try channelsLast(x, node, .conv(conv), [id, try optionalValue(node, 2)])
    }

    mutating func pool(_ kind: Pooling.Kind, _ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let extents = try spatial(x)
        var window = try Window(&node, extents: extents, kernel: nil)
        var countsPadding = false
        switch kind {
        case .average: countsPadding = node.int("count_include_pad", default: 0) != 0
        case .max: try node.require("storage_order", 0)
        }
        if node.int("ceil_mode", default: 0) != 0 {
            for axis in extents.indices {
                guard extents[axis] >= 0 || window.strides[axis] == 1 else {
                    throw .unsupported("ceil_mode over an unknown extent; export with fixed shapes")
                }
                let extra = window.padding[axis].extraForPartialWindow(
                    extent: extents[axis], kernel: window.kernel[axis], stride: window.strides[axis],
                    dilation: window.dilations[axis])
                guard extra == 0 || !countsPadding else {
                    throw .unsupported("ceil_mode with count_include_pad; export with one of them")
                }
                window.padding[axis].after += extra
            }
        }
        let pooling = Pooling(
            kind: kind, kernel: window.kernel, strides: window.strides, dilations: window.dilations,
            padBefore: window.padding.map(\.before), padAfter: window.padding.map(\.after),
            countIncludesPadding: countsPadding)
        return try channelsLast(x, node, .pool(pooling))
    }

    mutating func globalPool(_ reduction: Reduction, _ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let axes = Array(1...(try spatial(x).count))
        return try channelsLast(x, node, .reduce(reduction, axes: axes, keepDims: true))
    }
}
