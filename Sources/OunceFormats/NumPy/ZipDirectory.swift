/// The list of the files in a ZIP archive (PKWARE APPNOTE 6.3, with the 64-bit extensions).
struct ZipDirectory {
    enum Method: UInt16 { case stored = 0, deflated = 8 }

    struct Entry {
        var name: String
        var method: Method
        var crc: UInt32
        var size: Int
        /// The bytes as they lie in the archive.
        var content: UnsafeRawBufferPointer
        /// Where they start in the archive.
        var offset: Int
    }

    static let maximumEntries = 1 << 16

    private(set) var entries: [Entry] = []

    init(_ archive: UnsafeRawBufferPointer) throws(FormatError) {
        let view = ByteView(archive)
        let (count, start) = try Self.locate(view)
        guard count <= Self.maximumEntries else {
            throw FormatError(.limit, "the archive has \(count) entries, at most \(Self.maximumEntries) are read")
        }
        var offset = start
        var names: Set<String> = []
        for _ in 0..<count {
            let entry = try Self.entry(view, at: &offset)
            guard names.insert(entry.name).inserted else {
                throw FormatError(.corrupt, "the archive holds '\(entry.name)' twice")
            }
            entries.append(entry)
        }
        var end = 0
        for entry in entries.sorted(by: { $0.offset < $1.offset }) {
            guard entry.offset >= end else { throw FormatError(.corrupt, "'\(entry.name)' overlaps another entry") }
            end = entry.offset + entry.content.count
        }
    }

    /// How many entries the directory has and where it starts, from the record at the archive's end.
    private static func locate(_ view: ByteView) throws(FormatError) -> (count: Int, start: Int) {
        var end = view.count - 22
        while end >= 0, end >= view.count - 22 - 0xFFFF {
            if view.integer(UInt32.self, at: end) == 0x0605_4B50,
                let comment: UInt16 = view.integer(at: end + 20), Int(comment) == view.count - end - 22
            {
                break
            }
            end -= 1
        }
        guard end >= 0, end >= view.count - 22 - 0xFFFF, let count: UInt16 = view.integer(at: end + 10),
            let start: UInt32 = view.integer(at: end + 16)
        else { throw FormatError(.corrupt, "this is no .npz file, or its end is missing") }
        guard count == .max || start == .max else { return (Int(count), Int(start)) }

        guard view.integer(UInt32.self, at: end - 20) == 0x0706_4B50,
            let record = view.integer(UInt64.self, at: end - 12).flatMap({ Int(exactly: $0) }),
            view.integer(UInt32.self, at: record) == 0x0606_4B50,
            let count = view.integer(UInt64.self, at: record &+ 32).flatMap({ Int(exactly: $0) }),
            let start = view.integer(UInt64.self, at: record &+ 48).flatMap({ Int(exactly: $0) })
        else { throw FormatError(.corrupt, "the 64-bit directory of the archive is damaged") }
        return (count, start)
    }

    private static func entry(_ view: ByteView, at offset: inout Int) throws(FormatError) -> Entry {
        guard view.integer(UInt32.self, at: offset) == 0x0201_4B50,
            let flags: UInt16 = view.integer(at: offset + 8), let code: UInt16 = view.integer(at: offset + 10),
            let crc: UInt32 = view.integer(at: offset + 16),
            let nameLength: UInt16 = view.integer(at: offset + 28),
            let extraLength: UInt16 = view.integer(at: offset + 30),
            let commentLength: UInt16 = view.integer(at: offset + 32),
            let nameBytes = view.slice(at: offset + 46, count: Int(nameLength)),
            let extra = view.slice(at: offset + 46 + Int(nameLength), count: Int(extraLength)),
            let name = String(validating: nameBytes, as: UTF8.self)
        else { throw FormatError(.corrupt, "the directory of the archive is damaged") }
        guard flags & 1 == 0 else { throw FormatError(.unsupported, "'\(name)' is encrypted") }
        guard let method = Method(rawValue: code) else {
            throw FormatError(
                .unsupported, "'\(name)' is compressed by method \(code); use numpy.savez or numpy.savez_compressed")
        }
        // 32-bit fields that are all ones stand in the extra field, in this order.
        var wide = ByteView(extra).wideFields
        func field(at place: Int) -> Int? {
            guard let value: UInt32 = view.integer(at: place) else { return nil }
            return value == .max ? wide.popLast() : Int(value)
        }
        guard let size = field(at: offset + 24), let compressed = field(at: offset + 20),
            let header = field(at: offset + 42)
        else { throw FormatError(.corrupt, "the sizes of '\(name)' are damaged") }
        guard view.integer(UInt32.self, at: header) == 0x0403_4B50,
            let localName: UInt16 = view.integer(at: header + 26),
            let localExtra: UInt16 = view.integer(at: header + 28),
            case let start = header + 30 + Int(localName) + Int(localExtra),
            let content = view.slice(at: start, count: compressed)
        else { throw FormatError(.corrupt, "'\(name)' does not lie within the archive") }
        offset += 46 + Int(nameLength) + Int(extraLength) + Int(commentLength)
        return Entry(name: name, method: method, crc: crc, size: size, content: content, offset: start)
    }
}

extension ByteView {
    /// The 64-bit numbers of a ZIP extra field with the tag 1, the last one first.
    fileprivate var wideFields: [Int] {
        var offset = 0
        while let tag: UInt16 = integer(at: offset), let length: UInt16 = integer(at: offset + 2) {
            if tag == 1 {
                let end = min(offset + 4 + Int(length), count)
                return stride(from: offset + 4, to: end - 7, by: 8)
                    .compactMap { integer(UInt64.self, at: $0).flatMap { Int(exactly: $0) } }.reversed()
            }
            offset += 4 + Int(length)
        }
        return []
    }
}
