import Foundation

/// A `.npy` file, by the format's specification (numpy.lib.format), version 1.0, little-endian, C order.
struct NumPyArray: Equatable {
    var descr: String
    var shape: [Int]
    var bytes: Data

    init(_ values: [Float], shape: [Int]) {
        descr = "<f4"
        self.shape = shape
        bytes = values.withUnsafeBytes { Data($0) }
    }

    init(labels: [Int64]) {
        descr = "<i8"
        shape = [labels.count]
        bytes = labels.withUnsafeBytes { Data($0) }
    }

    init(contentsOf path: String) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        guard data.starts(with: Data([0x93]) + Data("NUMPY\u{1}\0".utf8)), data.count >= 10 else {
            throw TestFailure("\(path) is no .npy of version 1.0")
        }
        let end = 10 + Int(data[8]) + Int(data[9]) << 8
        let header = String(decoding: data[10..<end], as: UTF8.self)
        guard let type = header.firstMatch(of: /'descr': '([^']+)'/),
            let dims = header.firstMatch(of: /'shape': \(([^)]*)\)/), header.contains("'fortran_order': False")
        else { throw TestFailure("\(path): \(header)") }
        descr = String(type.1)
        shape = dims.1.split(separator: ",").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
        bytes = Data(data[end...])
    }

    var floats: [Float] { values(Float.self) }

    func values<T>(_: T.Type) -> [T] { bytes.withUnsafeBytes { Array($0.bindMemory(to: T.self)) } }

    var encoded: Data {
        let dims = shape.map { "\($0)," }.joined(separator: " ")
        var header = "{'descr': '\(descr)', 'fortran_order': False, 'shape': (\(dims)), }"
        while (10 + header.utf8.count + 1) % 64 != 0 { header += " " }
        header += "\n"
        let length = UInt16(header.utf8.count)
        return Data([0x93]) + Data("NUMPY\u{1}\0".utf8) + Data([UInt8(length & 0xFF), UInt8(length >> 8)])
            + Data(header.utf8) + bytes
    }
}

/// A `.npz`: a ZIP archive of stored `.npy` entries (APPNOTE 4.3).
enum NumPyArchive {
    static func encoded(_ arrays: [(name: String, array: NumPyArray)]) -> Data {
        var body = Data()
        var directory = Data()
        for (name, array) in arrays {
            let content = array.encoded
            let file = Data((name + ".npy").utf8)
            var common = Data()
            // Version 2.0, no flags, stored, 1980-01-01.
            for value in [20, 0, 0, 0, 0x21] { common.put(value, 2) }
            common.put(Int(crc32(content)), 4)
            for _ in 0..<2 { common.put(content.count, 4) }
            common.put(file.count, 2)
            common.put(0, 2)
            directory.put(0x0201_4B50, 4)
            directory.put(20, 2)
            directory += common
            for width in [2, 2, 2, 4] { directory.put(0, width) }
            directory.put(body.count, 4)
            directory += file
            body.put(0x0403_4B50, 4)
            body += common + file + content
        }
        let start = body.count
        body += directory
        body.put(0x0605_4B50, 4)
        for value in [0, 0, arrays.count, arrays.count] { body.put(value, 2) }
        body.put(directory.count, 4)
        body.put(start, 4)
        body.put(0, 2)
        return body
    }

    private static func crc32(_ data: Data) -> UInt32 {
        var crc = UInt32.max
        for byte in data {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        return ~crc
    }
}

extension Data {
    /// The low `width` bytes of `value`, little-endian.
    fileprivate mutating func put(_ value: Int, _ width: Int) {
        for index in 0..<width { append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    mutating func floats(_ count: Int) -> [Float] { (0..<count).map { _ in Float.random(in: -1...1, using: &self) } }
}
