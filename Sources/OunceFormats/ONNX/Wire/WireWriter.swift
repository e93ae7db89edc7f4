/// Puts a protocol buffers message together. Large contents stay where they are until the whole is written.
struct WireWriter {
    private enum Piece {
        case own([UInt8])
        case large(FileBytes)
    }
    private var pieces: [Piece] = []
    private var tail: [UInt8] = []
    private(set) var count = 0

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            tail.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
            count += 1
        }
        tail.append(UInt8(truncatingIfNeeded: rest))
        count += 1
    }

    private mutating func tag(_ number: Int, _ wireType: UInt64) {
        varint(UInt64(truncatingIfNeeded: number) << 3 | wireType)
    }

    /// What is 0 or empty is left out, as the format has it.
    mutating func integer(_ number: Int, _ value: Int64) {
        guard value != 0 else { return }
        element(number, value)
    }

    /// One of a repeated field or of a choice; also 0.
    mutating func element(_ number: Int, _ value: Int64) {
        tag(number, 0)
        varint(UInt64(bitPattern: value))
    }

    mutating func float(_ number: Int, _ value: Float) {
        tag(number, 5)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { tail.append(contentsOf: $0) }
        count += 4
    }

    mutating func string(_ number: Int, _ text: String) {
        guard !text.isEmpty else { return }
        element(number, text)
    }

    /// One of a repeated field; also an empty one.
    mutating func element(_ number: Int, _ text: String) {
        tag(number, 2)
        varint(UInt64(text.utf8.count))
        tail.append(contentsOf: text.utf8)
        count += text.utf8.count
    }

    mutating func bytes(_ number: Int, _ content: FileBytes) {
        guard !content.isEmpty else { return }
        tag(number, 2)
        varint(UInt64(content.count))
        flush()
        pieces.append(.large(content))
        count += content.count
    }

    mutating func packed(_ number: Int, _ values: [Int64]) {
        guard !values.isEmpty else { return }
        message(number) { inner in for value in values { inner.varint(UInt64(bitPattern: value)) } }
    }

    mutating func message(_ number: Int, _ body: (inout WireWriter) -> Void) {
        var inner = WireWriter()
        body(&inner)
        inner.flush()
        tag(number, 2)
        varint(UInt64(inner.count))
        if inner.count < 1 << 10 {
            for piece in inner.pieces {
                switch piece {
                case .own(let bytes): tail.append(contentsOf: bytes)
                case .large(let content): tail.append(contentsOf: content.bytes)
                }
            }
        } else {
            flush()
            pieces.append(contentsOf: inner.pieces)
        }
        count += inner.count
    }

    private mutating func flush() {
        guard !tail.isEmpty else { return }
        pieces.append(.own(tail))
        tail = []
    }

    /// The whole message.
    mutating func finish() -> [UInt8] {
        flush()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for piece in pieces {
            switch piece {
            case .own(let part): bytes.append(contentsOf: part)
            case .large(let content): bytes.append(contentsOf: content.bytes)
            }
        }
        return bytes
    }
}
