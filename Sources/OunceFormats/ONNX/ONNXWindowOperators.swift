import OunceGraph

/// The attributes that convolutions and poolings share.
struct ONNXWindow {
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
    mutating func channelsLast(
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
    func spatial(_ x: ValueID) throws(ImportFailure) -> [Int] {
        let shape = shape(x)
        guard (3...5).contains(shape.rank) else {
            throw .unsupported("its input is \(shape); one to three spatial axes are supported")
        }
        return Array(shape.dims[2...])
    }

    mutating func convolution(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        guard case .constant = try binding(node, 1), type(x).dtype == .float32 || builder.graph[x].encoding != .plain
        else {
            let (weights, bias) = (try value(node, 1), try optionalValue(node, 2))
            return .value(try convolution(x, weights: weights, bias: bias, &node))
        }
        let (weights, encoding) = try weights(node, 1, outputAxis: 0)
        let conv = try convolution(x, weights.shape, &node)
        let permuted = try builder.permute(weights, [0] + Array(2..<weights.shape.rank) + [1])
        let id = builder.constant(permuted, name: node.input(1) ?? node.name, encoding: encoding)
        return try channelsLast(x, node, .conv(conv), [id, try optionalValue(node, 2)])
    }

    /// A convolution whose weights `[O, I, kernel...]` need not be known on import.
    mutating func convolution(
        _ x: ValueID, weights: ValueID, bias: ValueID?, _ node: inout ONNXNode
    ) throws(ImportFailure) -> ValueID {
        let conv = try convolution(x, Shape(try known(weights)), &node)
        let moved = try transpose(weights, [0] + Array(2..<rank(weights)) + [1])
        return try channelsFirst(try make(.conv(conv), try channelsLast(x), moved, bias))
    }

    private mutating func convolution(
        _ x: ValueID, _ weights: Shape, _ node: inout ONNXNode
    ) throws(ImportFailure) -> Convolution {
        let extents = try spatial(x)
        guard weights.rank == extents.count + 2 else { throw .corrupt("weights \(weights) for an input \(shape(x))") }
        let kernel = Array(weights.dims[2...])
        guard kernel.allSatisfy({ (1...ONNXNode.maximumSize).contains($0) }) else {
            throw .corrupt("weights \(weights)")
        }
        let window = try ONNXWindow(&node, extents: extents, kernel: kernel)
        return Convolution(
            strides: window.strides, dilations: window.dilations, padBefore: window.padding.map(\.before),
            padAfter: window.padding.map(\.after), groups: node.int("group", default: 1))
    }

    mutating func channelsLast(_ x: ValueID) throws(ImportFailure) -> ValueID {
        try transpose(x, [0] + Array(2..<rank(x)) + [1])
    }

    mutating func channelsFirst(_ x: ValueID) throws(ImportFailure) -> ValueID {
        try transpose(x, [0, rank(x) - 1] + Array(1..<rank(x) - 1))
    }
}
