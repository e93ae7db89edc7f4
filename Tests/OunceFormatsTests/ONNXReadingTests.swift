import Foundation
import OunceGraph
import Testing

@testable import OunceFormats

/// The wire reader and what it makes of tensors, functions and other files.
@Suite struct ONNXReadingTests {
    private static let weights: [Float] = [1, -2, 3, 0.5]
    private let add = Wire.node("Add", ["x", "w"], ["y"])

    private func constant(_ tensor: [UInt8]) throws -> [Float] {
        let graph = try ONNXImporter.parse(bytes: Wire.model([add], initializers: [tensor]))
        let id = try #require(graph.nodes[0].inputs[1])
        return try #require(graph[id].constant).floats()
    }

    @Test func readsEveryPlaceOfNumbers() throws {
        let packed = Wire.floats(Self.weights)
        let single = Self.weights.flatMap { Wire.varint(4 << 3 | 5) + Wire.floats([$0]) }
        let halves = Wire.bytes(4, Array(packed[..<8])) + Array(single[10...])
        for content in [Wire.bytes(9, packed), Wire.bytes(4, packed), single, halves] {
            #expect(try constant(Wire.tensor("w", dims: [4], content)) == Self.weights)
        }
        // bfloat16 is the upper half of a float32.
        let short = stride(from: 0, to: 16, by: 4).flatMap { packed[$0 + 2..<$0 + 4] }
        #expect(try constant(Wire.tensor("w", dims: [4], type: 16, Wire.bytes(9, short))) == Self.weights)
        #expect(throws: FormatError.self) { try constant(Wire.tensor("w", dims: [5], Wire.bytes(9, packed))) }
        #expect(throws: FormatError.self) { try constant(Wire.tensor("w", dims: [4], Wire.bytes(4, packed + [0]))) }
        #expect(throws: FormatError.self) { try constant(Wire.tensor("w", dims: [4], type: 8, Wire.text(6, "a"))) }
    }

    @Test func readsFourBits() throws {
        func numbers(_ type: Int, _ content: [UInt8]) throws -> [Int] {
            let tensor = Wire.tensor("w", dims: [3], type: type, Wire.bytes(9, content))
            return try #require(try ONNXTensorFile.parse(bytes: tensor).integers())
        }
        #expect(try numbers(21, [0xF1, 0x07]) == [1, 15, 7])
        #expect(try numbers(22, [0xF1, 0x08]) == [1, -1, -8])
        #expect(throws: FormatError.self) { try numbers(22, [0xF1]) }
    }

    @Test func readsSparseTensors() throws {
        func sparse(_ indices: [Int]) -> [UInt8] {
            let values = Wire.tensor("w", dims: [2], Wire.bytes(4, Wire.floats([5, 7])))
            let places = Wire.tensor(
                "i", dims: [2], type: 7, Wire.bytes(7, indices.flatMap { Wire.varint(UInt64(bitPattern: Int64($0))) }))
            return Wire.bytes(15, Wire.bytes(1, values) + Wire.bytes(2, places) + Wire.int(3, 4))
        }
        let graph = try ONNXImporter.parse(bytes: Wire.model([add], inGraph: sparse([3, 1])))
        #expect(graph.nodes[0].inputs[1].flatMap { graph[$0].constant?.floats() } == [0, 7, 0, 5])
        for wrong in [[0, 4], [-1, 0]] {
            #expect(throws: FormatError.self) {
                try ONNXImporter.parse(bytes: Wire.model([add], inGraph: sparse(wrong)))
            }
        }
    }

    /// Each is refused with an error, whatever surrounds it.
    @Test func refusesDamage() {
        let good = Wire.model([Wire.node("Relu", ["x"], ["y"])])
        #expect(throws: Never.self) { try ONNXImporter.parse(bytes: good) }
        let overlong = [UInt8](repeating: 0xFF, count: 10) + [1]
        let damages: [[UInt8]] = [
            Wire.varint(7 << 3 | 3), Wire.varint(7 << 3 | 4), Wire.varint(9 << 3 | 6), [0], [0x08], overlong,
            Wire.varint(1 << 3) + overlong, Wire.bytes(1, [1]), Wire.int(7, 1),
            Wire.varint(30 << 3 | 2) + [0xFF, 0x7F],
            Wire.varint(30 << 3 | 1) + [1, 2, 3], Wire.varint(30 << 3 | 5) + [1],
            Wire.varint(30 << 3 | 2) + Wire.varint(UInt64.max),
        ]
        for damage in damages {
            #expect(throws: FormatError.self, "\(damage)") { try ONNXImporter.parse(bytes: good + damage) }
            #expect(throws: FormatError.self, "\(damage)") { try ONNXImporter.parse(bytes: damage + good) }
        }
        #expect(throws: Never.self) { try ONNXImporter.parse(bytes: good + Wire.int(99, -1) + Wire.text(77, "more")) }
    }

    @Test func boundsDepthAndParts() throws {
        var graph = Wire.bytes(1, Wire.node("Relu", ["x"], ["y"]))
        for _ in 0..<200 {
            graph = Wire.bytes(1, Wire.node("If", ["c"], ["y"], attributes: [Wire.text(1, "b") + Wire.bytes(6, graph)]))
        }
        let deep = try #require(throws: FormatError.self) {
            try ONNXImporter.parse(bytes: Wire.bytes(7, graph) + Wire.bytes(8, Wire.int(2, 17)))
        }
        #expect(deep.code == .limit)
        let many = [UInt8]((0..<2_000_000).flatMap { _ in [0x2A, 0] as [UInt8] })
        let parts = try #require(throws: FormatError.self) {
            try ONNXImporter.parse(bytes: Wire.bytes(7, Wire.bytes(1, many)))
        }
        #expect(parts.code == .limit)
    }

    // MARK: Functions

    private let reference = Wire.text(1, "alpha") + Wire.text(21, "slope") + Wire.int(20, 1)
    private func float(_ name: String, _ value: Float) -> [UInt8] {
        Wire.text(1, name) + Wire.varint(2 << 3 | 5) + Wire.floats([value]) + Wire.int(20, 1)
    }

    @Test func unfoldsFunctions() throws {
        let leaky = Wire.function(
            "Leaky", inputs: ["a"], outputs: ["b"],
            nodes: [Wire.node("LeakyRelu", ["a"], ["b"], attributes: [reference])], defaults: [float("slope", 0.25)])
        let both = Wire.function(
            "Both", inputs: ["a"], outputs: ["b"],
            nodes: [
                Wire.node("Leaky", ["a"], ["inner"], domain: "own"),
                Wire.node(
                    "Leaky", ["inner"], ["b"], domain: "own",
                    attributes: [Wire.text(1, "slope") + Wire.text(21, "second") + Wire.int(20, 1)]),
            ], attributes: ["second"])
        let nodes = [
            Wire.node("Both", ["x"], ["m"], domain: "own", attributes: [float("second", 0.5)]),
            Wire.node("Both", ["m"], ["y"], domain: "own", attributes: [float("second", 0.125)]),
        ]
        let graph = try ONNXImporter.parse(
            bytes: Wire.model(nodes, more: Wire.bytes(25, both) + Wire.bytes(25, leaky)))
        #expect(
            graph.nodes.map(\.op)
                == [0.25, 0.5, 0.25, 0.125].map { Op.unary(.leakyRelu($0)) })
        #expect(Set(graph.nodes.map(\.name)).count == 4)
        #expect(graph.outputs.map { graph[$0].name } == ["y"])
    }

    @Test func refusesFunctionsThatCallThemselves() throws {
        func function(_ name: String, _ callee: String) -> [UInt8] {
            Wire.bytes(
                25,
                Wire.function(
                    name, inputs: ["a"], outputs: ["b"], nodes: [Wire.node(callee, ["a"], ["b"], domain: "own")]))
        }
        let call = Wire.node("F", ["x"], ["y"], domain: "own")
        for functions in [function("F", "F"), function("F", "G") + function("G", "F")] {
            let error = try #require(throws: FormatError.self) {
                try ONNXImporter.parse(bytes: Wire.model([call], more: functions))
            }
            #expect(error.message.contains("own.F") && error.message.contains("calls itself"))
        }
        // Each calls the next twice: 2^40 nodes.
        var chain: [UInt8] = []
        for level in 0..<40 {
            let next = level == 39 ? ("Relu", "") : ("F\(level + 1)", "own")
            let nodes = [
                Wire.node(next.0, ["a"], ["m"], domain: next.1), Wire.node(next.0, ["m"], ["b"], domain: next.1),
            ]
            chain += Wire.bytes(25, Wire.function("F\(level)", inputs: ["a"], outputs: ["b"], nodes: nodes))
        }
        let error = try #require(throws: FormatError.self) {
            try ONNXImporter.parse(bytes: Wire.model([Wire.node("F0", ["x"], ["y"], domain: "own")], more: chain))
        }
        #expect(error.code == .limit)
    }

    // MARK: Other files

    @Test func mapsNumbersInOtherFiles() throws {
        let folder = Fixture.temporary("external")
        let inner = folder + "/model"
        try FileManager.default.createDirectory(atPath: inner + "/sub", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let content = Data([9, 9, 9] + Wire.floats(Self.weights))
        for path in ["/secret.bin", "/model/w.bin", "/model/sub/w.bin"] {
            try content.write(to: URL(filePath: folder + path))
        }
        try FileManager.default.createSymbolicLink(atPath: inner + "/link.bin", withDestinationPath: "../secret.bin")
        try FileManager.default.createSymbolicLink(atPath: inner + "/out", withDestinationPath: "..")
        try FileManager.default.createSymbolicLink(atPath: inner + "/near.bin", withDestinationPath: "sub/w.bin")

        func load(_ location: String, offset: String = "3", length: String? = "16") throws -> [Float] {
            var entries = [("location", location), ("offset", offset), ("checksum", "nonsense")]
            if let length { entries.append(("length", length)) }
            let tensor = Wire.tensor(
                "w", dims: [4],
                entries.flatMap { Wire.bytes(13, Wire.text(1, $0.0) + Wire.text(2, $0.1)) } + Wire.int(14, 1))
            let path = inner + "/model.onnx"
            try Data(Wire.model([add], initializers: [tensor])).write(to: URL(filePath: path))
            let graph = try ModelFile.load(path: path)
            let id = try #require(graph.nodes[0].inputs[1])
            return try #require(graph[id].constant).floats()
        }
        for location in ["w.bin", "sub/w.bin", "sub/../w.bin", "./w.bin", "near.bin"] {
            #expect(try load(location) == Self.weights)
        }
        #expect(try load("w.bin", length: nil) == Self.weights)
        for location in [
            folder + "/secret.bin", "../secret.bin", "link.bin", "out/secret.bin", "sub", "none.bin", "", "/dev/zero",
            "sub/../../secret.bin", "w.bin\0",
        ] {
            let error = try #require(throws: FormatError.self, "\(location)") { try load(location) }
            #expect(error.message.contains("'w'") && error.message.contains("model.onnx"), "\(error)")
        }
        for (offset, length) in [("4", "16"), ("3", "17"), ("-1", "16"), ("9223372036854775807", "16"), ("x", "16")] {
            #expect(throws: FormatError.self) { try load("w.bin", offset: offset, length: length) }
        }
        #expect(
            try #require(throws: FormatError.self) { try load("none.bin") }.message.contains("put that file beside"))
    }

    @Test func keepsNamesOfAxes() throws {
        let graph = try ONNXImporter.parse(bytes: Wire.model([Wire.node("Relu", ["x"], ["y"])])).simplified()
        #expect((graph.inputs + graph.outputs).map { graph[$0].shapeText } == ["[rows,4]", "[rows,4]"])
    }
}
