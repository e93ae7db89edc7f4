import OunceGraph

extension ONNXTranslation {
    /// Scale and zero point of Q or DQ for numbers of `dtype`; those of uint8 numbers shifted to int8.
    private mutating func quantization(
        _ node: inout ONNXNode, of dtype: DType, rank: Int
    ) throws(ImportFailure) -> AffineQuantization {
        node.ignore("saturate", "precision")
        try node.require("block_size", 0)
        guard let scale = try constant(node, 1), scale.dtype == .float32, scale.shape.rank <= 1 else {
            throw .unsupported("its scale is no constant of float32; export static quantisation")
        }
        let given = node.input(2) == nil ? nil : try constant(node, 2)
        guard node.input(2) == nil || given?.dtype == dtype else {
            throw .unsupported("its zero point is no constant of \(dtype); export static quantisation")
        }
        let scales = scale.floats()
        guard scales.allSatisfy({ $0.isFinite && $0 > 0 }) else { throw .corrupt("a scale is not positive") }
        let zeroPoints = given?.integers() ?? [Int](repeating: 0, count: scales.count)
        guard scales.count == zeroPoints.count, !scales.isEmpty else {
            throw .corrupt("\(scales.count) scales and \(zeroPoints.count) zero points")
        }
        let axis = node.int("axis", default: 1)
        let affine = AffineQuantization(
            scales: scales, zeroPoints: zeroPoints.map { Int32(truncatingIfNeeded: $0) },
            axis: scale.shape.rank == 0 || scales.count == 1 ? nil : try axes([axis], rank: rank)[0])
        return dtype == .uint8 ? affine.shiftedToSigned : affine
    }

    /// The stored type of a quantised tensor, which its zero point says.
    private func quantizedType(_ node: ONNXNode, default absent: DType) throws(ImportFailure) -> DType {
        guard node.input(2) != nil, case .constant(let tensor, _) = try binding(node, 2) else { return absent }
        return tensor.dtype
    }

    /// Whether Q or DQ has the form that int8 inference knows: a constant scale for the whole tensor or each channel.
    private mutating func isStatic(_ node: inout ONNXNode) throws(ImportFailure) -> Bool {
        guard let scale = try constant(node, 1), scale.dtype == .float32, scale.shape.rank <= 1,
            node.int("block_size", default: 0) == 0
        else { return false }
        let zeroPoint = try constant(node, 2)
        return node.input(2) == nil || zeroPoint != nil
    }

    mutating func quantizeLinear(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let code = node.int("output_dtype", default: 0)
        let dtype = try quantizedType(node, default: code == 0 ? .uint8 : DType(onnx: code) ?? .float32)
        let x = try value(node, 0)
        guard dtype == .int8 || dtype == .uint8, type(x).dtype == .float32, try isStatic(&node) else {
            return try quantizeByDefinition(&node)
        }
        let affine = try quantization(&node, of: dtype, rank: shape(x).rank)
        return .value(
            try builder.emit(.quantize, [x], name: node.name, output: node.output, encoding: .affine(affine)))
    }

    mutating func dequantizeLinear(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("output_dtype")
        let isStatic = try isStatic(&node)
        if isStatic, case .constant(let tensor, .plain) = try binding(node, 0) {
            guard [.int8, .uint8, .int32].contains(tensor.dtype) else {
                throw .unsupported("\(tensor.dtype) weights; quantise to int8")
            }
            let affine = try quantization(&node, of: tensor.dtype, rank: tensor.shape.rank)
            if tensor.dtype == .uint8 { try builder.charge(tensor.byteCount) }
            if let axis = affine.axis, tensor.shape[axis] != affine.scales.count {
                throw .corrupt("\(affine.scales.count) scales for axis \(axis) of \(tensor.shape)")
            }
            return .constant(tensor.shiftedToSigned ?? tensor, .affine(affine))
        }
        let x = try value(node, 0)
        if isStatic, let stored = builder.graph[x].encoding.affine {
            let wanted = try quantization(&node, of: try quantizedType(node, default: .uint8), rank: shape(x).rank)
            guard stored == wanted else {
                throw .unsupported("its scale or zero point differ from those with which the numbers were made")
            }
            return .value(try builder.emit(.dequantize, [x], name: node.name, output: node.output))
        }
        guard builder.graph[x].encoding == .plain else {
            throw .unsupported("it takes quantised integers with a scale that is not known on import")
        }
        // Integers that the model takes from outside.
        return try dequantizeByDefinition(&node)
    }
}
