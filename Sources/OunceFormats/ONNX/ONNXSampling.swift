import OunceGraph

/// Operators that read between the places of a grid.
extension ONNXTranslation {
    mutating func gridSample(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (x, grid) = (try value(node, 0), try value(node, 1))
        let dims = shape(x).dims
        guard dims.count >= 3, dims[2...].allSatisfy({ $0 > 0 }) else {
            throw .unsupported("its input is \(shape(x)); export with a fixed size of images")
        }
        let interpolation: GridSampling.Interpolation
        switch node.string("mode", default: "linear") {
        case "linear", "bilinear": interpolation = .linear
        case "nearest": interpolation = .nearest
        case "cubic", "bicubic": interpolation = .cubic
        case let mode: throw .unsupported("mode '\(mode)'")
        }
        let isAligned = node.int("align_corners", default: 0) != 0
        let border: GridSampling.Border
        switch node.string("padding_mode", default: "zeros") {
        case "zeros": border = .zeros
        case "border": border = .edge
        case "reflection": border = isAligned ? .mirrorCentre : .mirrorEdge
        case let mode: throw .unsupported("padding_mode '\(mode)'")
        }
        // From -1...1 to pixels; the last spatial axis comes first.
        let extents = dims[2...].reversed().map { Double($0) }
        let scale = extents.map { isAligned ? ($0 - 1) / 2 : $0 / 2 }
        let shift = extents.map { isAligned ? ($0 - 1) / 2 : ($0 - 1) / 2 }
        let dtype = type(grid).dtype
        let scaled = try multiply(grid, try cast(try numbers(scale), dtype))
        let places = try add(scaled, try cast(try numbers(shift), dtype))
        return .value(try make(.sampleAt(GridSampling(interpolation, border: border)), x, places))
    }

    mutating func affineGrid(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let theta = try value(node, 0)
        let isAligned = node.int("align_corners", default: 0) != 0
        guard let size = try integers(node, 1), (4...5).contains(size.count),
            size.allSatisfy({ (1...ONNXNode.maximumSize).contains($0) }), Shape(size).isBounded
        else { throw .corrupt("its size is no shape of images") }
        let extents = Array(size[2...])
        let count = extents.reduce(1, *)
        try builder.charge(8 * count * (extents.count + 1))
        var rows: [Double] = []
        for index in 0..<count {
            var rest = index
            var row = [1.0]
            for extent in extents.reversed() {
                let i = Double(rest % extent)
                rest /= extent
                row.append(
                    isAligned
                        ? (extent == 1 ? -1 : 2 * i / Double(extent - 1) - 1) : (2 * i + 1) / Double(extent) - 1)
            }
            rows += row[1...] + [1]
        }
        let base = try cast(try numbers(rows, [count, extents.count + 1]), type(theta).dtype)
        let grid = try make(.matMul, base, try transpose(theta, [0, 2, 1]))
        return .value(try reshape(grid, to: [size[0]] + extents + [extents.count]))
    }

    mutating func roiAlign(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let mode = node.string("mode", default: "avg")
        guard ["avg", "max"].contains(mode) else { throw .unsupported("mode '\(mode)'") }
        let isHalfPixel = node.string(
            "coordinate_transformation_mode", default: opset >= 16 ? "half_pixel" : "output_half_pixel")
        let align = RoiAlignment(
            kind: mode == "max" ? .max : .average, height: node.int("output_height", default: 1),
            width: node.int("output_width", default: 1), samplingRatio: node.int("sampling_ratio", default: 0),
            scale: node.float("spatial_scale", default: 1), isHalfPixel: isHalfPixel == "half_pixel")
        let images = try cast(try value(node, 2), .int64)
        return .value(try make(.roiAlign(align), try value(node, 0), try value(node, 1), images))
    }

    /// A convolution each of whose taps reads at a place of its own: sampled, then a matrix product.
    mutating func deformableConvolution(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (x, weights, offsets) = (try value(node, 0), try value(node, 1), try value(node, 2))
        let (dims, kernelDims, outDims) = (try known(x), try known(weights), try known(offsets))
        let (groups, parts) = (node.int("group", default: 1), node.int("offset_group", default: 1))
        guard dims.count == 4, kernelDims.count == 4, outDims.count == 4, groups > 0, parts > 0,
            (dims + kernelDims + outDims).allSatisfy({ $0 > 0 }), dims[1] % groups == 0, dims[1] % parts == 0,
            kernelDims[0] % groups == 0
        else { throw .unsupported("an input \(shape(x)) with weights \(shape(weights)); images are supported") }
        let window = try ONNXWindow(&node, extents: Array(dims[2...]), kernel: Array(kernelDims[2...]))
        let (kernel, rows, columns) = (window.kernel, outDims[2], outDims[3])
        let taps = kernel[0] * kernel[1]
        guard outDims[1] == 2 * taps * parts else { throw .corrupt("offsets \(shape(offsets))") }
        var base: [Double] = []
        try builder.charge(16 * taps * rows * columns)
        for tap in 0..<taps {
            for row in 0..<rows {
                for column in 0..<columns {
                    base.append(
                        Double(column * window.strides[1] - window.padding[1].before)
                            + Double(tap % kernel[1] * window.dilations[1]))
                    base.append(
                        Double(row * window.strides[0] - window.padding[0].before)
                            + Double(tap / kernel[1] * window.dilations[0]))
                }
            }
        }
        let images = dims[0] * parts
        let moved = try transpose(try reshape(offsets, to: [images, taps, 2, rows, columns]), [0, 1, 3, 4, 2])
        let shifts = try make(.reverse(axes: [4]), moved)
        let places = try add(
            shifts, try cast(try numbers(base, [taps, rows, columns, 2]), type(shifts).dtype))
        var sampled = try make(
            .sampleAt(GridSampling(.linear, border: .zeros)),
            try reshape(x, to: [images, dims[1] / parts, dims[2], dims[3]]),
            try reshape(places, to: [images, taps * rows, columns, 2]))
        if let mask = try optionalValue(node, 4) {
            sampled = try multiply(sampled, try reshape(mask, to: [images, 1, taps * rows, columns]))
        }
        let depth = dims[1] / groups * taps
        let product = try make(
            .matMul, try reshape(weights, to: [1, groups, kernelDims[0] / groups, depth]),
            try reshape(sampled, to: [dims[0], groups, depth, rows * columns]))
        let result = try reshape(product, to: [dims[0], kernelDims[0], rows, columns])
        guard let bias = try optionalValue(node, 3) else { return .value(result) }
        return .value(try add(result, try reshape(bias, [.infer, .literal(1), .literal(1)])))
    }

    /// Numbers back at the places that max pooling took them from.
    mutating func maxUnpool(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (x, places) = (try value(node, 0), try value(node, 1))
        let dims = try known(x)
        let window = try ONNXWindow(&node, extents: try spatial(x), kernel: nil)
        var made = Array(dims[..<2])
        for axis in window.kernel.indices {
            let padding = window.padding[axis]
            made.append(
                (dims[axis + 2] - 1) * window.strides[axis] + window.kernel[axis] - padding.before - padding.after)
        }
        guard made.allSatisfy({ $0 > 0 }), let count = Shape(made).elementCount else { throw .corrupt("its window") }
        let empty = try make(.expand([count]), try scalar(0, like: x))
        let op = Op.scatter(Scattering(axis: 0, reduction: .none))
        let flat = try make(
            op, empty, try reshape(try cast(places, .int64), [.infer]), try reshape(x, [.infer]))
        let result = try reshape(flat, to: made)
        guard let wanted = try integers(node, 2) else { return .value(result) }
        guard wanted.count == made.count, zip(wanted, made).allSatisfy({ $0 >= $1 && $0 <= ONNXNode.maximumSize })
        else { throw .corrupt("output_shape \(wanted.prefix(8)) for \(made)") }
        let after = zip(wanted, made).map { $0 - $1 }
        return .value(try make(.pad(before: after.map { _ in 0 }, after: after, value: 0), result))
    }

    /// Adds the columns of an unfolded image up to the image.
    mutating func columnsToImage(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let dims = try known(x)
        guard let image = try integers(node, 1), let block = try integers(node, 2), image.count == block.count,
            (1...3).contains(image.count), dims.count == 3,
            (image + block).allSatisfy({ (1...ONNXNode.maximumSize).contains($0) }), Shape(block).isBounded,
            let pixels = Shape(image).elementCount
        else { throw .corrupt("its image or block does not fit \(shape(x))") }
        let window = try ONNXWindow(&node, extents: image, kernel: block)
        let taps = block.reduce(1, *)
        let counts = image.indices.map { axis in
            let padding = window.padding[axis]
            return (image[axis] + padding.before + padding.after - (block[axis] - 1) * window.dilations[axis] - 1)
                / window.strides[axis] + 1
        }
        guard counts.allSatisfy({ $0 > 0 }), counts.reduce(1, *) == dims[2], dims[1] % taps == 0 else {
            throw .corrupt("\(counts) blocks for \(shape(x))")
        }
        try builder.charge(8 * taps * dims[2])
        var places: [Int64] = []
        for tap in 0..<taps {
            for position in 0..<dims[2] {
                var (tapRest, rest, place, unit) = (tap, position, 0, 1)
                var isInside = true
                for axis in image.indices.reversed() {
                    let at =
                        rest % counts[axis] * window.strides[axis] + tapRest % block[axis] * window.dilations[axis]
                        - window.padding[axis].before
                    isInside = isInside && (0..<image[axis]).contains(at)
                    place += at * unit
                    unit *= image[axis]
                    rest /= counts[axis]
                    tapRest /= block[axis]
                }
                // A place behind the image is not written.
                places.append(isInside ? Int64(place) : Int64(pixels))
            }
        }
        let channels = dims[1] / taps
        let empty = try make(.expand([dims[0], channels, pixels]), try scalar(0, like: x))
        let indices = try make(.expand([dims[0], channels, places.count]), try numbers(places))
        let updates = try reshape(x, to: [dims[0], channels, places.count])
        let sum = try make(.scatter(Scattering(axis: 2, reduction: .add)), empty, indices, updates)
        return .value(try reshape(sum, to: [dims[0], channels] + image))
    }

    mutating func centerCropPad(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let dims = try known(x)
        let axes = try self.axes(node.ints("axes") ?? Array(dims.indices), rank: dims.count)
        guard let wanted = try integers(node, 1), wanted.count == axes.count,
            wanted.allSatisfy({ (0...ONNXNode.maximumSize).contains($0) })
        else { throw .corrupt("its shape does not fit \(shape(x))") }
        var ranges = [SliceRange](repeating: .all, count: dims.count)
        var (before, after) = ([Int](repeating: 0, count: dims.count), [Int](repeating: 0, count: dims.count))
        for (axis, extent) in zip(axes, wanted) {
            let surplus = dims[axis] - extent
            if surplus > 0 {
                ranges[axis] = SliceRange(start: surplus / 2, end: surplus / 2 + extent)
            } else {
                before[axis] = -surplus / 2
                after[axis] = -surplus - before[axis]
            }
        }
        return .value(try make(.pad(before: before, after: after, value: 0), try make(.slice(ranges), x)))
    }
}
