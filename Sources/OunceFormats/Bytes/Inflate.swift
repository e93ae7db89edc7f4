/// Decompression of raw DEFLATE data (RFC 1951) into memory of known size.
struct Inflate {
    /// DEFLATE cannot say more than this many bytes with one.
    static let maximumRatio = 1032

    private let input: UnsafeRawBufferPointer
    private let output: UnsafeMutableRawBufferPointer
    private var position = 0
    private var written = 0
    private var bits: UInt64 = 0
    private var bitCount = 0

    /// Fills `output` from `input`.
    ///
    /// - Throws: `corrupt` where the data are damaged or do not give exactly `output.count` bytes.
    static func decompress(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(FormatError) {
        var inflate = Inflate(input: input, output: output)
        try inflate.run()
    }

    private init(input: UnsafeRawBufferPointer, output: UnsafeMutableRawBufferPointer) {
        self.input = input
        self.output = output
    }

    private mutating func run() throws(FormatError) {
        var isLast = false
        while !isLast {
            isLast = try take(1) == 1
            switch try take(2) {
            case 0: try stored()
            case 1:
                guard let (literals, distances) = Self.fixed else { throw Self.damaged("the fixed codes") }
                try block(literals: literals, distances: distances)
            case 2:
                let (literals, distances) = try dynamicCodes()
                try block(literals: literals, distances: distances)
            default: throw Self.damaged("a block of unknown kind")
            }
        }
        guard written == output.count else {
            throw Self.damaged("\(written) bytes where \(output.count) are announced")
        }
    }

    private static func damaged(_ what: String) -> FormatError {
        FormatError(.corrupt, "the compressed data are damaged: \(what)")
    }

    // MARK: Bits, lowest first

    private mutating func refill() {
        while bitCount <= 56, position < input.count {
            bits |= UInt64(input[position]) << UInt64(bitCount)
            position += 1
            bitCount += 8
        }
    }

    private mutating func drop(_ count: Int) throws(FormatError) {
        guard count <= bitCount else { throw Self.damaged("they end too early") }
        bits >>= UInt64(count)
        bitCount -= count
    }

    private mutating func take(_ count: Int) throws(FormatError) -> Int {
        refill()
        let value = Int(bits & (1 << UInt64(count) - 1))
        try drop(count)
        return value
    }

    private mutating func symbol(_ code: HuffmanCode) throws(FormatError) -> Int {
        refill()
        let entry = Int(code.fast[Int(bits & UInt64(code.fast.count - 1))])
        if entry != 0 {
            try drop(entry & 15)
            return entry >> 4
        }
        var (value, first, index) = (0, 0, 0)
        for length in 1...HuffmanCode.maximumLength {
            value |= Int(bits >> UInt64(length - 1) & 1)
            let count = code.counts[length]
            if value - first < count {
                try drop(length)
                return Int(code.symbols[index + value - first])
            }
            index += count
            first = (first + count) << 1
            value <<= 1
        }
        throw Self.damaged("an unused code")
    }

    // MARK: Blocks

    private mutating func stored() throws(FormatError) {
        try drop(bitCount % 8)
        let length = try take(16)
        guard try take(16) == length ^ 0xFFFF else { throw Self.damaged("the length of a stored block") }
        // Whole bytes may wait in the bit buffer.
        position -= bitCount / 8
        (bits, bitCount) = (0, 0)
        guard length <= input.count - position, length <= output.count - written else {
            throw Self.damaged("a stored block that is too long")
        }
        let source = UnsafeRawBufferPointer(rebasing: input[position..<position + length])
        UnsafeMutableRawBufferPointer(rebasing: output[written..<written + length]).copyMemory(from: source)
        position += length
        written += length
    }

    private mutating func block(literals: HuffmanCode, distances: HuffmanCode) throws(FormatError) {
        while true {
            let symbol = try symbol(literals)
            if symbol == 256 { return }
            if symbol < 256 {
                guard written < output.count else { throw Self.damaged("more bytes than announced") }
                output[written] = UInt8(symbol)
                written += 1
                continue
            }
            guard symbol - 257 < Self.lengthBase.count else { throw Self.damaged("an unused length") }
            let length = Self.lengthBase[symbol - 257] + (try take(Self.lengthExtra[symbol - 257]))
            let place = try self.symbol(distances)
            guard place < Self.distanceBase.count else { throw Self.damaged("an unused distance") }
            let distance = Self.distanceBase[place] + (try take(Self.distanceExtra[place]))
            guard distance <= written else { throw Self.damaged("a reference before the start") }
            guard length <= output.count - written else { throw Self.damaged("more bytes than announced") }
            for _ in 0..<length {
                output[written] = output[written - distance]
                written += 1
            }
        }
    }

    private mutating func dynamicCodes() throws(FormatError) -> (HuffmanCode, HuffmanCode) {
        let literalCount = try take(5) + 257
        let distanceCount = try take(5) + 1
        let orderCount = try take(4) + 4
        guard literalCount <= 286, distanceCount <= 30 else { throw Self.damaged("too many codes") }
        var lengths = [UInt8](repeating: 0, count: 19)
        for index in 0..<orderCount { lengths[Self.lengthOrder[index]] = UInt8(try take(3)) }
        guard let lengthCode = HuffmanCode(lengths: lengths, mayBeIncomplete: false) else {
            throw Self.damaged("the code lengths")
        }
        lengths = []
        while lengths.count < literalCount + distanceCount {
            let symbol = try symbol(lengthCode)
            switch symbol {
            case 16:
                guard let last = lengths.last else { throw Self.damaged("a repetition of nothing") }
                lengths += [UInt8](repeating: last, count: 3 + (try take(2)))
            case 17: lengths += [UInt8](repeating: 0, count: 3 + (try take(3)))
            case 18: lengths += [UInt8](repeating: 0, count: 11 + (try take(7)))
            default: lengths.append(UInt8(symbol))
            }
        }
        guard lengths.count == literalCount + distanceCount, lengths[256] != 0,
            let literals = HuffmanCode(lengths: lengths[..<literalCount], mayBeIncomplete: true),
            let distances = HuffmanCode(lengths: lengths[literalCount...], mayBeIncomplete: true)
        else { throw Self.damaged("the codes of a block") }
        return (literals, distances)
    }

    // MARK: Tables of RFC 1951, section 3.2.5 to 3.2.7

    private static let fixed: (literals: HuffmanCode, distances: HuffmanCode)? = {
        let lengths = (0..<288).map { UInt8($0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8) }
        guard let literals = HuffmanCode(lengths: lengths, mayBeIncomplete: false),
            let distances = HuffmanCode(lengths: [UInt8](repeating: 5, count: 32), mayBeIncomplete: false)
        else { return nil }
        return (literals, distances)
    }()

    private static let lengthExtra = (0..<29).map { $0 < 8 || $0 == 28 ? 0 : $0 / 4 - 1 }
    private static let lengthBase: [Int] = {
        var base = [3]
        for extra in lengthExtra.dropLast(2) { base.append((base.last ?? 0) + 1 << extra) }
        return base + [258]
    }()
    private static let distanceExtra = (0..<30).map { $0 < 4 ? 0 : $0 / 2 - 1 }
    private static let distanceBase: [Int] = {
        var base = [1]
        for extra in distanceExtra.dropLast() { base.append((base.last ?? 0) + 1 << extra) }
        return base
    }()
    private static let lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
}
