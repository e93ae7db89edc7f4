import OunceGraph

extension DType {
    /// From the element type numbers of TFLite.
    init?(tflite code: Int8) {
        switch code {
        case 0: self = .float32
        case 1: self = .float16
        case 2: self = .int32
        case 3: self = .uint8
        case 4: self = .int64
        case 6: self = .bool
        case 7: self = .int16
        case 9: self = .int8
        case 10: self = .float64
        case 12: self = .uint64
        case 15: self = .uint32
        case 16: self = .uint16
        default: return nil
        }
    }
}

/// The declaration of a tensor.
struct TFLiteTensor {
    let name: String
    let dtype: DType
    let shape: Shape
    let encoding: Encoding
    let buffer: Int

    init(_ table: FlatTable, maximumList: Int) throws(ImportFailure) {
        name = try table.string(10, limit: 1 << 12)
        let code = try table.integer(6, as: Int8.self)
        guard let dtype = DType(tflite: code) else {
            throw .unsupported("element type \(code) of TFLite ('\(name)'); convert to float32 or int8")
        }
        shape = Shape(try table.integers(4, as: Int32.self, limit: 8).map { Int($0) })
        guard shape.elementCount != nil else { throw .corrupt("'\(name)' has the extents \(shape)") }
        guard try !table.flag(14) else { throw .unsupported("'\(name)' is a variable; convert without state") }
        guard !table.has(16) else { throw .unsupported("'\(name)' is sparse; convert with dense weights") }
        self.dtype = dtype
        buffer = Int(try table.integer(8, as: UInt32.self))
        encoding = try Self.encoding(table.table(12), dtype, shape, name, maximumList: 16 * maximumList)
    }

    /// Biases are int32 on the grid of input times weights, which follows from those: they stay plain.
    private static func encoding(
        _ table: FlatTable?, _ dtype: DType, _ shape: Shape, _ name: String, maximumList: Int
    ) throws(ImportFailure) -> Encoding {
        guard let table, dtype != .int32, dtype != .int64 else { return .plain }
        guard try table.integer(12, as: UInt8.self) == 0 else {
            throw .unsupported("'\(name)' is quantised in a way of its own; convert to int8")
        }
        let scales = try table.integers(8, as: UInt32.self, limit: maximumList).map { Float(bitPattern: $0) }
        guard !scales.isEmpty, !dtype.isFloat else { return .plain }
        guard dtype == .int8 else {
            throw .unsupported("'\(name)' is quantised to \(dtype); convert to int8")
        }
        var zeroPoints = try table.integers(10, as: Int64.self, limit: maximumList).compactMap { Int32(exactly: $0) }
        if zeroPoints.isEmpty { zeroPoints = [Int32](repeating: 0, count: scales.count) }
        let axis = try table.int(16)
        let isPerTensor = scales.count == 1
        guard zeroPoints.count == scales.count, scales.allSatisfy({ $0.isFinite && $0 > 0 }),
            zeroPoints.allSatisfy({ (-128...127).contains($0) }),
            isPerTensor || (shape.dims.indices.contains(axis) && shape[axis] == scales.count)
        else { throw .corrupt("the scales or zero points of '\(name)' do not fit \(shape)") }
        return .affine(AffineQuantization(scales: scales, zeroPoints: zeroPoints, axis: isPerTensor ? nil : axis))
    }
}

extension FlatTable {
    /// The shape with the extents open that the converter left open (`shape_signature`).
    func signature(_ shape: Shape) throws(ImportFailure) -> Shape {
        let signature = try integers(18, as: Int32.self, limit: 8)
        guard signature.count == shape.rank else { return shape }
        return Shape(zip(shape.dims, signature).map { $1 < 0 ? Shape.unknown : $0 })
    }
}
