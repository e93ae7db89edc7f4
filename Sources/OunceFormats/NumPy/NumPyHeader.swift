import OunceGraph

/// The header of a `.npy` file: a Python dictionary of three entries (NEP 1).
struct NumPyHeader: Hashable {
    var dtype: DType
    var isBigEndian = false
    var isFortranOrder: Bool
    var shape: Shape

    private enum Literal {
        case string(String)
        case bool(Bool)
        case integer(Int)
        case tuple([Int])
    }

    /// - Parameter text: the dictionary, with the padding that follows it.
    init(parsing text: UnsafeRawBufferPointer) throws(FormatError) {
        var scanner = Scanner(text: text)
        var entries: [String: Literal] = [:]
        try scanner.expect("{")
        while !scanner.skip("}") {
            guard case .string(let key) = try scanner.literal() else { throw Scanner.malformed("a key is no string") }
            try scanner.expect(":")
            guard entries.updateValue(try scanner.literal(), forKey: key) == nil else {
                throw Scanner.malformed("'\(key)' occurs twice")
            }
            if !scanner.skip(",") {
                try scanner.expect("}")
                break
            }
        }
        guard scanner.isAtEnd else { throw Scanner.malformed("something follows the dictionary") }
        guard entries.count == 3, case .string(let descr) = entries["descr"],
            case .bool(let isFortran) = entries["fortran_order"], case .tuple(let dims) = entries["shape"]
        else { throw Scanner.malformed("'descr', 'fortran_order' and 'shape' are wanted") }
        (dtype, isBigEndian) = try Self.type(descr)
        isFortranOrder = isFortran
        shape = Shape(dims)
        guard dims.count <= 8 else { throw FormatError(.unsupported, "the array has \(dims.count) axes, over 8") }
        guard shape.elementCount != nil else {
            throw FormatError(.limit, "the array \(shape) has over \(Shape.maximumElements) elements")
        }
    }

    init(dtype: DType, shape: Shape) {
        self.dtype = dtype
        self.shape = shape
        isFortranOrder = false
    }

    /// The bytes of the array. The shape is bounded, so this does not overflow.
    var byteCount: Int { (shape.elementCount ?? 0) * dtype.byteSize }

    /// Magic, version 1.0, length, dictionary and padding to a multiple of 64 bytes.
    var serialized: [UInt8] {
        let extents = shape.dims.map(String.init).joined(separator: ", ") + (shape.rank == 1 ? "," : "")
        let order = dtype.byteSize == 1 ? "|" : "<"
        let text = "{'descr': '\(order)\(Self.code(dtype))', 'fortran_order': False, 'shape': (\(extents)), }"
        let padding = 63 - (NumPyFile.magic.count + 4 + text.utf8.count) % 64
        let dictionary = Array(text.utf8) + [UInt8](repeating: 0x20, count: padding) + [0x0A]
        let length = UInt16(truncatingIfNeeded: dictionary.count)
        return NumPyFile.magic + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)] + dictionary
    }

    private static func type(_ descr: String) throws(FormatError) -> (DType, isBigEndian: Bool) {
        guard let order = descr.first, "<>=|".contains(order),
            let dtype = DType.allCases.first(where: { code($0) == descr.dropFirst() })
        else {
            throw FormatError(
                .unsupported, "arrays of '\(descr)' are not read; convert to a bool, integer or float type first")
        }
        return (dtype, order == ">" && dtype.byteSize > 1)
    }

    /// NumPy's letter and size.
    private static func code(_ dtype: DType) -> String {
        let letter =
            switch dtype {
            case .float16, .float32, .float64: "f"
            case .int8, .int16, .int32, .int64: "i"
            case .uint8, .uint16, .uint32, .uint64: "u"
            case .bool: "b"
            }
        return letter + String(dtype.byteSize)
    }

    /// Reads the few forms of Python literals that a header holds.
    private struct Scanner {
        let text: UnsafeRawBufferPointer
        var position = 0

        static func malformed(_ what: String) -> FormatError {
            FormatError(.corrupt, "the header of the array is malformed: \(what)")
        }

        private mutating func skipSpace() {
            while position < text.count, [0x20, 0x0A, 0x09, 0x0D].contains(text[position]) { position += 1 }
        }

        private var next: UInt8? { position < text.count ? text[position] : nil }

        var isAtEnd: Bool {
            mutating get {
                skipSpace()
                return next == nil
            }
        }

        mutating func skip(_ character: Unicode.Scalar) -> Bool {
            skipSpace()
            guard next == UInt8(ascii: character) else { return false }
            position += 1
            return true
        }

        mutating func expect(_ character: Unicode.Scalar) throws(FormatError) {
            guard skip(character) else { throw Self.malformed("'\(character)' is wanted at byte \(position)") }
        }

        mutating func literal() throws(FormatError) -> Literal {
            for quote: Unicode.Scalar in ["'", "\""] where skip(quote) {
                let start = position
                while let byte = next, byte != UInt8(ascii: quote) { position += 1 }
                let content = String(decoding: text[start..<position], as: UTF8.self)
                guard skip(quote) else { throw Self.malformed("a string has no end") }
                return .string(content)
            }
            if skip("[") { throw FormatError(.unsupported, "structured arrays are not read; save plain ones") }
            guard skip("(") else { return try word() }
            var elements: [Int] = []
            while !skip(")") {
                guard case .integer(let element) = try word(), elements.count < 64 else {
                    throw Self.malformed("the shape")
                }
                elements.append(element)
                if !skip(",") {
                    try expect(")")
                    break
                }
            }
            return .tuple(elements)
        }

        /// True, False or an integer that is not negative (Python 2 marks long ones with L).
        private mutating func word() throws(FormatError) -> Literal {
            skipSpace()
            let start = position
            while let byte = next, isAlphanumeric(byte) { position += 1 }
            let word = String(decoding: text[start..<position], as: UTF8.self)
            switch word {
            case "True": return .bool(true)
            case "False": return .bool(false)
            default:
                let digits = word.hasSuffix("L") ? String(word.dropLast()) : word
                guard let value = Int(digits), value >= 0 else { throw Self.malformed("'\(word)'") }
                return .integer(value)
            }
        }

        private func isAlphanumeric(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        }
    }
}
