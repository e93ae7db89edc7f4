import Glibc

/// The three kinds of numbers in which generic loops compute: Double for floats, Int64 for integers, UInt64 for uint64.
/// Integers wrap around; dividing one by zero gives zero.
protocol GenericNumber: Comparable, BitwiseCopyable {
    init(exactlyOrNearest value: Double)
    var double: Double { get }
    static var zero: Self { get }
    static var one: Self { get }
    static func binary(_ op: BinaryOperator, _ a: Self, _ b: Self) -> Self
    static func function(_ function: ElementFunction, _ x: Self) -> Self
    var isNaN: Bool { get }
}

extension Double: GenericNumber {
    init(exactlyOrNearest value: Double) { self = value }
    var double: Double { self }
    static var one: Double { 1 }

    static func binary(_ op: BinaryOperator, _ a: Double, _ b: Double) -> Double {
        switch op {
        case .add: a + b
        case .subtract: a - b
        case .multiply: a * b
        case .divide: a / b
        case .minimum: a.isNaN || a < b ? a : b
        case .maximum: a.isNaN || a > b ? a : b
        case .power: pow(a, b)
        case .remainder: fmod(a, b)
        case .modulo:
            switch fmod(a, b) {
            case let rest where rest != 0 && (rest < 0) != (b < 0): rest + b
            case let rest: rest
            }
        case .and: a != 0 && b != 0 ? 1 : 0
        case .or: a != 0 || b != 0 ? 1 : 0
        case .xor: (a != 0) != (b != 0) ? 1 : 0
        case .shiftLeft: a * exp2(b)
        case .shiftRight: a * exp2(-b)
        }
    }

    static func function(_ function: ElementFunction, _ x: Double) -> Double {
        switch function {
        case .not: x == 0 ? 1 : 0
        case .sign: x > 0 ? 1 : x < 0 ? -1 : x
        case .floor: x.rounded(.down)
        case .ceil: x.rounded(.up)
        case .round: x.rounded(.toNearestOrEven)
        case .erf: Glibc.erf(x)
        case .softplus: max(x, 0) + log1p(Glibc.exp(-x.magnitude))
        case .expMinusOne: expm1(x)
        case .sin: Glibc.sin(x)
        case .cos: Glibc.cos(x)
        case .tan: Glibc.tan(x)
        case .asin: Glibc.asin(x)
        case .acos: Glibc.acos(x)
        case .atan: Glibc.atan(x)
        case .sinh: Glibc.sinh(x)
        case .cosh: Glibc.cosh(x)
        case .asinh: Glibc.asinh(x)
        case .acosh: Glibc.acosh(x)
        case .atanh: Glibc.atanh(x)
        case .gelu: 0.5 * x * (1 + Glibc.erf(x / 2.0.squareRoot()))
        case .geluTanh: 0.5 * x * (1 + Glibc.tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        }
    }
}

/// What Int64 and UInt64 share.
protocol GenericInteger: GenericNumber, FixedWidthInteger {}

extension GenericInteger {
    init(exactlyOrNearest value: Double) {
        if value.isNaN {
            self = 0
        } else if value >= Double(Self.max) {
            self = .max
        } else if value <= Double(Self.min) {
            self = .min
        } else {
            self = Self(value)
        }
    }
    var double: Double { Double(self) }
    static var one: Self { 1 }
    var isNaN: Bool { false }

    static func binary(_ op: BinaryOperator, _ a: Self, _ b: Self) -> Self {
        switch op {
        case .add: return a &+ b
        case .subtract: return a &- b
        case .multiply: return a &* b
        case .divide: return b == 0 ? 0 : a.dividedReportingOverflow(by: b).partialValue
        case .minimum: return Swift.min(a, b)
        case .maximum: return Swift.max(a, b)
        case .power: return power(a, b)
        case .remainder: return b == 0 ? 0 : a.remainderReportingOverflow(dividingBy: b).partialValue
        case .modulo:
            guard b != 0 else { return 0 }
            let rest = a.remainderReportingOverflow(dividingBy: b).partialValue
            return rest != 0 && (rest < 0) != (b < 0) ? rest &+ b : rest
        case .and: return a & b
        case .or: return a | b
        case .xor: return a ^ b
        case .shiftLeft: return b < 0 || b >= Self.bitWidth ? 0 : a &<< b
        case .shiftRight: return b < 0 || b >= Self.bitWidth ? 0 : a &>> b
        }
    }

    private static func power(_ base: Self, _ exponent: Self) -> Self {
        guard exponent >= 0 else { return base == 1 ? 1 : 0 }
        var (result, square, rest): (Self, Self, Self) = (1, base, exponent)
        while rest > 0 {
            if rest & 1 == 1 { result = result &* square }
            square = square &* square
            rest >>= 1
        }
        return result
    }

    static func function(_ function: ElementFunction, _ x: Self) -> Self {
        switch function {
        case .not: ~x
        case .sign: x > 0 ? 1 : x < 0 ? 0 &- 1 : 0
        case .floor, .ceil, .round: x
        default: Self(exactlyOrNearest: Double.function(function, Double(x)))
        }
    }
}

extension Int64: GenericInteger {}
extension UInt64: GenericInteger {}

extension ElementFunction {
    /// Computed in Double and rounded once.
    package func apply(_ x: Float) -> Float { Float(Double.function(self, Double(x))) }
}

extension DType {
    /// Reads element `index` of numbers of this type.
    func load<N: GenericNumber>(_ bytes: UnsafeRawPointer, _ index: Int, as _: N.Type = N.self) -> N {
        func get<T>(_: T.Type) -> T { bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.size, as: T.self) }
        func integer(_ value: some FixedWidthInteger) -> N {
            if N.self == Double.self { return N(exactlyOrNearest: Double(value)) }
            if N.self == UInt64.self { return unsafeBitCast(UInt64(truncatingIfNeeded: value), to: N.self) }
            return unsafeBitCast(Int64(truncatingIfNeeded: value), to: N.self)
        }
        switch self {
        case .float32: return N(exactlyOrNearest: Double(get(Float.self)))
        case .float64: return N(exactlyOrNearest: get(Double.self))
        case .float16: return N(exactlyOrNearest: Double(Float(halfBits: get(UInt16.self))))
        case .int8: return integer(get(Int8.self))
        case .uint8, .bool: return integer(get(UInt8.self))
        case .int16: return integer(get(Int16.self))
        case .uint16: return integer(get(UInt16.self))
        case .int32: return integer(get(Int32.self))
        case .uint32: return integer(get(UInt32.self))
        case .int64: return integer(get(Int64.self))
        case .uint64: return integer(get(UInt64.self))
        }
    }

    /// Writes `value` as element `index`, floats rounded once, integers cut to their width.
    func store<N: GenericNumber>(_ value: N, _ bytes: UnsafeMutableRawPointer, _ index: Int) {
        func put<T>(_ value: T) { bytes.storeBytes(of: value, toByteOffset: index * MemoryLayout<T>.size, as: T.self) }
        var integer: Int64 {
            if let value = value as? Int64 { return value }
            if let value = value as? UInt64 { return Int64(bitPattern: value) }
            return Int64(exactlyOrNearest: value.double)
        }
        switch self {
        case .float32: put(Float(value.double))
        case .float64: put(value.double)
        case .float16: put(value.double.halfBits)
        case .bool: put(UInt8(value == N.zero ? 0 : 1))
        case .int8: put(Int8(truncatingIfNeeded: integer))
        case .uint8: put(UInt8(truncatingIfNeeded: integer))
        case .int16: put(Int16(truncatingIfNeeded: integer))
        case .uint16: put(UInt16(truncatingIfNeeded: integer))
        case .int32: put(Int32(truncatingIfNeeded: integer))
        case .uint32: put(UInt32(truncatingIfNeeded: integer))
        case .int64: put(integer)
        case .uint64:
            if let value = value as? Double { put(UInt64(exactlyOrNearest: value)) } else { put(integer) }
        }
    }
}

extension Double {
    /// The nearest IEEE 754 binary16 number's bits; ties to even.
    package var halfBits: UInt16 {
        let sign: UInt16 = self.sign == .minus ? 0x8000 : 0
        guard !isNaN else { return sign | 0x7E00 }
        guard magnitude < 65520 else { return sign | 0x7C00 }
        // The spacing of binary16 numbers around this one.
        let power = Swift.max(magnitude == 0 ? -14 : Int(magnitude.exponent), -14)
        let units = UInt16((magnitude * exp2(Double(10 - power))).rounded(.toNearestOrEven))
        // 1024 units are the implicit bit; a carry moves into the exponent by itself.
        return sign | (UInt16(power + 14) << 10 &+ units)
    }
}
