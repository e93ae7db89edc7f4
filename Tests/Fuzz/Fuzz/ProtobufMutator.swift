/// Changes a message of protocol buffers without breaking its lengths, so that what is changed is still read as a model.
///
/// It knows no schema: a field of bytes that parses as fields is taken for a message more often than not.
struct ProtobufMutator {
    private struct Field {
        var number: UInt64
        var wire: UInt64
        /// The value of a varint.
        var value: UInt64 = 0
        /// The content of everything else.
        var content: [UInt8] = []
    }

    private static let numbers: [UInt64] = [
        0, 1, 2, 3, 4, 7, 8, 16, 64, 1000, 1 << 16, 1 << 20, 1 << 31 - 1, 1 << 31, 1 << 32, 1 << 62, 1 << 63 - 1,
        1 << 63,
        .max, .max - 1,
    ]
    private static let floats: [Float] = [
        0, -0.0, 1, -1, 0.5, .nan, .infinity, -.infinity, 1e38, 1e-45, 0x1p31, 0x1p63,
    ]

    private var random: UInt64
    /// Fields met on the way, to put in other places.
    private var known: [Field] = []
    /// libFuzzer's own changes, for content without structure.
    private let mutateBytes: ([UInt8]) -> [UInt8]

    init(seed: UInt32, mutateBytes: @escaping ([UInt8]) -> [UInt8]) {
        random = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        self.mutateBytes = mutateBytes
    }

    /// nil where the bytes are no message.
    mutating func mutate(_ bytes: [UInt8]) -> [UInt8]? {
        guard var fields = Self.parse(bytes), !fields.isEmpty else { return nil }
        mutate(&fields, depth: 0)
        return Self.serialize(fields)
    }

    private mutating func below(_ bound: Int) -> Int {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return Int(random % UInt64(max(bound, 1)))
    }

    private mutating func mutate(_ fields: inout [Field], depth: Int) {
        known += fields
        let place = below(fields.count)
        if fields[place].wire == 2, depth < 10, below(8) > 0, var inner = Self.parse(fields[place].content),
            !inner.isEmpty
        {
            mutate(&inner, depth: depth + 1)
            fields[place].content = Self.serialize(inner)
            return
        }
        switch below(6) {
        case 0: fields.remove(at: place)
        case 1: fields.insert(fields[place], at: below(fields.count + 1))
        case 2:
            // Another field of the same kind: a name, a type, a list of extents from elsewhere.
            let candidates = known.filter { $0.wire == fields[place].wire }
            fields[place] = candidates[below(candidates.count)]
        default: change(&fields[place])
        }
    }

    private mutating func change(_ field: inout Field) {
        switch field.wire {
        case 0:
            switch below(3) {
            case 0: field.value = Self.numbers[below(Self.numbers.count)]
            case 1: field.value = field.value &+ UInt64(below(3)) &- 1
            default: field.value = 0 &- field.value
            }
        case 5:
            let bits = Self.floats[below(Self.floats.count)].bitPattern
            field.content = withUnsafeBytes(of: bits.littleEndian) { Array($0) }
        case 2: field.content = mutateBytes(field.content)
        default:
            field.content = mutateBytes(field.content) + [UInt8](repeating: 0, count: 8)
            field.content.removeSubrange(8...)
        }
    }

    // MARK: Wire format

    private static func parse(_ bytes: [UInt8]) -> [Field]? {
        var fields: [Field] = []
        var place = 0
        func varint() -> UInt64? {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 64, by: 7) {
                guard place < bytes.count else { return nil }
                value |= UInt64(bytes[place] & 0x7F) << shift
                place += 1
                if bytes[place - 1] < 0x80 { return value }
            }
            return nil
        }
        while place < bytes.count {
            guard let tag = varint(), tag >> 3 > 0 else { return nil }
            var field = Field(number: tag >> 3, wire: tag & 7)
            var length = 0
            switch field.wire {
            case 0:
                guard let value = varint() else { return nil }
                field.value = value
            case 1: length = 8
            case 5: length = 4
            case 2:
                guard let value = varint(), value <= UInt64(bytes.count) else { return nil }
                length = Int(value)
            default: return nil
            }
            guard length <= bytes.count - place else { return nil }
            field.content = Array(bytes[place..<place + length])
            place += length
            fields.append(field)
        }
        return fields
    }

    private static func serialize(_ fields: [Field]) -> [UInt8] {
        var bytes: [UInt8] = []
        func put(_ value: UInt64) {
            var value = value
            while value >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
                value >>= 7
            }
            bytes.append(UInt8(value))
        }
        for field in fields {
            put(field.number << 3 | field.wire)
            if field.wire == 0 { put(field.value) }
            if field.wire == 2 { put(UInt64(field.content.count)) }
            bytes += field.content
        }
        return bytes
    }
}
