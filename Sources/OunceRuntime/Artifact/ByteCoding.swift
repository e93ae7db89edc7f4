import OunceGraph

/// Writes little-endian numbers, strings and lists one behind another.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func put<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    mutating func put(_ value: Float) { put(value.bitPattern) }
    mutating func put(_ value: Bool) { put(UInt8(value ? 1 : 0)) }
    mutating func put(_ value: Int) { put(Int64(value)) }
    mutating func put(_ value: String) { putBytes(Array(value.utf8)) }
    mutating func putBytes(_ value: [UInt8]) {
        put(UInt32(value.count))
        bytes.append(contentsOf: value)
    }
    mutating func putList<T>(_ values: [T], _ body: (inout ByteWriter, T) -> Void) {
        put(UInt32(values.count))
        for value in values { body(&self, value) }
    }
    mutating func put(_ values: [Int]) { putList(values) { $0.put($1) } }
}

/// Reads what `ByteWriter` wrote; every read is checked against the end, every count against what is left.
struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    let what: String

    init(_ bytes: UnsafeRawBufferPointer, what: String) {
        self.bytes = bytes
        self.what = what
    }

    func damaged(_ reason: String) -> RuntimeError {
        RuntimeError(.corrupt, "\(what) is damaged: \(reason); make the artifact again")
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func integer<T: FixedWidthInteger>(_: T.Type = T.self) throws(RuntimeError) -> T {
        guard bytes.count - position >= MemoryLayout<T>.size else { throw damaged("it ends early") }
        defer { position += MemoryLayout<T>.size }
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: T.self))
    }
    mutating func float() throws(RuntimeError) -> Float { Float(bitPattern: try integer()) }
    mutating func bool() throws(RuntimeError) -> Bool { try integer(UInt8.self) != 0 }
    mutating func int() throws(RuntimeError) -> Int { Int(try integer(Int64.self)) }

    /// - Parameter width: bytes that one entry takes at least; a count that cannot fit is refused before allocation.
    mutating func count(width: Int) throws(RuntimeError) -> Int {
        let count = Int(try integer(UInt32.self))
        guard count <= (bytes.count - position) / max(width, 1) else {
            throw damaged("a list of \(count) does not fit")
        }
        return count
    }
    mutating func list<T>(
        width: Int, _ body: (inout ByteReader) throws(RuntimeError) -> T
    ) throws(RuntimeError) -> [T] {
        let count = try count(width: width)
        var values: [T] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try body(&self)) }
        return values
    }
    mutating func ints() throws(RuntimeError) -> [Int] {
        try list(width: 8) { (reader: inout ByteReader) throws(RuntimeError) in try reader.int() }
    }
    mutating func raw() throws(RuntimeError) -> UnsafeRawBufferPointer {
        let count = try count(width: 1)
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<(position + count)])
    }
    mutating func string() throws(RuntimeError) -> String { String(decoding: try raw(), as: UTF8.self) }
}
