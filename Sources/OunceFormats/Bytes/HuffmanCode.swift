/// A canonical Huffman code of DEFLATE (RFC 1951, section 3.2.2).
struct HuffmanCode {
    static let maximumLength = 15
    static let fastBits = 10

    /// For each value of the next `fastBits` bits: symbol << 4 | length, or 0 where the code is longer or unused.
    private(set) var fast = [UInt16](repeating: 0, count: 1 << fastBits)
    /// How many codes there are of each length.
    private(set) var counts = [Int](repeating: 0, count: maximumLength + 1)
    /// The symbols in the order of their codes.
    private(set) var symbols: [UInt16] = []

    /// - Parameters:
    ///   - lengths: the code length of each symbol, 0 for none.
    ///   - mayBeIncomplete: whether one code of length 1 alone, or none at all, is allowed.
    /// - Returns: nil where the lengths describe no code.
    init?(lengths: some Collection<UInt8>, mayBeIncomplete: Bool) {
        for length in lengths { counts[Int(length)] += 1 }
        counts[0] = 0
        var left = 1
        for length in 1...Self.maximumLength {
            left = left << 1 - counts[length]
            guard left >= 0 else { return nil }
        }
        let longest = counts.lastIndex { $0 > 0 } ?? 0
        guard left == 0 || (mayBeIncomplete && longest <= 1) else { return nil }

        var next = [Int](repeating: 0, count: Self.maximumLength + 2)
        var place = next
        for length in 1...Self.maximumLength {
            next[length + 1] = (next[length] + counts[length]) << 1
            place[length + 1] = place[length] + counts[length]
        }
        symbols = [UInt16](repeating: 0, count: counts.reduce(0, +))
        for (symbol, length) in lengths.enumerated() where length > 0 {
            let length = Int(length)
            symbols[place[length]] = UInt16(symbol)
            place[length] += 1
            let code = next[length]
            next[length] += 1
            guard length <= Self.fastBits else { continue }
            var slot = (0..<length).reduce(0) { $0 | (code >> $1 & 1) << (length - 1 - $1) }
            while slot < fast.count {
                fast[slot] = UInt16(symbol << 4 | length)
                slot += 1 << length
            }
        }
    }
}
