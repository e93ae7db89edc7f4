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
    /// Quantised to uint8 in the file: inside the graph its numbers lie 128 lower, as int8.
    let isShifted: Bool
    /// Two numbers of 4 bits in a byte, the first in the low half.
    let isPacked: Bool
    let isVariable: Bool
    let sparsity: FlatTable?

    init(_ table: FlatTable, maximumList: Int) throws(ImportFailure) {
        name = try table.string(10, limit: 1 << 12)
        let code = try table.integer(6, as: Int8.self)
        isPacked = code == Self.int4
        guard let stored = isPacked ? .int8 : DType(tflite: code) else {
            throw .unsupported("'\(name)' holds \(Self.typeName(code)); convert to float32 or int8")
        }
        shape = Shape(try table.integers(4, as: Int32.self, limit: 8).map { Int($0) })
        guard shape.elementCount != nil, shape.isBounded else { throw .corrupt("'\(name)' has the extents \(shape)") }
        isVariable = try table.flag(14)
        sparsity = try table.table(16)
        buffer = Int(try table.integer(8, as: UInt32.self))
        let encoding = try Self.encoding(table.table(12), stored, shape, name, maximumList: 16 * maximumList)
        isShifted = stored == .uint8 && encoding != .plain
        dtype = isShifted ? .int8 : stored
        self.encoding = isShifted ? encoding.affine.map { .affine($0.shiftedToSigned) } ?? .plain : encoding
    }

    private static let int4: Int8 = 17

    private static func typeName(_ code: Int8) -> String {
        let names: [Int8: String] = [
            5: "strings", 8: "complex numbers", 11: "complex numbers", 13: "a resource", 14: "a variant",
            18: "bfloat16",
            19: "2-bit integers", 20: "4-bit unsigned integers",
        ]
        return names[code] ?? "the element type \(code)"
    }

    /// How the file has it: what the model's users give and get.
    var stored: (dtype: DType, encoding: Encoding) {
        guard isShifted, let affine = encoding.affine else { return (dtype, encoding) }
        let zeroPoints = affine.zeroPoints.map { $0 &+ 128 }
        return (.uint8, .affine(AffineQuantization(scales: affine.scales, zeroPoints: zeroPoints, axis: affine.axis)))
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
        let range = dtype == .int8 ? -128...127 : dtype == .uint8 ? 0...255 : -32768...32767 as ClosedRange<Int32>
        guard dtype == .int8 || dtype == .uint8 || dtype == .int16 else {
            throw .unsupported("'\(name)' is quantised to \(dtype); convert to int8")
        }
        var zeroPoints = try table.integers(10, as: Int64.self, limit: maximumList).compactMap { Int32(exactly: $0) }
        if zeroPoints.isEmpty { zeroPoints = [Int32](repeating: 0, count: scales.count) }
        let axis = try table.int(16)
        let isPerTensor = scales.count == 1
        guard zeroPoints.count == scales.count, scales.allSatisfy({ $0.isFinite && $0 > 0 }),
            zeroPoints.allSatisfy(range.contains),
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
