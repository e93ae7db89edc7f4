/// Element type of a tensor.
///
/// The raw values are part of the artifact format: never renumber them.
package enum DType: UInt8, Sendable, Hashable, CaseIterable {
    case float32 = 1
    case float16 = 2
    case float64 = 3
    case int8 = 4
    case uint8 = 5
    case int16 = 6
    case uint16 = 7
    case int32 = 8
    case uint32 = 9
    case int64 = 10
    case uint64 = 11
    case bool = 12

    /// Bytes of one element.
    package var byteSize: Int {
        switch self {
        case .int8, .uint8, .bool: 1
        case .float16, .int16, .uint16: 2
        case .float32, .int32, .uint32: 4
        case .float64, .int64, .uint64: 8
        }
    }

    /// Where the zero point of quantised values lies; nil: anywhere in int32.
    var zeroPointRange: ClosedRange<Int32>? {
        switch self {
        case .int8: -128...127
        case .uint8: 0...255
        case .int16: -32768...32767
        case .uint16: 0...65535
        default: nil
        }
    }

    /// Whether values of this type may lie on an affine grid that loops move numbers to and from.
    package var isQuantizable: Bool { zeroPointRange != nil }

    package var isFloat: Bool { self == .float32 || self == .float16 || self == .float64 }

    package var isInteger: Bool { !isFloat && self != .bool }

    /// The name that users read, in NumPy's terms ("float32", "int8").
    package var name: String { String(describing: self) }
}
