/// The numbers of one repeated field of a tensor, where they lie in the file.
struct WireNumbers {
    /// The width of a number; nil: varints.
    enum Kind { case varint, fixed32, fixed64 }

    let field: Int
    let kind: Kind
    /// Packed numbers; one that is not packed has a part of its own, widened to its place in `single`.
    private(set) var packed = FileBytes()
    private(set) var single: [UInt64] = []

    init(field: Int, kind: Kind) {
        self.field = field
        self.kind = kind
    }

    mutating func append(_ part: WireField) throws(FormatError) {
        switch part.content {
        case .bytes(let bytes):
            if packed.isEmpty, single.isEmpty {
                packed = bytes
            } else {
                try unpack()
                try Self.each(bytes, kind) { single.append($0) }
            }
        case .varint(let value) where kind == .varint: try add(value)
        case .fixed32(let value) where kind == .fixed32: try add(UInt64(value))
        case .fixed64(let value) where kind == .fixed64: try add(value)
        default: throw WireReader.damaged("field \(field) is of the wrong wire type")
        }
    }

    private mutating func add(_ value: UInt64) throws(FormatError) {
        try unpack()
        single.append(value)
    }

    private mutating func unpack() throws(FormatError) {
        guard !packed.isEmpty else { return }
        let bytes = packed
        packed = FileBytes()
        try Self.each(bytes, kind) { single.append($0) }
    }

    /// Calls `body` with the bits of each number in order.
    func forEach(_ body: (UInt64) -> Void) throws(FormatError) {
        try Self.each(packed, kind, body)
        single.forEach(body)
    }

    private static func each(
        _ bytes: FileBytes, _ kind: Kind, _ body: (UInt64) -> Void
    ) throws(FormatError) {
        var reader = WireReader(bytes)
        switch kind {
        case .varint: while !reader.isAtEnd { body(try reader.varint()) }
        case .fixed32: while !reader.isAtEnd { body(UInt64(try reader.fixed(as: UInt32.self))) }
        case .fixed64: while !reader.isAtEnd { body(try reader.fixed(as: UInt64.self)) }
        }
    }
}
