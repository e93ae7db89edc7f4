/// Steps over the fields of one protocol buffers message. Source: protobuf.dev, "Encoding".
struct WireReader {
    enum Content {
        case varint(UInt64)
        case fixed64(UInt64)
        case bytes(FileBytes)
        case fixed32(UInt32)
    }

    private let message: FileBytes
    private var position = 0

    init(_ message: FileBytes) { self.message = message }

    /// The next field; nil at the end of the message.
    mutating func next() throws(FormatError) -> WireField? {
        guard position < message.count else { return nil }
        let tag = try varint()
        guard let number = Int(exactly: tag >> 3), (1..<1 << 29).contains(number) else {
            throw Self.damaged("a field has the number \(tag >> 3)")
        }
        switch tag & 7 {
        case 0: return WireField(number: number, content: .varint(try varint()))
        case 1: return WireField(number: number, content: .fixed64(try fixed(as: UInt64.self)))
        case 2:
            let length = try varint()
            guard let length = Int(exactly: length), let content = message.part(at: position, count: length) else {
                throw Self.damaged("field \(number) goes beyond the end; copy the file again")
            }
            position += length
            return WireField(number: number, content: .bytes(content))
        case 5: return WireField(number: number, content: .fixed32(try fixed(as: UInt32.self)))
        default: throw Self.damaged("field \(number) is of wire type \(tag & 7), which is not used")
        }
    }

    mutating func fixed<T: FixedWidthInteger & BitwiseCopyable>(as type: T.Type) throws(FormatError) -> T {
        guard let value: T = ByteView(message.bytes).integer(at: position) else {
            throw Self.damaged("it ends within a number; copy the file again")
        }
        position += MemoryLayout<T>.size
        return value
    }

    /// A number of 7 bits in each byte, lowest first; at most ten bytes.
    mutating func varint() throws(FormatError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard position < message.count else { throw Self.damaged("it ends within a number; copy the file again") }
            let byte = message.bytes[position]
            position += 1
            guard shift < 63 || byte <= 1 else { break }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw Self.damaged("a number has over 64 bits")
    }

    var isAtEnd: Bool { position >= message.count }

    static func damaged(_ what: String) -> FormatError {
        FormatError(.corrupt, "this is no ONNX file, or a damaged one: \(what)")
    }
}

/// A field of a message, with checked access to its content.
struct WireField {
    let number: Int
    let content: WireReader.Content

    private var wrongType: FormatError { WireReader.damaged("field \(number) is of the wrong wire type") }

    func int64() throws(FormatError) -> Int64 {
        guard case .varint(let value) = content else { throw wrongType }
        return Int64(bitPattern: value)
    }

    /// The lower half, as protocol buffers have it.
    func int32() throws(FormatError) -> Int32 { Int32(truncatingIfNeeded: try int64()) }

    func float() throws(FormatError) -> Float {
        guard case .fixed32(let bits) = content else { throw wrongType }
        return Float(bitPattern: bits)
    }

    func bytes() throws(FormatError) -> FileBytes {
        guard case .bytes(let bytes) = content else { throw wrongType }
        return bytes
    }

    func string() throws(FormatError) -> String { try bytes().text }

    /// Appends what a repeated field of integers holds: one number, or many in a packed one.
    func append(to list: inout [Int64], limit: Int) throws(FormatError) {
        guard case .bytes(let packed) = content else {
            list.append(try int64())
            return try check(list.count, limit)
        }
        var reader = WireReader(packed)
        while !reader.isAtEnd {
            list.append(Int64(bitPattern: try reader.varint()))
            try check(list.count, limit)
        }
    }

    /// As for integers.
    func append(to list: inout [Float], limit: Int) throws(FormatError) {
        guard case .bytes(let packed) = content else {
            list.append(try float())
            return try check(list.count, limit)
        }
        guard packed.count % 4 == 0 else { throw WireReader.damaged("field \(number) ends within a number") }
        try check(list.count + packed.count / 4, limit)
        let view = ByteView(packed.bytes)
        for offset in stride(from: 0, to: packed.count, by: 4) {
            list.append(Float(bitPattern: view.integer(at: offset) ?? 0))
        }
    }

    private func check(_ count: Int, _ limit: Int) throws(FormatError) {
        guard count <= limit else { throw FormatError(.limit, "a list of the model has over \(limit) entries") }
    }
}
