import OunceGraph

extension ONNXTranslation {
    /// The window of a pooling operator; `x` gets real zeros around it where padding counts in an average but the rest of a
    /// partial last window does not.
    private mutating func pooling(
        _ kind: Pooling.Kind, _ x: inout ValueID, _ node: inout ONNXNode, countsPadding: Bool
    ) throws(ImportFailure) -> Pooling {
        let extents = try spatial(x)
        var window = try ONNXWindow(&node, extents: extents, kernel: nil)
        var countsPadding = countsPadding
        if node.int("ceil_mode", default: 0) != 0 {
            var extra: [Int] = []
            for axis in extents.indices {
                guard extents[axis] >= 0 || window.strides[axis] == 1 else {
                    throw .unsupported("ceil_mode over an unknown extent; export with fixed shapes")
                }
                extra.append(
                    window.padding[axis].extraForPartialWindow(
                        extent: extents[axis], kernel: window.kernel[axis], stride: window.strides[axis],
                        dilation: window.dilations[axis]))
            }
            if countsPadding, extra.contains(where: { $0 > 0 }) {
                let (before, after) = ([0, 0] + window.padding.map(\.before), [0, 0] + window.padding.map(\.after))
                x = try make(.pad(before: before, after: after, value: 0), x)
                window.padding = window.padding.map { _ in WindowPadding(before: 0, after: 0) }
                countsPadding = false
            }
            for axis in extents.indices { window.padding[axis].after += extra[axis] }
        }
        return Pooling(
            kind: kind, kernel: window.kernel, strides: window.strides, dilations: window.dilations,
            padBefore: window.padding.map(\.before), padAfter: window.padding.map(\.after),
            countIncludesPadding: countsPadding)
    }

    mutating func pool(_ kind: Pooling.Kind, _ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var x = try value(node, 0)
        let countsPadding = kind == .average && node.int("count_include_pad", default: 0) != 0
        let isColumnMajor = kind == .max && node.int("storage_order", default: 0) != 0
        let pooling = try pooling(kind, &x, &node, countsPadding: countsPadding)
        if kind == .max, wants(node, output: 1) {
            let op = Op.poolIndices(pooling, columnMajor: isColumnMajor)
            bind(node, output: 1, .value(try channelsFirst(try make(op, try channelsLast(x)))))
        }
        return try channelsLast(x, node, .pool(pooling))
    }

    mutating func globalPool(_ reduction: Reduction, _ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let axes = Array(1...(try spatial(x).count))
        return try channelsLast(x, node, .reduce(reduction, axes: axes, keepDims: true))
    }

    /// The p-norm of each window: the root of its size times the mean of powers.
    mutating func normPool(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let p = Double(node.int("p", default: 2))
        guard p >= 1 else { throw .corrupt("p = \(p)") }
        var powers = try binary(.power, try unary(.abs, x), try scalar(p, like: x))
        let first = try pooling(.average, &powers, &node, countsPadding: true)
        var window = first
        // What a partial last window lacks counts as zeros here.
        window.countIncludesPadding = true
        let mean = try channelsFirst(try make(.pool(window), try channelsLast(powers)))
        let sum = try multiply(mean, try scalar(Double(window.kernel.reduce(1, *)), like: x))
        return .value(try binary(.power, sum, try scalar(1 / p, like: x)))
    }

    mutating func globalNormPool(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let p = Double(node.int("p", default: 2))
        guard p >= 1 else { throw .corrupt("p = \(p)") }
        let powers = try binary(.power, try unary(.abs, x), try scalar(p, like: x))
        let sum = try reduce(.sum, powers, axes: Array(2..<2 + (try spatial(x).count)))
        return .value(try binary(.power, sum, try scalar(1 / p, like: x)))
    }

    // MARK: Transposed convolution

    /// As a convolution with flipped weights over the input with zeros between its numbers.
    mutating func transposedConvolution(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let extents = try spatial(x)
        let weights = try value(node, 1)
        let (dims, count) = (try known(weights), extents.count)
        let groups = node.int("group", default: 1)
        guard dims.count == count + 2, groups > 0, dims[0] > 0, dims[0] % groups == 0 else {
            throw .corrupt("weights \(shape(weights)) for an input \(shape(x))")
        }
        let kernel = Array(dims[2...])
        guard kernel.allSatisfy({ (1...ONNXNode.maximumSize).contains($0) }) else {
            throw .corrupt("a kernel \(kernel)")
        }
        let window = try TransposedWindow(&node, extents: extents, kernel: kernel)
        // [C, M / g, kernel...] to [M, kernel..., C / g], turned around along the kernel.
        var filter = try reshape(weights, to: [groups, dims[0] / groups] + dims[1...])
        filter = try transpose(filter, [0, 2] + Array(3..<3 + count) + [1])
        filter = try reshape(filter, to: [groups * dims[1]] + kernel + [dims[0] / groups])
        filter = try make(.reverse(axes: Array(1...count)), filter)
        let spread = try spread(try channelsLast(x), strides: window.strides)
        let (before, after) = ([0] + window.before + [0], [0] + window.after + [0])
        let cropped = try self.cropped(spread, before: before, after: after)
        let ones = kernel.map { _ in 1 }
        let conv = Convolution(
            strides: ones, dilations: window.dilations, padBefore: window.before.map { max($0, 0) },
            padAfter: window.after.map { max($0, 0) }, groups: groups)
        return .value(try channelsFirst(try make(.conv(conv), cropped, filter, try optionalValue(node, 2))))
    }

    /// `stride - 1` zeros between neighbours of each spatial axis of `[N, spatial..., C]`.
    private mutating func spread(_ x: ValueID, strides: [Int]) throws(ImportFailure) -> ValueID {
        var x = x
        for (place, stride) in strides.enumerated() where stride > 1 {
            let (axis, dims) = (place + 1, shape(x).dims)
            let inner = dims[(axis + 1)...].reduce(1, *)
            guard dims[1...].allSatisfy({ $0 >= 0 }) else {
                throw .unsupported("an unknown extent; export with fixed shapes")
            }
            let outer = dims[1..<axis].reduce(1, *)
            let split = try reshape(x, [.copy(0), .literal(outer * dims[axis]), .literal(1), .literal(inner)])
            let pad = Op.pad(before: [0, 0, 0, 0], after: [0, 0, stride - 1, 0], value: 0)
            var whole = dims
            whole[axis] *= stride
            let padded = try reshape(try make(pad, split), [.copy(0)] + whole[1...].map { .literal($0) })
            x = try slice(padded, axis: axis, 0, max((dims[axis] - 1) * stride + 1, 0))
        }
        return x
    }
}

/// Padding of the convolution that a transposed one becomes; negative numbers crop.
private struct TransposedWindow {
    var strides: [Int]
    var dilations: [Int]
    var before: [Int] = []
    var after: [Int] = []

    init(_ node: inout ONNXNode, extents: [Int], kernel: [Int]) throws(ImportFailure) {
        let count = extents.count
        if let stated = node.ints("kernel_shape"), stated != kernel { throw .corrupt("kernel_shape is \(stated)") }
        strides = try node.sizes("strides", count: count, default: 1, minimum: 1)
        dilations = try node.sizes("dilations", count: count, default: 1, minimum: 1)
        let extra = try node.sizes("output_padding", count: count, default: 0, minimum: 0)
        let pads = try node.sizes("pads", count: 2 * count, default: 0, minimum: 0)
        let mode = node.string("auto_pad", default: "NOTSET")
        guard ["NOTSET", "", "VALID", "SAME_UPPER", "SAME_LOWER"].contains(mode) else {
            throw .corrupt("auto_pad is '\(mode)'")
        }
        let stated = node.ints("output_shape").map { Array($0.suffix(count)) }
        for axis in 0..<count {
            let reach = (kernel[axis] - 1) * dilations[axis]
            var padding = (pads[axis], pads[count + axis])
            if stated != nil || mode.hasPrefix("SAME") {
                guard extents[axis] >= 0, stated.map({ $0.count == count }) ?? true else {
                    throw .unsupported("its padding depends on an unknown extent; export with fixed shapes")
                }
                let wanted = stated?[axis] ?? extents[axis] * strides[axis]
                guard (1...Shape.maximumElements).contains(wanted) else { throw .corrupt("an output of \(wanted)") }
                let total = strides[axis] * (extents[axis] - 1) + extra[axis] + reach + 1 - wanted
                let half = total / 2
                // What the output has more than the convolution gives comes after it.
                padding = total < 0 ? (0, total) : mode == "SAME_UPPER" ? (half, total - half) : (total - half, half)
            }
            before.append(reach - padding.0)
            after.append(reach - padding.1 + extra[axis])
        }
        guard (before + after).allSatisfy({ $0.magnitude <= ONNXNode.maximumSize }) else { throw .corrupt("huge pads") }
    }
}
