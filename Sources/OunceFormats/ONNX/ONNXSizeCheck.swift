/// Counts the parts of a model before it is decoded: a part of two bytes in the file takes hundreds in memory.
enum ONNXSizeCheck {
    /// Field numbers of what is counted at each depth: the graph; its nodes, tensors, inputs and outputs.
    private static let graphField: UInt64 = 7
    private static let partFields: Set<UInt64> = [1, 5, 11, 12, 15]

    private static let valueFields: Set<UInt64> = [11, 12]

    /// Counts the parts of a graph that stands alone: a body of control flow.
    static func checkGraph(_ bytes: [UInt8]) throws(FormatError) {
        var parts = 0
        try check(graph: 0..<bytes.count, of: bytes, &parts)
    }

    static func check(_ bytes: [UInt8]) throws(FormatError) {
        var parts = 0
        var reader = WireReader(range: 0..<bytes.count)
        while let field = reader.next(bytes) {
            guard field.number == graphField, let graph = field.content else {
                parts += 1
                try check(parts)
                continue
            }
            try check(graph: graph, of: bytes, &parts)
        }
    }

    private static func check(graph: Range<Int>, of bytes: [UInt8], _ parts: inout Int) throws(FormatError) {
        var inner = WireReader(range: graph)
        while let field = inner.next(bytes) {
            guard partFields.contains(field.number), let part = field.content else { continue }
            parts += 1
            guard !valueFields.contains(field.number) || part.count <= 1 << 16 else {
                throw FormatError(.limit, "the description of an input or output has \(part.count) bytes")
            }
            // Inputs, outputs, attributes and the like of this part.
            var fields = WireReader(range: part)
            while fields.next(bytes) != nil { parts += 1 }
            try check(parts)
        }
    }

    private static func check(_ parts: Int) throws(FormatError) {
        guard parts <= 20 * GraphBuilder.maximumTensors else {
            throw FormatError(.limit, "the model has too many nodes, tensors or attributes")
        }
    }
}

/// Steps over the fields of a protocol buffers message; ends at the first that is malformed.
private struct WireReader {
    private var position: Int
    private let end: Int

    init(range: Range<Int>) {
        position = range.lowerBound
        end = range.upperBound
    }

    mutating func next(_ bytes: [UInt8]) -> (number: UInt64, content: Range<Int>?)? {
        guard let tag = varint(bytes) else { return nil }
        switch tag & 7 {
        case 0: return varint(bytes).map { _ in (tag >> 3, nil) }
        case 1: return skip(8).map { _ in (tag >> 3, nil) }
        case 5: return skip(4).map { _ in (tag >> 3, nil) }
        case 2:
            guard let length = varint(bytes).flatMap({ Int(exactly: $0) }) else { return nil }
            return skip(length).map { (tag >> 3, $0) }
        default: return (tag >> 3, nil)
        }
    }

    private mutating func skip(_ length: Int) -> Range<Int>? {
        guard length <= end - position else { return nil }
        defer { position += length }
        return position..<position + length
    }

    private mutating func varint(_ bytes: [UInt8]) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard position < end else { return nil }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }
}
