import OunceGraph

extension ONNXExport {
    /// Integers on the grid of `id` for the reals in `tensor`.
    mutating func quantize(_ tensor: String, _ id: ValueID, order: [Int]) throws(FormatError) -> String {
        let value = graph[id]
        guard let grid = grid(id), let zeroPoint = zeroPoint(grid, value.dtype), value.dtype != .int32 else {
            throw FormatError(.unsupported, "\(value.name): ONNX of opset \(opset) quantises to 8 and 16 bits only")
        }
        guard !isSymmetric || grid.zeroPoints.allSatisfy({ $0 == 0 }) else {
            return try quantizeByArithmetic(tensor, value, grid)
        }
        var tensor = tensor
        if isAddendOfLayers(id) {
            // OpenVINO leaves out the rounding of a convolution's result in front of a sum; that of a second pair it does,
            // and engines that merge pairs lose nothing.
            let names = [tensor] + gridNames(id, grid, zeroPoint)
            let first = emit(
                "QuantizeLinear", names, name: "\(value.name)_addend_QuantizeLinear",
                output: "\(value.name)_addend_quantized", axis(grid, order))
            tensor = try dequantize(first, id, order: order)
        }
        return emit(
            "QuantizeLinear", [tensor] + gridNames(id, grid, zeroPoint), name: "\(value.name)_QuantizeLinear",
            output: "\(value.name)_quantized", axis(grid, order))
    }

    /// Whether a convolution makes the value and a quantised sum reads it.
    private func isAddendOfLayers(_ id: ValueID) -> Bool {
        guard !isSymmetric, let index = producers[id], case .conv = graph.nodes[index].op else { return false }
        return (consumers[id] ?? []).contains { reader in
            guard case .binary(.add, _) = graph.nodes[reader].op else { return false }
            return grid(graph.nodes[reader].outputs[0]) != nil
        }
    }

    /// The reals that the integers in `tensor` stand for.
    mutating func dequantize(_ tensor: String, _ id: ValueID, order: [Int]) throws(FormatError) -> String {
        let value = graph[id]
        guard let grid = grid(id) else { return tensor }
        let isCentred = grid.zeroPoints.allSatisfy { $0 == 0 }
        guard let zeroPoint = zeroPoint(grid, value.dtype), isCentred || !(isSymmetric || value.dtype == .int32) else {
            return try dequantizeByArithmetic(tensor, value, grid)
        }
        return emit(
            "DequantizeLinear", [tensor] + gridNames(id, grid, zeroPoint), name: "\(value.name)_DequantizeLinear",
            output: "\(value.name)_dequantized", axis(grid, order))
    }

    /// The bias of a layer as reals; int32 ones count in units of the input's scale times the weights'.
    mutating func bias(_ node: Node) throws(FormatError) -> String? {
        guard node.inputs.count > 2, let id = node.inputs[2] else { return nil }
        let value = graph[id]
        guard value.dtype == .int32, let constant = value.constant,
            let input = node.inputs[0].flatMap({ graph[$0].encoding.affine }),
            let weights = node.inputs[1].flatMap({ graph[$0].encoding.affine })
        else { return try tensor(id, order: [0]) }
        let scales = Tensor(weights.scales.map { Float(Double($0) * Double(input.scale)) })
        let scale = weights.isPerTensor ? scales.reshaped([]) ?? scales : scales
        let stored = initializer(constant, name: value.name)
        return emit(
            "DequantizeLinear", [stored, initializer(scale, name: "\(value.name)_scale")],
            name: "\(value.name)_DequantizeLinear", output: "\(value.name)_dequantized",
            weights.isPerTensor ? [:] : ["axis": .integer(0)])
    }

    private func axis(_ grid: AffineQuantization, _ order: [Int]) -> [String: ONNXAttribute] {
        guard let axis = grid.axis, let place = order.firstIndex(of: axis) else { return [:] }
        return ["axis": .integer(place)]
    }

    /// The zero points in the type of the integers; nil for types that ONNX's operators do not take.
    private func zeroPoint(_ grid: AffineQuantization, _ dtype: DType) -> Tensor? {
        let list: Tensor
        switch dtype {
        case .int8: list = Tensor(grid.zeroPoints.map { Int8(clamping: $0) })
        case .uint8: list = Tensor(grid.zeroPoints.map { UInt8(clamping: $0) })
        case .int16: list = Tensor(grid.zeroPoints.map { Int16(clamping: $0) })
        case .uint16: list = Tensor(grid.zeroPoints.map { UInt16(clamping: $0) })
        case .int32: list = Tensor(grid.zeroPoints)
        default: return nil
        }
        return grid.isPerTensor ? list.reshaped([]) : list
    }

    // MARK: Arithmetic where the operators of ONNX, or of TensorRT, do not go

    private mutating func dequantizeByArithmetic(
        _ tensor: String, _ value: Value, _ grid: AffineQuantization
    ) throws(FormatError) -> String {
        guard grid.isPerTensor else { throw severalScales(value) }
        let name = value.name
        let real = emit(
            "Cast", [tensor], name: "\(name)_Cast", output: "\(name)_float",
            ["to": .integer(Int(DType.float32.onnxCode))])
        let zero = scalar(Float(grid.zeroPoint), name: "\(name)_zero_point")
        let centred = emit("Sub", [real, zero], name: "\(name)_Sub", output: "\(name)_centred")
        let scale = scalar(grid.scale, name: "\(name)_scale")
        return emit("Mul", [centred, scale], name: "\(name)_Mul", output: "\(name)_dequantized")
    }

    private mutating func quantizeByArithmetic(
        _ tensor: String, _ value: Value, _ grid: AffineQuantization
    ) throws(FormatError) -> String {
        guard grid.isPerTensor else { throw severalScales(value) }
        let name = value.name
        let scale = scalar(grid.scale, name: "\(name)_scale")
        let scaled = emit("Div", [tensor, scale], name: "\(name)_Div", output: "\(name)_scaled")
        let whole = emit("Round", [scaled], name: "\(name)_Round", output: "\(name)_rounded")
        let zero = scalar(Float(grid.zeroPoint), name: "\(name)_zero_point")
        let shifted = emit("Add", [whole, zero], name: "\(name)_Add", output: "\(name)_shifted")
        let limits = Self.limits(value.dtype)
        let bounds = [scalar(limits.low, name: "\(name)_min"), scalar(limits.high, name: "\(name)_max")]
        let clipped = emit("Clip", [shifted] + bounds, name: "\(name)_Clip", output: "\(name)_clipped")
        return emit(
            "Cast", [clipped], name: "\(name)_Cast", output: "\(name)_quantized",
            ["to": .integer(Int(value.dtype.onnxCode))])
    }

    private static func limits(_ dtype: DType) -> (low: Float, high: Float) {
        switch dtype {
        case .uint8: (0, 255)
        case .int16: (-32768, 32767)
        case .uint16: (0, 65535)
        default: (-128, 127)
        }
    }

    private func severalScales(_ value: Value) -> FormatError {
        FormatError(
            .unsupported,
            "\(value.name): \(value.dtype) with a scale for each channel has no ONNX form of opset \(opset)")
    }
}
