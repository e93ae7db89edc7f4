import OunceGraph
import Testing

@testable import OunceFormats

/// Small models made by Tests/Golden/formats/make_onnx.py.
@Suite struct ONNXTests {
    private func load(_ name: String) throws -> Graph { try ModelFile.load(path: Fixture.golden("\(name).onnx")) }

    private func output(_ graph: Graph, _ index: Int = 0) -> Value { graph[graph.outputs[index]] }

    @Test func importsQuantizedModels() throws {
        let graph = try load("qdq")
        let quantized = graph.nodes.filter { $0.op == .quantize }.map { graph[$0.outputs[0]] }
        #expect(quantized.map(\.dtype) == [.int8, .int8])
        #expect(
            quantized.map(\.encoding) == [
                .affine(AffineQuantization(scale: 0.5, zeroPoint: -28)),
                .affine(AffineQuantization(scale: 0.25, zeroPoint: -128)),
            ])
        let conv = try #require(graph.nodes.first { if case .conv = $0.op { true } else { false } })
        let weights = try #require(conv.inputs[1].map { graph[$0] })
        #expect(weights.dtype == .int8 && weights.shape == [4, 3, 3, 2])
        #expect(
            weights.encoding
                == .affine(AffineQuantization(scales: [0.5, 0.25, 0.125, 1], zeroPoints: [0, 0, 0, 0], axis: 0)))
        // Element [1, 2, 0, 1] of [O, H, W, I] is [1, 1, 2, 0] of [O, I, H, W].
        let place = ((1 * 3 + 2) * 3 + 0) * 2 + 1
        let source = ((1 * 2 + 1) * 3 + 2) * 3 + 0
        #expect(weights.constant?.elements(Int8.self)?[place] == Int8(source % 23 - 11))
        let bias = try #require(conv.inputs[2].map { graph[$0] })
        #expect(bias.constant?.elements(Float.self) == [1, -0.5, 0.5, -4])
        let pool = try #require(graph.nodes.first { if case .pool = $0.op { true } else { false } })
        #expect(graph[pool.outputs[0]].encoding == quantized[1].encoding)
        #expect(output(graph).dtype == .float32 && output(graph).shape == [-1, 4, 3, 3])
        #expect(try output(graph.bound(to: ["x": [7, 2, 6, 6]])).shape == [7, 4, 3, 3])
    }

    @Test func foldsComputedShapes() throws {
        let graph = try load("shapes")
        #expect(graph.nodes.map(\.op)[1] == .reshape([.copy(0), .infer]))
        #expect(try output(graph.bound(to: ["x": [7, 3, 2, 2]])).shape == [7, 5])
        let dense = try #require(graph.nodes.first { $0.op == .fullyConnected(.none) })
        let weights = try #require(dense.inputs[1].flatMap { graph[$0].constant })
        #expect(weights.shape == [5, 12] && weights.floats()[12] == 2)
        #expect(dense.inputs[2].flatMap { graph[$0].constant?.floats() } == [0.5, 1, 1.5, 2, 2.5])
        #expect(graph.outputs.map { graph[$0].name } == ["y", "z"])
    }

    @Test func readsOldForms() throws {
        let graph = try load("old")
        #expect(graph.nodes[0].op == .pad(before: [0, 0, 1, 0], after: [0, 0, 0, 2], value: 1.5))
        #expect(graph.nodes[1].op == .slice([.all, SliceRange(start: 0, end: 2), .all, SliceRange(start: 1)]))
        #expect(graph.nodes[2].op == .unary(.clip(-1, 1)))
        let softmax = try #require(graph.nodes.firstIndex { $0.op == .softmax(axis: 1) })
        #expect(graph[graph.nodes[softmax].outputs[0]].shape == [1, 8])
        #expect(output(graph).shape == [2, 2, 2])
    }

    @Test func expressesPartialWindowsByPadding() throws {
        let graph = try load("ceil")
        guard case .pool(let pool) = graph.nodes[1].op else { Issue.record("no pool"); return }
        #expect(pool.padBefore == [1] && pool.padAfter == [1] && !pool.countIncludesPadding)
        #expect(output(graph).shape == [1, 2, 4])
    }

    /// Layer normalisation and GELU as operators, and in pieces.
    @Test func fusesWhatExportersSplit() throws {
        let graph = try load("pieces").simplified()
        let normal = Op.layerNormalization(axes: 1, epsilon: 0.00999999978)
        #expect(
            graph.nodes.map(\.op) == [
                normal, .unary(.function(.gelu)), normal, .unary(.function(.geluTanh)), normal,
                .unary(.function(.gelu)),
            ])
    }

    @Test func fusesTheSharedTransformer() throws {
        guard let root = Fixture.shared() else { return }
        let graph = try ModelFile.load(path: root + "/models/transformer/fsdd_kwt.onnx").simplified()
        #expect(graph.nodes.count { if case .layerNormalization = $0.op { true } else { false } } == 5)
        #expect(graph.nodes.count { $0.op == .unary(.function(.gelu)) } == 2)
        #expect(!graph.nodes.contains { if case .reduce(.mean, [-1], _) = $0.op { true } else { false } })
    }

    /// Against the starts of windows, the last of which is the first to reach the end.
    @Test func padsWindows() {
        for extent in 1...12 {
            for kernel in 1...4 {
                for stride in 1...4 {
                    let same = WindowPadding.same(extent: extent, kernel: kernel, stride: stride, dilation: 1)
                    guard let same else { Issue.record("no padding"); continue }
                    let padded = extent + same.before + same.after
                    #expect(padded >= kernel && (padded - kernel) / stride + 1 == (extent + stride - 1) / stride)
                    #expect(same.after - same.before == 0 || same.after - same.before == 1)
                    for before in 0..<kernel where extent + before >= kernel {
                        let starts = Array(Swift.stride(from: 0, to: extent + before, by: stride))
                        let last = starts.first { $0 + kernel >= extent + before } ?? starts[starts.count - 1]
                        let extra = WindowPadding(before: before, after: 0)
                            .extraForPartialWindow(extent: extent, kernel: kernel, stride: stride, dilation: 1)
                        #expect((extent + before + extra - kernel) / stride == last / stride)
                    }
                }
            }
        }
    }

    @Test(arguments: ["qdq", "shapes", "old", "ceil", "pieces"]) func survivesDamage(_ name: String) throws {
        let file = try Fixture.goldenBytes("\(name).onnx")
        let parse: ([UInt8]) throws -> Void = { try ModelFile.parse(bytes: $0).validate() }
        _ = tryPrefixes(of: file, parse)
        _ = tryDamaged(file, rounds: 5000, seed: 9, parse)
    }

    @Test func boundsClaims() {
        func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
            [number << 3 | 2, UInt8(content.count & 0x7F) | 0x80, UInt8(content.count >> 7)] + content
        }
        // A tensor of 2^40 numbers in a few bytes.
        let tensor: [UInt8] = field(1, [0x80, 0x80, 0x80, 0x80, 0x80, 0x20]) + [0x10, 1] + field(8, [0x61])
        let opset = field(8, [0x10, 13])
        for graph in [field(5, tensor), field(11, field(1, [0x61]))] {
            let bytes = field(7, graph + field(12, field(1, [0x61]))) + opset
            #expect(throws: FormatError.self) { try ONNXImporter.parse(bytes: bytes) }
        }
    }
}
