import OunceGraph

/// Operators that sample between places and those whose results depend on the data, as bytes. Tags are part of the artifact
/// format: never renumber them.
extension OpCoding {
    static func encodeSampling(_ op: Op, to writer: inout ByteWriter) {
        switch op {
        case .sampleAt(let sampling):
            writer.put(UInt8(32))
            writer.put(sampling.interpolation.rawValue)
            writer.put(sampling.border.rawValue)
        case .roiAlign(let align):
            writer.put(UInt8(33))
            writer.put(align.kind.rawValue)
            for number in [align.height, align.width, align.samplingRatio] { writer.put(number) }
            writer.put(align.scale)
            writer.put(align.isHalfPixel)
        case .determinant: writer.put(UInt8(34))
        case .treeEnsemble(let trees):
            writer.put(UInt8(35))
            writer.put(trees.aggregate.rawValue)
            writer.put(trees.targets)
        case .nonMaxSuppression(let suppression):
            writer.put(UInt8(36))
            writer.put(suppression.limit)
            writer.put(suppression.overlap)
            writer.put(suppression.leastScore)
            writer.put(suppression.isCentred)
        case .nonZero: writer.put(UInt8(37))
        case .distinct(let distinct):
            writer.put(UInt8(38))
            writer.put(distinct.axis != nil)
            writer.put(distinct.axis ?? 0)
            writer.put(distinct.isSorted)
            writer.put(distinct.part.rawValue)
        case .cut(let axis):
            writer.put(UInt8(39))
            writer.put(axis)
        default: return
        }
    }

    static func decodeSampling(_ tag: UInt8, _ reader: inout ByteReader) throws(RuntimeError) -> Op {
        switch tag {
        case 32:
            let interpolation = try raw(GridSampling.Interpolation.self, &reader)
            return .sampleAt(GridSampling(interpolation, border: try raw(GridSampling.Border.self, &reader)))
        case 33:
            let kind = try raw(Pooling.Kind.self, &reader)
            let (height, width, ratio) = (try reader.int(), try reader.int(), try reader.int())
            return .roiAlign(
                RoiAlignment(
                    kind: kind, height: height, width: width, samplingRatio: ratio, scale: try reader.float(),
                    isHalfPixel: try reader.bool()))
        case 34: return .determinant
        case 35:
            let aggregate = try raw(TreeEnsemble.Aggregate.self, &reader)
            return .treeEnsemble(TreeEnsemble(aggregate: aggregate, targets: try reader.int()))
        case 36:
            let (limit, overlap, least) = (try reader.int(), try reader.float(), try reader.float())
            return .nonMaxSuppression(
                NonMaxSuppression(limit: limit, overlap: overlap, leastScore: least, isCentred: try reader.bool()))
        case 37: return .nonZero
        case 38:
            let (hasAxis, axis, isSorted) = (try reader.bool(), try reader.int(), try reader.bool())
            return .distinct(
                Distinct(axis: hasAxis ? axis : nil, isSorted: isSorted, part: try raw(Distinct.Part.self, &reader)))
        case 39: return .cut(axis: try reader.int())
        default: throw reader.damaged("operator \(tag) is not known to this version of Ounce")
        }
    }
}
