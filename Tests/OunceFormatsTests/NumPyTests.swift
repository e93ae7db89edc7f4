import Foundation
import OunceGraph
import Testing

@testable import OunceFormats

/// What NumPy says its files hold; made by Tests/Golden/formats/make_numpy.py.
private struct NumPyFacts: Decodable {
    struct Array: Decodable {
        var dtype: String
        var shape: [Int]
        var values: [Double]
    }
    struct Stream: Decodable {
        var name: String
        var packed: String
        var size: Int
        var crc32: UInt32
    }
    var arrays: [String: Array]
    var order: [String]
    var streams: [Stream]

    static func load() throws -> NumPyFacts { try Fixture.decode(Self.self, from: Fixture.golden("numpy.json")) }
}

@Suite struct NumPyTests {
    @Test(arguments: ["stored.npz", "deflated.npz"])
    func readsArchivesOfNumPy(_ name: String) throws {
        let facts = try NumPyFacts.load()
        for arrays in [
            try NumPyArchive.read(path: Fixture.golden(name)),
            try NumPyArchive.parse(bytes: Fixture.goldenBytes(name)),
        ] {
            #expect(arrays.map(\.name) == facts.order)
            for (name, tensor) in arrays {
                let fact = try #require(facts.arrays[name])
                #expect(tensor.dtype.name == fact.dtype, "\(name)")
                #expect(tensor.shape.dims == fact.shape, "\(name)")
                #expect(tensor.doubles() == fact.values, "\(name)")
            }
        }
    }

    @Test(arguments: 1...3) func readsEveryVersion(_ version: Int) throws {
        let tensor = try NumPyFile.read(path: Fixture.golden("version\(version).npy"))
        #expect(tensor.elements(Int32.self) == [0, 1, 2, 3, 4])
    }

    @Test func writesBytesAsNumPyDoes() throws {
        let tensor = try NumPyFile.read(path: Fixture.golden("version1.npy"))
        #expect(try NumPyFile.serialize(tensor) == Fixture.goldenBytes("version1.npy"))
    }

    @Test func writesArchivesThatReadBack() throws {
        let arrays = try NumPyArchive.read(path: Fixture.golden("stored.npz"))
        let path = Fixture.temporary("a.npz")
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(NumPyArchive.serialize(arrays)).write(to: URL(filePath: path))
        let again = try NumPyArchive.read(path: path)
        #expect(again.map(\.name) == arrays.map(\.name))
        for (old, new) in zip(arrays, again) {
            #expect(old.tensor.shape == new.tensor.shape && old.tensor.bytes.elementsEqual(new.tensor.bytes))
        }
        try expectNumPyReads(path, like: Fixture.golden("stored.npz"))
    }

    /// Asks NumPy itself, where Python has it.
    private func expectNumPyReads(_ path: String, like other: String) throws {
        let script = """
            import sys
            try: import numpy as np
            except ImportError: sys.exit(42)
            a, b = np.load(sys.argv[1]), np.load(sys.argv[2])
            assert a.files == b.files
            for n in a.files: np.testing.assert_array_equal(a[n], b[n]); assert a[n].dtype == b[n].dtype.newbyteorder('=')
            """
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        let python = ProcessInfo.processInfo.environment["OUNCE_PYTHON"] ?? "python3"
        process.arguments = [python, "-c", script, path, other]
        try process.run()
        process.waitUntilExit()
        if [42, 127].contains(process.terminationStatus) {
            return print("skipped: no Python with NumPy; set OUNCE_PYTHON")
        }
        #expect(process.terminationStatus == 0)
    }

    @Test func inflatesStreamsOfZlib() throws {
        for stream in try NumPyFacts.load().streams {
            let packed = stride(from: 0, to: stream.packed.count, by: 2).compactMap { offset in
                let start = stream.packed.index(stream.packed.startIndex, offsetBy: offset)
                return UInt8(stream.packed[start..<stream.packed.index(start, offsetBy: 2)], radix: 16)
            }
            let content = try inflate(packed, size: stream.size)
            #expect(content.withUnsafeBytes { CRC32.checksum($0) } == stream.crc32, "\(stream.name)")
            for wrong in [stream.size - 1, stream.size + 1] where wrong >= 0 {
                #expect(throws: FormatError.self, "\(stream.name)") { try inflate(packed, size: wrong) }
            }
            let accepted = tryPrefixes(of: packed, step: 7) { _ = try inflate($0, size: stream.size) }
            #expect(accepted == 0, "\(stream.name)")
            _ = tryDamaged(packed, rounds: 50, seed: 11) { _ = try inflate($0, size: stream.size) }
        }
    }

    private func inflate(_ packed: [UInt8], size: Int) throws -> [UInt8] {
        var content = [UInt8](repeating: 0, count: size)
        try packed.withUnsafeBytes { packed in
            try content.withUnsafeMutableBytes { try Inflate.decompress(packed, into: $0) }
        }
        return content
    }

    @Test func refusesDamagedArrays() throws {
        let file = try Fixture.goldenBytes("version1.npy")
        #expect(tryPrefixes(of: file) { _ = try NumPyFile.parse(bytes: $0) } == 0)
        _ = tryDamaged(file, rounds: 5000, seed: 1) { _ = try NumPyFile.parse(bytes: $0) }
        #expect(throws: FormatError.self) { try NumPyFile.parse(bytes: file + [0]) }
    }

    @Test(arguments: [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2147483648,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr", "", "{", "{'a': (1,",
    ])
    func refusesHeaders(_ dictionary: String) {
        let header: [UInt8] = NumPyFile.magic + [1, 0, UInt8(dictionary.utf8.count), 0] + dictionary.utf8
        #expect(throws: FormatError.self) { try NumPyFile.parse(bytes: header + [0, 0, 0, 0]) }
    }

    @Test(arguments: ["stored.npz", "deflated.npz"]) func refusesDamagedArchives(_ name: String) throws {
        let file = try Fixture.goldenBytes(name)
        #expect(tryPrefixes(of: file, step: 61) { _ = try NumPyArchive.parse(bytes: $0) } == 0)
        _ = tryDamaged(file, rounds: 300, seed: 2) { _ = try NumPyArchive.parse(bytes: $0) }
        #expect(throws: FormatError.self) { try NumPyArchive.parse(bytes: file, maximumBytes: 100) }
    }

    @Test func survivesDamagedDirectories() throws {
        let file = try NumPyArchive.serialize([
            ("a", Tensor([1, 2, 3] as [Float])), ("b", Tensor([4] as [Int8])),
        ])
        #expect(tryPrefixes(of: file) { _ = try NumPyArchive.parse(bytes: $0) } == 0)
        _ = tryDamaged(file, rounds: 5000, seed: 3) { _ = try NumPyArchive.parse(bytes: $0) }
    }

    @Test func refusesWhatIsNoFile() {
        #expect(throws: FormatError.self) { try NumPyFile.read(path: "/dev/zero") }
        #expect(throws: FormatError.self) { try NumPyFile.read(path: Fixture.temporary("absent")) }
        #expect(throws: FormatError.self) { try NumPyArchive.read(path: Fixture.golden("version1.npy")) }
    }
}
