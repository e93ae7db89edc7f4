import OunceGraph

/// Operators that no kernel computes, as bytes. Tags are part of the artifact format: never renumber them.
extension OpCoding {
    static func encodeIndexing(_ op: Op, to writer: inout ByteWriter) {
        switch op {
        case .compare(let comparison):
            writer.put(UInt8(18))
            writer.put(comparison.rawValue)
        case .select: writer.put(UInt8(19))
        case .expand(let dims):
            writer.put(UInt8(20))
            writer.put(dims)
        case .reverse(let axes):
            writer.put(UInt8(21))
            writer.put(axes)
        case .reverseSequence(let batchAxis, let timeAxis):
            writer.put(UInt8(22))
            writer.put(batchAxis)
            writer.put(timeAxis)
        case .gather(let gathering):
            writer.put(UInt8(23))
            let (kind, number): (UInt8, Int) =
                switch gathering {
                case .slices(let axis): (0, axis)
                case .elements(let axis): (1, axis)
                case .tuples(let batchAxes): (2, batchAxes)
                }
            writer.put(kind)
            writer.put(number)
        case .scatter(let scattering):
            writer.put(UInt8(24))
            writer.put(scattering.axis != nil)
            writer.put(scattering.axis ?? 0)
            writer.put(scattering.reduction.rawValue)
        case .argReduce(let reduction):
            writer.put(UInt8(25))
            writer.put(reduction.isMaximum)
            writer.put(reduction.axis)
            writer.put(reduction.keepDims)
            writer.put(reduction.selectsLast)
        case .topK(let top):
            writer.put(UInt8(26))
            writer.put(top.axis)
            writer.put(top.k)
            writer.put(top.isLargest)
            writer.put(top.givesIndices)
        case .cumulativeSum(let axis, let exclusive, let reverse):
            writer.put(UInt8(27))
            writer.put(axis)
            writer.put(exclusive)
            writer.put(reverse)
        case .poolIndices(let pool, let columnMajor):
            writer.put(UInt8(28))
            encode(pool, to: &writer)
            writer.put(columnMajor)
        case .resample(let axis):
            writer.put(UInt8(29))
            writer.put(axis)
        case .recurrent(let layer):
            writer.put(UInt8(30))
            encode(layer, to: &writer)
        case .quantizeAs(let dtype):
            writer.put(UInt8(40))
            writer.put(dtype.rawValue)
        case .roundToDynamicGrid(let grid):
            writer.put(UInt8(41))
            writer.put(grid.isSymmetric)
            writer.put(grid.batchAxes)
        case .integerLSTM(let layer):
            writer.put(UInt8(42))
            writer.put(layer.numbers)
        case .layerNormalization(let axes, let epsilon):
            writer.put(UInt8(43))
            writer.put(axes)
            writer.put(epsilon)
        case .sampleAt, .roiAlign, .determinant, .treeEnsemble, .nonMaxSuppression, .nonZero, .distinct, .cut:
            encodeSampling(op, to: &writer)
        case .conv, .fullyConnected, .matMul, .pool, .reduce, .binary, .unary, .softmax, .batchNormalization, .reshape,
            .transpose, .concat, .slice, .pad, .quantize, .dequantize, .cast:
            return
        }
    }

    static func decodeIndexing(_ tag: UInt8, _ reader: inout ByteReader) throws(RuntimeError) -> Op {
        switch tag {
        case 18: return .compare(try raw(Comparison.self, &reader))
        case 19: return .select
        case 20: return .expand(try reader.ints())
        case 21: return .reverse(axes: try reader.ints())
        case 22: return .reverseSequence(batchAxis: try reader.int(), timeAxis: try reader.int())
        case 23:
            let (kind, number) = (try reader.integer(UInt8.self), try reader.int())
            switch kind {
            case 0: return .gather(.slices(axis: number))
            case 1: return .gather(.elements(axis: number))
            case 2: return .gather(.tuples(batchAxes: number))
            default: throw reader.damaged("gather kind \(kind)")
            }
        case 24:
            let (hasAxis, axis) = (try reader.bool(), try reader.int())
            let reduction = try raw(Scattering.Reduction.self, &reader)
            return .scatter(Scattering(axis: hasAxis ? axis : nil, reduction: reduction))
        case 25:
            return .argReduce(
                ArgReduction(
                    isMaximum: try reader.bool(), axis: try reader.int(), keepDims: try reader.bool(),
                    selectsLast: try reader.bool()))
        case 26:
            return .topK(
                TopK(
                    axis: try reader.int(), k: try reader.int(), isLargest: try reader.bool(),
                    givesIndices: try reader.bool()))
        case 27:
            return .cumulativeSum(axis: try reader.int(), exclusive: try reader.bool(), reverse: try reader.bool())
        case 28: return .poolIndices(try pooling(&reader), columnMajor: try reader.bool())
        case 29: return .resample(axis: try reader.int())
        case 30: return .recurrent(try recurrent(&reader))
        case 40: return .quantizeAs(try raw(DType.self, &reader))
        case 41:
            return .roundToDynamicGrid(DynamicGrid(isSymmetric: try reader.bool(), batchAxes: try reader.int()))
        case 42:
            guard let layer = IntegerLSTM(numbers: try reader.ints()) else {
                throw reader.damaged("the numbers of an integer LSTM")
            }
            return .integerLSTM(layer)
        case 43: return .layerNormalization(axes: try reader.int(), epsilon: try reader.float())
        case 32...39: return try decodeSampling(tag, &reader)
        default: throw reader.damaged("operator \(tag) is not known to this version of Ounce")
        }
    }

    private static func encode(_ layer: Recurrent, to writer: inout ByteWriter) {
        writer.put(layer.kind.rawValue)
        writer.put(layer.hidden)
        writer.put(layer.isReversed)
        writer.putList(layer.activations) { writer, activation in
            writer.put(activation.function.rawValue)
            writer.put(activation.alpha)
            writer.put(activation.beta)
        }
        writer.put(layer.clip)
        writer.put(layer.couplesGates)
        writer.put(layer.linearBeforeReset)
        writer.put(layer.cellClip)
    }

    private static func recurrent(_ reader: inout ByteReader) throws(RuntimeError) -> Recurrent {
        let kind = try raw(Recurrent.Kind.self, &reader)
        let (hidden, isReversed) = (try reader.int(), try reader.bool())
        let activations = try reader.list(width: 9) {
            (reader: inout ByteReader) throws(RuntimeError) -> Recurrent.GateActivation in
            let function = try raw(Recurrent.Function.self, &reader)
            return Recurrent.GateActivation(function, alpha: try reader.float(), beta: try reader.float())
        }
        return Recurrent(
            kind: kind, hidden: hidden, isReversed: isReversed, activations: activations, clip: try reader.float(),
            couplesGates: try reader.bool(), linearBeforeReset: try reader.bool(), cellClip: try reader.float())
    }
}
