/// Arithmetic on constants; nil where it is not supported or would not be exact in the sense of the operator.
enum ConstantArithmetic {
    static func cast(_ x: Tensor, to dtype: DType) -> Tensor? {
        if x.dtype == .float16, dtype == .float32 { return x.widened }
        if x.dtype.isFloat {
            switch dtype {
            case .float32: return Tensor(x.floats(), shape: x.shape)
            case .float64: return Tensor(x.doubles(), shape: x.shape)
            case .int32, .int64:
                let numbers = x.doubles()
                guard numbers.allSatisfy({ abs($0) < 0x1p31 }) else { return nil }
                return tensor(numbers.map { Int($0) }, dtype, x.shape)
            default: return nil
            }
        }
        guard let numbers = x.integers() else { return nil }
        switch dtype {
        case .float32: return Tensor(numbers.map { Float($0) }, shape: x.shape)
        case .float64: return Tensor(numbers.map { Double($0) }, shape: x.shape)
        default: return tensor(numbers, dtype, x.shape)
        }
    }

    /// `clamp(rne(x / scale) + zero, -128, 127)`, as the kernels do it; NaN gives zero.
    static func quantize(_ x: Tensor, _ affine: AffineQuantization) -> Tensor? {
        guard let numbers = x.elements(Float.self) else { return nil }
        let axis = affine.axis ?? 0
        let stride = affine.axis == nil ? max(x.count, 1) : x.shape.strides[axis]
        let channels = affine.axis == nil ? 1 : x.shape[axis]
        let quantized = numbers.enumerated().map { index, number -> Int8 in
            let channel = index / stride % channels
            let zero = Float(affine.zeroPoints[channel])
            let units = number / affine.scales[channel]
            guard !units.isNaN else { return Int8(clamping: affine.zeroPoints[channel]) }
            let clamped = min(max(units, -128 - zero), 127 - zero)
            return Int8(clamping: Int(clamped.rounded(.toNearestOrEven)) + Int(affine.zeroPoints[channel]))
        }
        return Tensor(quantized, shape: x.shape)
    }

    /// Without exp, log and the like: those are computed by the kernels alone, so that they have the same bits always.
    static func unary(_ unary: UnaryOperator, _ x: Tensor) -> Tensor? {
        guard let numbers = x.elements(Float.self) else { return nil }
        let results: [Float]
        switch unary {
        case .clip(let low, let high): results = numbers.map { clamp($0, low, high) }
        case .leakyRelu(let slope): results = numbers.map { $0 >= 0 ? $0 : slope * $0 }
        case .sqrt: results = numbers.map { $0.squareRoot() }
        case .negate: results = numbers.map { -$0 }
        case .abs: results = numbers.map { Swift.abs($0) }
        case .sigmoid, .tanh, .exp, .log, .hardSwish, .hardSigmoid, .function: return nil
        }
        return Tensor(results, shape: x.shape)
    }

    /// Operands of one shape.
    static func binary(_ binary: BinaryOperator, _ activation: Activation, _ a: Tensor, _ b: Tensor) -> Tensor? {
        guard binary.isArithmetic else { return nil }
        if let x = a.elements(Float.self), let y = b.elements(Float.self) {
            let (low, high) = activation.bounds
            let results = zip(x, y).map { (x, y) -> Float in
                switch binary {
                case .add: clamp(x + y, low, high)
                case .subtract: clamp(x - y, low, high)
                case .multiply: clamp(x * y, low, high)
                case .divide: clamp(x / y, low, high)
                case .minimum: clamp(x < y ? x : y, low, high)
                default: clamp(x > y ? x : y, low, high)
                }
            }
            return Tensor(results, shape: a.shape)
        }
        guard a.dtype == .int32 || a.dtype == .int64, activation == .none, let x = a.integers(), let y = b.integers()
        else { return nil }
        var results: [Int] = []
        results.reserveCapacity(x.count)
        for (x, y) in zip(x, y) {
            switch binary {
            case .add: results.append(x &+ y)
            case .subtract: results.append(x &- y)
            case .multiply: results.append(x &* y)
            case .divide:
                guard y != 0 else { return nil }
                results.append(y == -1 ? 0 &- x : x / y)
            case .minimum: results.append(min(x, y))
            default: results.append(max(x, y))
            }
        }
        return tensor(results, a.dtype, a.shape)
    }

    private static func clamp(_ x: Float, _ low: Float, _ high: Float) -> Float {
        let raised = x > low ? x : low
        return low == -.infinity && high == .infinity ? x : (raised < high ? raised : high)
    }

    private static func tensor(_ numbers: [Int], _ dtype: DType, _ shape: Shape) -> Tensor? {
        switch dtype {
        case .int8: Tensor(numbers.map { Int8(truncatingIfNeeded: $0) }, shape: shape)
        case .uint8: Tensor(numbers.map { UInt8(truncatingIfNeeded: $0) }, shape: shape)
        case .int16: Tensor(numbers.map { Int16(truncatingIfNeeded: $0) }, shape: shape)
        case .uint16: Tensor(numbers.map { UInt16(truncatingIfNeeded: $0) }, shape: shape)
        case .int32: Tensor(numbers.map { Int32(truncatingIfNeeded: $0) }, shape: shape)
        case .uint32: Tensor(numbers.map { UInt32(truncatingIfNeeded: $0) }, shape: shape)
        case .int64: Tensor(numbers.map { Int64($0) }, shape: shape)
        case .uint64: Tensor(numbers.map { UInt64(truncatingIfNeeded: $0) }, shape: shape)
        case .bool: Tensor(numbers.map { $0 != 0 }, shape: shape)
        case .float16, .float32, .float64: nil
        }
    }
}

extension Tensor {
    /// float16 as float32, exactly.
    fileprivate var widened: Tensor? {
        mappedRows(as: .float32) { _, source, target in
            for index in 0..<source.count / 2 {
                let half = source.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
                target.storeBytes(of: Float(halfBits: half), toByteOffset: 4 * index, as: Float.self)
            }
        }
    }
}
