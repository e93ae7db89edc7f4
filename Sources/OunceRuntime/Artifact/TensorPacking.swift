import OunceGraph

/// How a tensor's bytes are stored in an artifact: as they are, mapped when the file is opened, or smaller where the
/// content allows it, unpacked then. Nothing is lost: what kind of numbers they are is read off the numbers.
package enum TensorPacking: UInt8, CaseIterable {
    case raw = 0
    /// int8 of -1 and 1: a bit for each, 1 for -1.
    case signs = 1
    /// int8 as small numbers of four or two bits times a factor for each group of up to 32 along the last axis: a byte for
    /// each group, then the numbers, in two's complement, lowest bits first.
    case groups4 = 2
    case groups2 = 3
    /// Pieces of one or four bytes, most of them zero: a bit for each, then those that are not zero.
    case sparse1 = 4
    case sparse4 = 5
    /// float32 that half precision (IEEE 754 binary16) holds exactly.
    case half = 6
    /// Like groups4 and groups2, with groups of up to 16.
    case groups4of16 = 7
    case groups2of16 = 8

    /// Smaller tensors are always stored as they are.
    package static let leastBytes = 256
    /// Packing has to leave at most this share of the bytes, or they are mapped as they are.
    private static let worthwhile = 0.9

    /// The smallest form, and how it is packed.
    package static func pack(_ tensor: Tensor) -> (packing: TensorPacking, bytes: [UInt8])? {
        guard tensor.byteCount >= leastBytes else { return nil }
        var best: (packing: TensorPacking, bytes: [UInt8])?
        for packing in allCases where packing != .raw {
            guard let bytes = packing.packed(tensor), bytes.count < best?.bytes.count ?? .max else { continue }
            best = (packing, bytes)
        }
        return best.flatMap { Double($0.bytes.count) <= Double(tensor.byteCount) * worthwhile ? $0 : nil }
    }

    /// nil where the content does not allow it.
    private func packed(_ tensor: Tensor) -> [UInt8]? {
        switch self {
        case .raw: nil
        case .signs: tensor.elements(Int8.self).flatMap(Self.packSigns)
        case .groups4, .groups2, .groups4of16, .groups2of16:
            tensor.elements(Int8.self).flatMap { packGroups($0, row: tensor.shape.dims.last ?? 1) }
        case .half: Self.packHalf(tensor)
        case .sparse1: Self.packSparse(tensor.bytes, piece: 1)
        case .sparse4: Self.packSparse(tensor.bytes, piece: 4)
        }
    }

    /// The tensor's bytes, unpacked when they are read; nil where `packed` is not as long as it must be or holds what
    /// packing never writes.
    package func unpacked(_ packed: TensorStorage, dtype: DType, shape: Shape) -> TensorStorage? {
        guard let count = shape.elementCount else { return nil }
        switch self {
        case .raw, .sparse1, .sparse4: break
        case .half: if dtype != .float32 { return nil }
        case .signs, .groups4, .groups2, .groups4of16, .groups2of16: if dtype != .int8 { return nil }
        }
        switch self {
        case .raw: return nil
        case .signs: return Self.unpackSigns(packed, count: count)
        case .groups4, .groups2, .groups4of16, .groups2of16:
            return unpackGroups(packed, count: count, row: shape.dims.last ?? 1)
        case .half: return Self.unpackHalf(packed, count: count)
        case .sparse1: return Self.unpackSparse(packed, byteCount: count * dtype.byteSize, piece: 1)
        case .sparse4: return Self.unpackSparse(packed, byteCount: count * dtype.byteSize, piece: 4)
        }
    }

    /// About how many elements or pieces are unpacked at once; a multiple of eight.
    private static let unit = 1 << 13

    // MARK: Signs

    private static func packSigns(_ values: [Int8]) -> [UInt8]? {
        guard values.allSatisfy({ $0 == 1 || $0 == -1 }) else { return nil }
        var bytes = [UInt8](repeating: 0, count: (values.count + 7) / 8)
        for (index, value) in values.enumerated() where value < 0 { bytes[index / 8] |= 1 << UInt8(index % 8) }
        return bytes
    }

    private static func unpackSigns(_ packed: TensorStorage, count: Int) -> TensorStorage? {
        guard packed.byteCount == (count + 7) / 8 else { return nil }
        return TensorStorage(byteCount: count, unit: unit) { range, to in
            packed.withBytes(range.lowerBound / 8..<(range.upperBound + 7) / 8) { bits in
                for index in to.indices { to[index] = bits[index / 8] >> UInt8(index % 8) & 1 == 0 ? 1 : 0xFF }
            }
        }
    }

    // MARK: Half precision

    private static func packHalf(_ tensor: Tensor) -> [UInt8]? {
        guard tensor.dtype == .float32 else { return nil }
        var bytes: [UInt8] = []
        for index in 0..<tensor.count {
            let number = tensor.bytes.loadUnaligned(fromByteOffset: 4 * index, as: Float.self)
            guard number.isFinite, abs(number) <= 65504 else { return nil }
            let bits = Double(number).halfBits
            guard Float(halfBits: bits).bitPattern == number.bitPattern else { return nil }
            if bytes.isEmpty { bytes.reserveCapacity(2 * tensor.count) }
            bytes.append(UInt8(truncatingIfNeeded: bits))
            bytes.append(UInt8(truncatingIfNeeded: bits >> 8))
        }
        return bytes
    }

    private static func unpackHalf(_ packed: TensorStorage, count: Int) -> TensorStorage? {
        guard packed.byteCount == 2 * count else { return nil }
        return TensorStorage(byteCount: 4 * count, unit: 4 * unit) { range, to in
            packed.withBytes(range.lowerBound / 2..<range.upperBound / 2) { bytes in
                for index in 0..<to.count / 4 {
                    let bits = UInt16(bytes[2 * index]) | UInt16(bytes[2 * index + 1]) << 8
                    to.storeBytes(of: Float(halfBits: bits), toByteOffset: 4 * index, as: Float.self)
                }
            }
        }
    }

    // MARK: Groups

    private var bits: Int { self == .groups4 || self == .groups4of16 ? 4 : 2 }
    private var group: Int { self == .groups4of16 || self == .groups2of16 ? 16 : 32 }

    /// The groups of a tensor whose rows are `row` long, as ranges of elements.
    private func groups(_ count: Int, row: Int) -> [Range<Int>] {
        guard row > 0 else { return [] }
        return stride(from: 0, to: count, by: row).flatMap { start in
            stride(from: start, to: start + row, by: group).map { $0..<min($0 + group, start + row) }
        }
    }

    private func packGroups(_ values: [Int8], row: Int) -> [UInt8]? {
        let (low, high) = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        let groups = groups(values.count, row: row)
        var bytes = [UInt8](repeating: 0, count: groups.count + (values.count * bits + 7) / 8)
        for (number, range) in groups.enumerated() {
            let factor = values[range].reduce(0) { Self.greatestDivisor($0, Int($1.magnitude)) }
            bytes[number] = UInt8(clamping: factor)
            for index in range {
                let small = factor == 0 ? 0 : Int(values[index]) / factor
                guard (low...high).contains(small), factor <= 127 else { return nil }
                let place = index * bits
                let field = UInt8(truncatingIfNeeded: small & (1 << bits - 1))
                bytes[groups.count + place / 8] |= field << UInt8(place % 8)
            }
        }
        return bytes
    }

    private static func greatestDivisor(_ a: Int, _ b: Int) -> Int {
        var (a, b) = (a, b)
        while b != 0 { (a, b) = (b, a % b) }
        return a
    }

    private func unpackGroups(_ packed: TensorStorage, count: Int, row: Int) -> TensorStorage? {
        guard row > 0 else { return nil }
        let (bits, group) = (bits, group)
        let perRow = (row + group - 1) / group
        let groups = count / row * perRow
        guard packed.byteCount == groups + (count * bits + 7) / 8 else { return nil }
        return TensorStorage(byteCount: count, unit: row * max(Self.unit / row, 1)) { range, to in
            let firstRow = range.lowerBound / row
            let factors = firstRow * perRow..<(range.upperBound / row) * perRow
            let firstByte = range.lowerBound * bits / 8
            packed.withBytes(factors) { factors in
                packed.withBytes(groups + firstByte..<groups + (range.upperBound * bits + 7) / 8) { numbers in
                    for index in to.indices {
                        let place = (range.lowerBound + index) * bits
                        let raw = Int(numbers[place / 8 - firstByte] >> UInt8(place % 8)) & (1 << bits - 1)
                        let small = raw >= 1 << (bits - 1) ? raw - 1 << bits : raw
                        let factor = Int(factors[index / row * perRow + index % row / group])
                        to[index] = UInt8(truncatingIfNeeded: small &* factor)
                    }
                }
            }
        }
    }

    // MARK: Zeros

    private static func packSparse(_ bytes: UnsafeRawBufferPointer, piece: Int) -> [UInt8]? {
        let pieces = bytes.count / piece
        guard pieces * piece == bytes.count else { return nil }
        let map = (pieces + 7) / 8
        // Dense numbers, the common case, are given up before anything is copied.
        let kept = piece == 1 ? nonZeroBytes(bytes) : nonZeroWords(bytes)
        guard kept <= (Int(Double(bytes.count) * worthwhile) - map) / piece else { return nil }
        return [UInt8](unsafeUninitializedCapacity: map + kept * piece) { to, count in
            to.initialize(repeating: 0)
            var next = map
            for index in 0..<pieces {
                let place = index * piece
                if piece == 1 {
                    guard bytes[place] != 0 else { continue }
                    to[next] = bytes[place]
                } else {
                    guard bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self) != 0 else { continue }
                    for byte in 0..<piece { to[next + byte] = bytes[place + byte] }
                }
                to[index / 8] |= 1 << UInt8(index % 8)
                next += piece
            }
            count = next
        }
    }

    private static func nonZeroBytes(_ bytes: UnsafeRawBufferPointer) -> Int {
        let low: UInt64 = 0x7F7F_7F7F_7F7F_7F7F
        var count = 0
        let whole = bytes.count / 8 * 8
        for start in stride(from: 0, to: whole, by: 8) {
            let word = bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self)
            // The top bit of each byte that is not zero: adding 127 carries into it unless the low bits are zero.
            count += ((((word & low) &+ low) | word) & ~low).nonzeroBitCount
        }
        for index in whole..<bytes.count where bytes[index] != 0 { count += 1 }
        return count
    }

    private static func nonZeroWords(_ bytes: UnsafeRawBufferPointer) -> Int {
        var count = 0
        for start in stride(from: 0, to: bytes.count, by: 4) {
            if bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self) != 0 { count += 1 }
        }
        return count
    }

    private static func unpackSparse(_ packed: TensorStorage, byteCount: Int, piece: Int) -> TensorStorage? {
        let pieces = byteCount / piece
        let map = (pieces + 7) / 8
        guard pieces * piece == byteCount, packed.byteCount >= map else { return nil }
        // How many pieces are kept before each unit.
        var before = [0]
        packed.withBytes(0..<map) { bits in
            for start in stride(from: 0, to: map, by: unit / 8) {
                let kept = bits[start..<min(start + unit / 8, map)].reduce(0) { $0 + $1.nonzeroBitCount }
                before.append((before.last ?? 0) + kept)
            }
        }
        let places = before
        guard packed.byteCount == map + (places.last ?? 0) * piece else { return nil }
        return TensorStorage(byteCount: byteCount, unit: unit * piece) { range, to in
            let (first, end) = (range.lowerBound / piece, range.upperBound / piece)
            let kept = places[first / unit]..<places[(end + unit - 1) / unit]
            packed.withBytes(first / 8..<(end + 7) / 8) { bits in
                packed.withBytes(map + kept.lowerBound * piece..<map + kept.upperBound * piece) { numbers in
                    var next = 0
                    for index in 0..<end - first where bits[index / 8] >> UInt8(index % 8) & 1 != 0 {
                        for byte in 0..<piece { to[index * piece + byte] = numbers[next + byte] }
                        next += piece
                    }
                }
            }
        }
    }
}
