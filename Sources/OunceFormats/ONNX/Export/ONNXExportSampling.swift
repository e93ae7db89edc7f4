import OunceGraph

// Operators that read between the places of a grid.
extension ONNXExport {
    /// ONNX counts from -1 to 1, the graph in pixels.
    mutating func sampleAt(_ node: Node, _ x: ValueID, _ sampling: GridSampling) throws(FormatError) {
        let places = try second(node)
        let extents = graph[x].shape.dims.dropFirst(2).reversed().map { Double($0) }
        guard !extents.isEmpty, extents.allSatisfy({ $0 > 0 }) else {
            throw FormatError(.unsupported, "\(node.name): sampling of images of unknown size")
        }
        let isAligned: Bool
        let grid: String
        if let known = normalizedPlaces(places, extents, sampling.border) {
            isAligned = known.isAligned
            grid = try tensor(known.grid, order: Array(0..<rank(known.grid)))
        } else {
            isAligned = sampling.border == .mirrorCentre
            grid = try normalize(places, extents, isAligned: isAligned, name: node.name)
        }
        let mode =
            switch sampling.interpolation {
            case .nearest: "nearest"
            case .linear: opset < 20 ? "bilinear" : "linear"
            case .cubic: opset < 20 ? "bicubic" : "cubic"
            }
        let padding =
            switch sampling.border {
            case .zeros: "zeros"
            case .edge: "border"
            case .mirrorEdge, .mirrorCentre: "reflection"
            }
        try finish(
            node, "GridSample", [try tensor(x, order: Array(0..<rank(x))), grid],
            [
                "mode": .string(mode), "padding_mode": .string(padding),
                "align_corners": .integer(isAligned ? 1 : 0),
            ], order: Array(0..<rank(x)))
    }

    /// Where pixels are `grid * factors + shifts` already, the grid: nothing is lost by going back and forth.
    private func normalizedPlaces(
        _ places: ValueID, _ extents: [Double], _ border: GridSampling.Border
    ) -> (grid: ValueID, isAligned: Bool)? {
        func operands(_ id: ValueID, _ op: BinaryOperator) -> (ValueID, [Double])? {
            guard let index = producers[id], case .binary(op, .none) = graph.nodes[index].op,
                let x = graph.nodes[index].inputs[0], let y = graph.nodes[index].inputs[1],
                let constant = graph[y].constant, constant.count == extents.count
            else { return nil }
            return (x, constant.doubles())
        }
        guard let (scaled, shifts) = operands(places, .add), let (grid, factors) = operands(scaled, .multiply),
            shifts == extents.map({ ($0 - 1) / 2 }), graph[grid].shape.rank == graph[places].shape.rank
        else { return nil }
        if factors == extents.map({ $0 / 2 }), border != .mirrorCentre { return (grid, false) }
        if factors == shifts, border != .mirrorEdge { return (grid, true) }
        return nil
    }

    private mutating func normalize(
        _ places: ValueID, _ extents: [Double], isAligned: Bool, name: String
    ) throws(FormatError) -> String {
        let factors = extents.map { isAligned ? ($0 == 1 ? 0 : 2 / ($0 - 1)) : 2 / $0 }
        let shifts = extents.map { isAligned ? ($0 == 1 ? 0 : -1) : 1 / $0 - 1 }
        let dtype = numberType(places)
        let inputs = [
            try tensor(places, order: Array(0..<rank(places))), try row(factors, dtype, name: "\(name)_factors"),
        ]
        let scaled = emit("Mul", inputs, name: "\(name)_Mul", output: "\(name)_scaled")
        return emit(
            "Add", [scaled, try row(shifts, dtype, name: "\(name)_shifts")], name: "\(name)_Add",
            output: "\(name)_grid")
    }

    private mutating func row(_ numbers: [Double], _ dtype: DType, name: String) throws(FormatError) -> String {
        switch dtype {
        case .float64: return initializer(Tensor(numbers), name: name)
        case .float32: return initializer(Tensor(numbers.map { Float($0) }), name: name)
        default: throw FormatError(.unsupported, "\(name): sampling at places of \(dtype)")
        }
    }

    mutating func roiAlign(_ node: Node, _ x: ValueID, _ align: RoiAlignment) throws(FormatError) {
        guard node.inputs.count > 2, let images = node.inputs[2] else {
            throw FormatError(.invalidArgument, "\(node.name) has no list of images")
        }
        let regions = try second(node)
        let inputs = [
            try tensor(x, order: Array(0..<4)), try tensor(regions, order: [0, 1]), try tensor(images, order: [0]),
        ]
        try finish(
            node, "RoiAlign", inputs,
            [
                "mode": .string(align.kind == .max ? "max" : "avg"), "output_height": .integer(align.height),
                "output_width": .integer(align.width), "sampling_ratio": .integer(align.samplingRatio),
                "spatial_scale": .float(align.scale),
                "coordinate_transformation_mode": .string(align.isHalfPixel ? "half_pixel" : "output_half_pixel"),
            ], order: Array(0..<4))
    }
}
