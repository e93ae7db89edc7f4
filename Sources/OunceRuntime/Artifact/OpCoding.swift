import OunceGraph

/// Operators as bytes. Tags are part of the artifact format: never renumber them.
enum OpCoding {
    static func encode(_ op: Op, to writer: inout ByteWriter) {
        switch op {
        case .conv(let conv):
            writer.put(UInt8(1))
            for list in [conv.strides, conv.dilations, conv.padBefore, conv.padAfter] { writer.put(list) }
            writer.put(conv.groups)
            encode(conv.activation, to: &writer)
        case .fullyConnected(let activation):
            writer.put(UInt8(2))
            encode(activation, to: &writer)
        case .matMul: writer.put(UInt8(3))
        case .pool(let pool):
            writer.put(UInt8(4))
            encode(pool, to: &writer)
        case .reduce(let reduction, let axes, let keepDims):
            writer.put(UInt8(5))
            writer.put(reduction.rawValue)
            writer.put(axes)
            writer.put(keepDims)
        case .binary(let op, let activation):
            writer.put(UInt8(6))
            writer.put(op.rawValue)
            encode(activation, to: &writer)
        case .unary(let op):
            writer.put(UInt8(7))
            encode(op, to: &writer)
        case .softmax(let axis):
            writer.put(UInt8(8))
            writer.put(axis)
        case .batchNormalization(let axis, let epsilon):
            writer.put(UInt8(9))
            writer.put(axis)
            writer.put(epsilon)
        case .reshape(let dimensions):
            writer.put(UInt8(10))
            writer.putList(dimensions) { writer, dimension in
                switch dimension {
                case .literal(let extent):
                    writer.put(UInt8(0))
                    writer.put(extent)
                case .copy(let axis):
                    writer.put(UInt8(1))
                    writer.put(axis)
                case .infer:
                    writer.put(UInt8(2))
                    writer.put(0)
                }
            }
        case .transpose(let permutation):
            writer.put(UInt8(11))
            writer.put(permutation)
        case .concat(let axis):
            writer.put(UInt8(12))
            writer.put(axis)
        case .slice(let ranges):
            writer.put(UInt8(13))
            writer.putList(ranges) { writer, range in
                writer.put(range.start)
                writer.put(range.end != nil)
                writer.put(range.end ?? 0)
                writer.put(range.step)
            }
        case .pad(let before, let after, let value):
            writer.put(UInt8(14))
            writer.put(before)
            writer.put(after)
            writer.put(value)
        case .quantize: writer.put(UInt8(15))
        case .dequantize: writer.put(UInt8(16))
        case .cast(let dtype):
            writer.put(UInt8(17))
            writer.put(dtype.rawValue)
        default: encodeIndexing(op, to: &writer)
        }
    }

    static func decode(_ reader: inout ByteReader) throws(RuntimeError) -> Op {
        let tag = try reader.integer(UInt8.self)
        switch tag {
        case 1:
            return .conv(
                Convolution(
                    strides: try reader.ints(), dilations: try reader.ints(), padBefore: try reader.ints(),
                    padAfter: try reader.ints(), groups: try reader.int(), activation: try activation(&reader)))
        case 2: return .fullyConnected(try activation(&reader))
        case 3: return .matMul
        case 4: return .pool(try pooling(&reader))
        case 5:
            let reduction = try raw(Reduction.self, &reader)
            return .reduce(reduction, axes: try reader.ints(), keepDims: try reader.bool())
        case 6:
            let op = try raw(BinaryOperator.self, &reader)
            return .binary(op, try activation(&reader))
        case 7: return .unary(try unary(&reader))
        case 8: return .softmax(axis: try reader.int())
        case 9: return .batchNormalization(axis: try reader.int(), epsilon: try reader.float())
        case 10:
            return .reshape(
                try reader.list(width: 9) { (reader: inout ByteReader) throws(RuntimeError) -> ReshapeDimension in
                    let (tag, number) = (try reader.integer(UInt8.self), try reader.int())
                    switch tag {
                    case 0: return .literal(number)
                    case 1: return .copy(number)
                    case 2: return .infer
                    default: throw reader.damaged("reshape kind \(tag)")
                    }
                })
        case 11: return .transpose(try reader.ints())
        case 12: return .concat(axis: try reader.int())
        case 13:
            return .slice(
                try reader.list(width: 25) { (reader: inout ByteReader) throws(RuntimeError) -> SliceRange in
                    let start = try reader.int()
                    let hasEnd = try reader.bool()
                    let end = try reader.int()
                    return SliceRange(start: start, end: hasEnd ? end : nil, step: try reader.int())
                })
        case 14: return .pad(before: try reader.ints(), after: try reader.ints(), value: try reader.float())
        case 15: return .quantize
        case 16: return .dequantize
        case 17: return .cast(try raw(DType.self, &reader))
        case 18...43: return try decodeIndexing(tag, &reader)
        default: throw reader.damaged("operator \(tag) is not known to this version of Ounce")
        }
    }

    static func raw<T: RawRepresentable>(
        _: T.Type, _ reader: inout ByteReader
    ) throws(RuntimeError) -> T where T.RawValue == UInt8 {
        let number = try reader.integer(UInt8.self)
        guard let value = T(rawValue: number) else { throw reader.damaged("\(T.self) \(number)") }
        return value
    }

    static func encode(_ pool: Pooling, to writer: inout ByteWriter) {
        writer.put(pool.kind.rawValue)
        for list in [pool.kernel, pool.strides, pool.dilations, pool.padBefore, pool.padAfter] { writer.put(list) }
        writer.put(pool.countIncludesPadding)
        writer.put(pool.roundsHalvesAway)
        encode(pool.activation, to: &writer)
    }

    static func pooling(_ reader: inout ByteReader) throws(RuntimeError) -> Pooling {
        var pool = Pooling(
            kind: try raw(Pooling.Kind.self, &reader), kernel: try reader.ints(), strides: try reader.ints(),
            dilations: try reader.ints(), padBefore: try reader.ints(), padAfter: try reader.ints(),
            countIncludesPadding: try reader.bool())
        pool.roundsHalvesAway = try reader.bool()
        pool.activation = try activation(&reader)
        return pool
    }

    private static func encode(_ activation: Activation, to writer: inout ByteWriter) {
        let tag: UInt8
        switch activation {
        case .none: tag = 0
        case .relu: tag = 1
        case .relu6: tag = 2
        case .clip: tag = 3
        }
        writer.put(tag)
        writer.put(activation.bounds.low)
        writer.put(activation.bounds.high)
    }

    private static func activation(_ reader: inout ByteReader) throws(RuntimeError) -> Activation {
        let tag = try reader.integer(UInt8.self)
        let (low, high) = (try reader.float(), try reader.float())
        switch tag {
        case 0: return .none
        case 1: return .relu
        case 2: return .relu6
        case 3: return .clip(low, high)
        default: throw reader.damaged("activation \(tag)")
        }
    }

    private static func encode(_ op: UnaryOperator, to writer: inout ByteWriter) {
        let (tag, a, b): (UInt8, Float, Float) =
            switch op {
            case .clip(let low, let high): (0, low, high)
            case .leakyRelu(let slope): (1, slope, 0)
            case .sigmoid: (2, 0, 0)
            case .tanh: (3, 0, 0)
            case .exp: (4, 0, 0)
            case .log: (5, 0, 0)
            case .sqrt: (6, 0, 0)
            case .negate: (7, 0, 0)
            case .abs: (8, 0, 0)
            case .hardSwish: (9, 0, 0)
            case .hardSigmoid(let alpha, let beta): (10, alpha, beta)
            case .function(let function): (11, Float(function.rawValue), 0)
            }
        writer.put(tag)
        writer.put(a)
        writer.put(b)
    }

    private static func unary(_ reader: inout ByteReader) throws(RuntimeError) -> UnaryOperator {
        let tag = try reader.integer(UInt8.self)
        let (a, b) = (try reader.float(), try reader.float())
        switch tag {
        case 0: return .clip(a, b)
        case 1: return .leakyRelu(a)
        case 2: return .sigmoid
        case 3: return .tanh
        case 4: return .exp
        case 5: return .log
        case 6: return .sqrt
        case 7: return .negate
        case 8: return .abs
        case 9: return .hardSwish
        case 10: return .hardSigmoid(alpha: a, beta: b)
        case 11:
            guard let function = UInt8(exactly: a).flatMap(ElementFunction.init(rawValue:)) else {
                throw reader.damaged("element function \(a)")
            }
            return .function(function)
        default: throw reader.damaged("unary operator \(tag)")
        }
    }
}
