import Crypto
import FoundationEssentials
import OunceGraph

/// A compressed model as a file: portable (no machine-specific packing), versioned, checksummed and mapped, not read.
///
/// Layout, little-endian: a header of 64 bytes (magic, version, header size, file size, SHA-256 of all that follows), a table
/// of sections (kind, offset, length), then the sections: the graph, the self-checks, provenance and report as JSON, and the
/// tensors' data, each tensor on a boundary of 64 bytes, as it is or packed (`TensorPacking`).
package struct Artifact: Sendable {
    package var graph: Graph { didSet { prepared = nil } }
    private var record: Record
    /// Inputs with the outputs that they must give, bit for bit, on every device.
    package var selfChecks: [SelfCheck]
    /// The graph as bytes, where they were asked for.
    private var prepared: EncodedGraph?

    package init(graph: Graph, provenance: Provenance, report: Report?, selfChecks: [SelfCheck]) {
        self.graph = graph
        record = .known(Description(provenance: provenance, report: report))
        self.selfChecks = selfChecks
    }

    static let magic: [UInt8] = [0x4F, 0x55, 0x4E, 0x43, 0x45, 0x0D, 0x0A, 0x1A]
    /// Version 3 has packed tensors and says of each where it lies and how long it is.
    static let version: UInt32 = 3
    static let headerSize = 64

    enum Section: UInt32, CaseIterable { case graph = 1, checks = 2, description = 3, data = 4 }

    /// Where an artifact comes from, and what was measured of it.
    package struct Description: Codable, Sendable {
        package var provenance: Provenance
        package var report: Report?
    }

    /// Most who open an artifact only run it: the description is decoded when somebody asks.
    private enum Record: Sendable {
        case known(Description)
        case encoded([UInt8])
    }

    /// Whether a file starts like an artifact.
    package static func isArtifact(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.starts(with: magic) }
}

/// One self-check vector: tensors in the order of the model's inputs and outputs as a client sees them. Those of a model
/// with states are consecutive runs of one stream.
package struct SelfCheck: Sendable {
    package var inputs: [Tensor]
    package var outputs: [Tensor]

    package init(inputs: [Tensor], outputs: [Tensor]) {
        self.inputs = inputs
        self.outputs = outputs
    }
}

// MARK: Writing

/// A graph as the bytes of its sections.
private struct EncodedGraph: Sendable {
    let bytes: [UInt8]
    let data: DataSection

    init(_ graph: Graph) {
        var data = DataSection()
        bytes = GraphCoding.encode(graph, data: &data)
        self.data = data
    }
}

extension Artifact {
    /// Makes the bytes of the graph, which packs its tensors, and keeps them: `byteCount` and `encoded` are cheap from then
    /// on, whatever becomes of report and self-checks.
    package mutating func prepare() { prepared = EncodedGraph(graph) }

    /// Size of the file.
    ///
    /// - Throws: `.unsupported` where the report cannot be written as JSON.
    package func byteCount() throws(RuntimeError) -> Int {
        let content = try sections()
        return Self.headerSize + Self.layOut(content).byteCount
    }

    /// The file's bytes.
    ///
    /// - Throws: `.unsupported` where the report cannot be written as JSON.
    package func encoded() throws(RuntimeError) -> [UInt8] {
        let content = try sections()
        let (table, places, byteCount) = Self.layOut(content)
        var file = [UInt8](repeating: 0, count: Self.headerSize)
        file.reserveCapacity(Self.headerSize + byteCount)
        file.append(contentsOf: table)
        for ((_, pieces), place) in zip(content, places) {
            file.append(contentsOf: repeatElement(0, count: place - file.count))
            for piece in pieces { file.append(contentsOf: piece) }
        }
        var header = ByteWriter()
        for byte in Self.magic { header.put(byte) }
        header.put(Self.version)
        header.put(UInt32(Self.headerSize))
        header.put(UInt64(file.count))
        for byte in Self.hash(ofBody: file) { header.put(byte) }
        header.put(UInt64(0))
        file.replaceSubrange(..<Self.headerSize, with: header.bytes)
        return file
    }

    private static func hash(ofBody file: [UInt8]) -> SHA256.Digest {
        var hash = SHA256()
        file.withUnsafeBytes { hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[headerSize...])) }
        return hash.finalize()
    }

    /// The sections in their order, each in pieces.
    private func sections() throws(RuntimeError) -> [(kind: Section, pieces: [[UInt8]])] {
        let encodedGraph = prepared ?? EncodedGraph(graph)
        var data = DataSection(after: encodedGraph.data)
        var checks = ByteWriter()
        checks.putList(selfChecks) { writer, check in
            for tensors in [check.inputs, check.outputs] {
                writer.putList(tensors) { GraphCoding.encode($1, to: &$0, data: &data) }
            }
        }
        data.finish()
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let description: [UInt8]
        switch record {
        case .encoded(let bytes): description = bytes
        case .known(let known):
            do {
                description = Array(try encoder.encode(known))
            } catch {
                throw RuntimeError(.unsupported, "the report cannot be written: \(error)")
            }
        }
        return [
            (.graph, [encodedGraph.bytes]), (.checks, [checks.bytes]), (.description, [description]),
            (.data, [encodedGraph.data.bytes, data.bytes]),
        ]
    }

    /// The table of sections, where in the file each begins, and the bytes of all behind the header.
    private static func layOut(
        _ sections: [(kind: Section, pieces: [[UInt8]])]
    ) -> (table: [UInt8], places: [Int], byteCount: Int) {
        var table = ByteWriter()
        table.put(UInt32(sections.count))
        var offset = headerSize + 4 + sections.count * 20
        var places: [Int] = []
        for (section, pieces) in sections {
            let count = pieces.reduce(0) { $0 + $1.count }
            offset = (offset + 63) / 64 * 64
            places.append(offset)
            table.put(section.rawValue)
            table.put(UInt64(offset))
            table.put(UInt64(count))
            offset += count
        }
        return (table.bytes, places, offset - headerSize)
    }
}

// MARK: Reading

extension Artifact {
    /// Maps the file and checks header, checksum, structure and graph; the weights stay in the map.
    ///
    /// - Throws: `.io` where it cannot be opened, `.corrupt` with what is wrong where it is no sound artifact.
    package static func open(path: String) throws(RuntimeError) -> Artifact {
        let file: MappedFile
        do {
            file = try MappedFile(path: path)
        } catch { throw RuntimeError(.io, error.description) }
        return try open(file, path: path)
    }

    /// The artifact in a mapped file; its path is for messages.
    package static func open(_ file: MappedFile, path: String) throws(RuntimeError) -> Artifact {
        do {
            return try withExtendedLifetime(file) { () throws(RuntimeError) in try decode(file) }
        } catch {
            throw RuntimeError(error.code, "\(path): \(error.message)")
        }
    }

    private static func decode(_ file: MappedFile) throws(RuntimeError) -> Artifact {
        let bytes = file.bytes
        guard isArtifact(bytes) else { throw RuntimeError(.corrupt, "it is no Ounce artifact") }
        guard bytes.count >= headerSize else { throw RuntimeError(.corrupt, "it ends within its header") }
        var header = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[magic.count..<headerSize]), what: "the header")
        let version = try header.integer(UInt32.self)
        guard version == Self.version else {
            throw RuntimeError(
                .corrupt, "it has version \(version), this Ounce reads version \(Self.version); make it again")
        }
        guard try header.integer(UInt32.self) == headerSize else { throw header.damaged("its size") }
        guard try header.integer(UInt64.self) == UInt64(bytes.count) else {
            throw RuntimeError(.corrupt, "it is cut short or has grown; copy or make it again")
        }
        guard bytes[56..<headerSize].allSatisfy({ $0 == 0 }) else { throw header.damaged("its reserved bytes") }
        let body = UnsafeRawBufferPointer(rebasing: bytes[headerSize...])
        guard sha256(body, of: file).elementsEqual(bytes[24..<56]) else {
            throw RuntimeError(.corrupt, "its checksum is wrong: it is damaged; copy or make it again")
        }
        var table = ByteReader(body, what: "the section table")
        // An array: the first dictionary of a kind of keys takes a twentieth of a millisecond, for the runtime looks for what they
        // conform to.
        var sections = [UnsafeRawBufferPointer?](repeating: nil, count: Section.allCases.count + 1)
        for _ in 0..<(try table.count(width: 20)) {
            let kind = Section(rawValue: try table.integer())
            let (offset, length) = (try table.integer(UInt64.self), try table.integer(UInt64.self))
            guard offset <= UInt64(bytes.count), length <= UInt64(bytes.count) - offset else {
                throw table.damaged("a section lies outside the file")
            }
            let start = Int(offset)
            if let kind {
                sections[Int(kind.rawValue)] = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(length))])
            }
        }
        func section(_ kind: Section) -> UnsafeRawBufferPointer? { sections[Int(kind.rawValue)] }
        guard let graphBytes = section(.graph), let checkBytes = section(.checks),
            let description = section(.description), let dataBytes = section(.data),
            dataBytes.count >= TensorStorage.slack
        else { throw table.damaged("a section is missing") }
        let data = MappedData(bytes: dataBytes, owner: file)
        let graph = try GraphCoding.decode(graphBytes, data: data)
        return Artifact(
            graph: graph, record: .encoded(Array(description)), selfChecks: try decodeChecks(checkBytes, data: data))
    }

    private init(graph: Graph, record: Record, selfChecks: [SelfCheck]) {
        (self.graph, self.record, self.selfChecks) = (graph, record, selfChecks)
    }

    /// Provenance and report.
    ///
    /// - Throws: `.corrupt` where the file that it was read from holds no valid ones.
    package var description: Description {
        get throws(RuntimeError) {
            switch record {
            case .known(let known): return known
            case .encoded(let bytes):
                do {
                    return try JSONDecoder().decode(Description.self, from: Data(bytes))
                } catch {
                    throw RuntimeError(.corrupt, "the artifact's description is no valid JSON; make it again")
                }
            }
        }
    }

    package mutating func set(_ report: Report, selfChecks: [SelfCheck]) throws(RuntimeError) {
        record = .known(Description(provenance: try description.provenance, report: report))
        self.selfChecks = selfChecks
    }

    private static func decodeChecks(
        _ bytes: UnsafeRawBufferPointer, data: MappedData
    ) throws(RuntimeError) -> [SelfCheck] {
        var reader = ByteReader(bytes, what: "the self-check")
        return try reader.list(width: 8) { (reader: inout ByteReader) throws(RuntimeError) -> SelfCheck in
            func tensors(_ reader: inout ByteReader) throws(RuntimeError) -> [Tensor] {
                try reader.list(width: 22) { (reader: inout ByteReader) throws(RuntimeError) in
                    try GraphCoding.tensor(&reader, data: data)
                }
            }
            return SelfCheck(inputs: try tensors(&reader), outputs: try tensors(&reader))
        }
    }
}
