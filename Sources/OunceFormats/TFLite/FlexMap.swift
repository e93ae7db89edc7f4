/// The options of a custom operator: a FlexBuffer whose root maps names to numbers. Other values are passed over.
///
/// Source: the FlexBuffers format (flatbuffers.dev, "FlexBuffers").
struct FlexMap {
    private static let maximumEntries = 256
    private var numbers: [String: Double] = [:]

    /// - Throws: where an offset leads out of the buffer, or its root is no map.
    init(_ view: ByteView) throws(ImportFailure) {
        // From the end: the width of the root, its type, the root.
        guard view.count >= 3, let width: UInt8 = view.integer(at: view.count - 1),
            let type: UInt8 = view.integer(at: view.count - 2), Kind(type) == .map
        else { throw Self.damaged }
        let values = try Self.target(view, view.count - 2 - Int(width), Int(width))
        let size = 1 << Int(type & 3)
        // In front of the values: where the keys are, how wide those are, how many values there are.
        let keys = try Self.target(view, values - 3 * size, size)
        let keySize = try Self.unsigned(view, values - 2 * size, size)
        let count = try Self.unsigned(view, values - size, size)
        guard count <= Self.maximumEntries, [1, 2, 4, 8].contains(keySize) else { throw Self.damaged }
        for index in 0..<count {
            let key = try Self.string(view, try Self.target(view, keys + index * keySize, keySize))
            guard let packed: UInt8 = view.integer(at: values + count * size + index) else { throw Self.damaged }
            numbers[key] = try Self.number(view, values + index * size, size, packed)
        }
    }

    func number(_ key: String) -> Double? { numbers[key] }

    /// An integer of 32 bits; another number is moved into their range.
    func integer(_ key: String) -> Int? {
        numbers[key].map { $0.isNaN ? 0 : Int(min(max($0, Double(Int32.min)), Double(Int32.max))) }
    }

    private enum Kind {
        case map, signed, unsigned, float, other
        /// The number lies elsewhere, in a width of its own.
        case farSigned, farUnsigned, farFloat

        init(_ packed: UInt8) {
            switch packed >> 2 {
            case 1: self = .signed
            case 2, 26: self = .unsigned
            case 3: self = .float
            case 6: self = .farSigned
            case 7: self = .farUnsigned
            case 8: self = .farFloat
            case 9: self = .map
            default: self = .other
            }
        }
    }

    private static var damaged: ImportFailure { .corrupt("the options of a custom operator are damaged") }

    private static func unsigned(_ view: ByteView, _ place: Int, _ size: Int) throws(ImportFailure) -> Int {
        let number: Int? =
            switch size {
            case 1: view.integer(UInt8.self, at: place).map { Int($0) }
            case 2: view.integer(UInt16.self, at: place).map { Int($0) }
            case 4: view.integer(UInt32.self, at: place).map { Int($0) }
            case 8: view.integer(UInt64.self, at: place).flatMap { Int(exactly: $0) }
            default: nil
            }
        guard let number else { throw damaged }
        return number
    }

    /// What the offset at `place` refers to: always something in front of it.
    private static func target(_ view: ByteView, _ place: Int, _ size: Int) throws(ImportFailure) -> Int {
        let offset = try unsigned(view, place, size)
        guard offset <= place else { throw damaged }
        return place - offset
    }

    private static func string(_ view: ByteView, _ place: Int) throws(ImportFailure) -> String {
        guard place < view.count else { throw damaged }
        return String(decoding: view.bytes[place...].prefix(64).prefix { $0 != 0 }, as: UTF8.self)
    }

    private static func number(
        _ view: ByteView, _ place: Int, _ size: Int, _ packed: UInt8
    ) throws(ImportFailure) -> Double? {
        let far = 1 << Int(packed & 3)
        switch Kind(packed) {
        case .signed: return try signed(view, place, size)
        case .unsigned: return Double(try unsigned(view, place, size))
        case .float: return try float(view, place, size)
        case .farSigned: return try signed(view, try target(view, place, size), far)
        case .farUnsigned: return Double(try unsigned(view, try target(view, place, size), far))
        case .farFloat: return try float(view, try target(view, place, size), far)
        case .map, .other: return nil
        }
    }

    private static func signed(_ view: ByteView, _ place: Int, _ size: Int) throws(ImportFailure) -> Double {
        let number: Double? =
            switch size {
            case 1: view.integer(Int8.self, at: place).map { Double($0) }
            case 2: view.integer(Int16.self, at: place).map { Double($0) }
            case 4: view.integer(Int32.self, at: place).map { Double($0) }
            default: view.integer(Int64.self, at: place).map { Double($0) }
            }
        guard let number else { throw damaged }
        return number
    }

    private static func float(_ view: ByteView, _ place: Int, _ size: Int) throws(ImportFailure) -> Double {
        let number: Double? =
            switch size {
            case 4: view.integer(UInt32.self, at: place).map { Double(Float(bitPattern: $0)) }
            case 8: view.integer(UInt64.self, at: place).map { Double(bitPattern: $0) }
            default: nil
            }
        guard let number else { throw damaged }
        return number
    }
}
