/// A table of a FlatBuffer. Every offset is checked against the buffer before it is followed.
///
/// Fields are named by their place in the table's directory: 4, 6, 8… in the order of the schema.
struct FlatTable {
    private let view: ByteView
    private let position: Int
    private let directory: Int
    private let directorySize: Int

    /// The table that the offset at the start of the buffer names.
    init(root view: ByteView) throws(ImportFailure) {
        guard let offset: UInt32 = view.integer(at: 0) else { throw Self.damaged }
        try self.init(view, at: Int(offset))
    }

    private init(_ view: ByteView, at position: Int) throws(ImportFailure) {
        guard let back: Int32 = view.integer(at: position), case let directory = position - Int(back),
            let size: UInt16 = view.integer(at: directory), size >= 4,
            view.slice(at: directory, count: Int(size)) != nil
        else { throw Self.damaged }
        self.view = view
        self.position = position
        self.directory = directory
        directorySize = Int(size)
    }

    private static var damaged: ImportFailure { .corrupt("an offset leads out of the file; copy the file again") }

    /// Where the field lies; nil where it is not given.
    private func place(_ field: Int) -> Int? {
        guard field + 2 <= directorySize, let offset: UInt16 = view.integer(at: directory + field), offset != 0 else {
            return nil
        }
        return position + Int(offset)
    }

    /// Where the object lies to which the field refers.
    private func target(_ field: Int) throws(ImportFailure) -> Int? {
        guard let place = place(field) else { return nil }
        guard let offset: UInt32 = view.integer(at: place) else { throw Self.damaged }
        return place + Int(offset)
    }

    func has(_ field: Int) -> Bool { place(field) != nil }

    func integer<T: FixedWidthInteger & BitwiseCopyable>(
        _ field: Int, as type: T.Type, default value: T = 0
    ) throws(ImportFailure) -> T {
        guard let place = place(field) else { return value }
        guard let value: T = view.integer(at: place) else { throw Self.damaged }
        return value
    }

    func int(_ field: Int, default value: Int32 = 0) throws(ImportFailure) -> Int {
        Int(try integer(field, as: Int32.self, default: value))
    }

    func flag(_ field: Int) throws(ImportFailure) -> Bool { try integer(field, as: UInt8.self) != 0 }

    func float(_ field: Int) throws(ImportFailure) -> Float {
        Float(bitPattern: try integer(field, as: UInt32.self))
    }

    func table(_ field: Int) throws(ImportFailure) -> FlatTable? {
        guard let target = try target(field) else { return nil }
        return try FlatTable(view, at: target)
    }

    /// The bytes of a vector; empty where it is not given.
    func vector(_ field: Int, elementSize: Int = 1) throws(ImportFailure) -> ByteView {
        guard let target = try target(field) else { return ByteView(UnsafeRawBufferPointer(start: nil, count: 0)) }
        guard let count: UInt32 = view.integer(at: target),
            let bytes = view.slice(at: target + 4, count: Int(count) * elementSize)
        else { throw Self.damaged }
        return ByteView(bytes)
    }

    func integers<T: FixedWidthInteger & BitwiseCopyable>(
        _ field: Int, as type: T.Type, limit: Int
    ) throws(ImportFailure) -> [T] {
        let bytes = try vector(field, elementSize: MemoryLayout<T>.size)
        guard bytes.count <= limit * MemoryLayout<T>.size else {
            throw .fatal(FormatError(.limit, "a list of the model has over \(limit) entries"))
        }
        return stride(from: 0, to: bytes.count, by: MemoryLayout<T>.size).compactMap { bytes.integer(at: $0) }
    }

    func string(_ field: Int, limit: Int) throws(ImportFailure) -> String {
        let bytes = try vector(field)
        guard bytes.count <= limit else {
            throw .fatal(FormatError(.limit, "a name in the model has over \(limit) bytes"))
        }
        return String(decoding: bytes.bytes, as: UTF8.self)
    }

    func count(_ field: Int) throws(ImportFailure) -> Int { try vector(field, elementSize: 4).count / 4 }

    /// One table of a vector of tables.
    func table(_ field: Int, _ index: Int) throws(ImportFailure) -> FlatTable {
        guard let target = try target(field) else { throw Self.damaged }
        guard index >= 0, index < (try count(field)), case let place = target + 4 + 4 * index,
            let offset: UInt32 = view.integer(at: place)
        else { throw .corrupt("entry \(index) of a list does not exist") }
        return try FlatTable(view, at: place + Int(offset))
    }
}
