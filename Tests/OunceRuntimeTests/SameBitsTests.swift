import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// One model gives the same bits on every instruction set, with any number of threads and however a batch is split; and the
/// kernels that it should use are those that run.
@Suite struct SameBitsTests {
    /// A small network with every kind of kernel, large enough that its steps are split over threads.
    private func network(_ maker: inout RandomGraph, int8: Bool) throws -> Graph {
        func encoding(_ scale: Float, _ zero: Int32) -> Encoding {
            int8 ? .affine(AffineQuantization(scale: scale, zeroPoint: zero)) : .plain
        }
        let source = maker.input([-1, 40, 40, 3])
        let x = int8 ? try maker.node(.quantize, [source], encoding: encoding(0.02, -3)) : source
        func conv(_ x: ValueID, _ outputs: Int, groups: Int = 1, stride: Int = 1) throws -> ValueID {
            let inputs = maker.graph[x].shape[3]
            let w = maker.weights([outputs, 3, 3, inputs / groups], int8: int8, perChannel: true)
            let attributes = Convolution(
                strides: [stride, stride], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 0], groups: groups,
                activation: .relu6)
            return try maker.sum(
                .conv(attributes), x, w, maker.bias(outputs, int8: int8), terms: 9 * inputs / groups)
        }
        let first = try conv(x, 48)
        let depthwise = try conv(first, 48, groups: 48)
        let grouped = try conv(depthwise, 48, groups: 3)
        // The padding above drops a column for each convolution; both branches lose the same.
        let left = try conv(first, 48, groups: 48)
        let right = try conv(left, 48)
        let sum = try maker.node(.binary(.add, .relu), [grouped, right], encoding: encoding(0.05, -20))
        let pool = Pooling(
            kind: .max, kernel: [3, 3], strides: [2, 2], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1])
        let pooled = try maker.node(.pool(pool), [sum], encoding: encoding(0.05, -20))
        let activated = try maker.node(.unary(.hardSwish), [pooled], encoding: encoding(0.04, 5))
        let mean = try maker.node(
            .reduce(.mean, axes: [1, 2], keepDims: false), [activated], encoding: encoding(0.02, 0))
        let w = maker.weights([700, 48], int8: int8, perChannel: false)
        let scores = try maker.sum(.fullyConnected(.none), mean, w, maker.bias(700, int8: int8), terms: 48)
        let real = int8 ? try maker.node(.dequantize, [scores]) : scores
        return try maker.finish(try maker.node(.softmax(axis: -1), [real]), real)
    }

    @Test(arguments: [false, true]) func wholeNetwork(int8: Bool) throws {
        let seed: UInt64 = 4711
        print("seed \(seed)")
        var maker = RandomGraph(seed: seed)
        let graph = try network(&maker, int8: int8)
        let batch = 3
        let inputs = maker.inputs(of: graph, batch: batch)
        let expected = try Model(graph: graph, options: RuntimeOptions(allowedISAs: ["scalar"])).run(inputs)
        try expectAgreement(graph, inputs, tolerance: 1e-5, seed: seed)
        let perSample = inputs[0].byteCount / batch
        for isas in instructionSets {
            for threads in 1...3 {
                let model = try Model(graph: graph, options: RuntimeOptions(allowedISAs: isas, threads: threads))
                let what = "\(isas.sorted()), \(threads) threads"
                for (a, b) in zip(try model.run(inputs), expected) { #expect(a.byteArray == b.byteArray, "\(what)") }
                if threads > 1 {
                    #expect(try model.measureSteps(inputs: inputs, seconds: 0).contains { $0.threads > 1 }, "\(what)")
                }
                for sample in 0..<batch {
                    let storage = TensorStorage(byteCount: perSample) {
                        $0.copyBytes(from: inputs[0].bytes[(sample * perSample)..<((sample + 1) * perSample)])
                    }
                    let one = try #require(Tensor(dtype: .float32, shape: [1, 40, 40, 3], storage: storage))
                    for (a, b) in zip(try model.run([one]), expected) {
                        let size = b.byteCount / batch
                        #expect(a.byteArray == Array(b.byteArray[(sample * size)..<((sample + 1) * size)]), "\(what)")
                    }
                }
            }
        }
    }

    @Test func everyOperator() throws {
        print("seeds 5000..<5012")
        for seed in UInt64(5000)..<5012 {
            for (kinds, dtype) in [
                (RandomGraph.floatOperators, DType.float32), (RandomGraph.int8Operators + ["reduce", "matMul"], .int8),
            ] {
                for kind in Set(kinds).sorted() {
                    var maker = RandomGraph(seed: seed)
                    let graph = try maker.single(kind, dtype)
                    let inputs = maker.inputs(of: graph)
                    var expected: [[UInt8]]?
                    for isas in instructionSets {
                        let model = try Model(graph: graph, options: RuntimeOptions(allowedISAs: isas, threads: 2))
                        let bytes = try model.run(inputs).map(\.byteArray)
                        if let expected { #expect(bytes == expected, "\(kind), seed \(seed), \(isas.sorted())") }
                        expected = expected ?? bytes
                    }
                }
            }
        }
    }

    /// The widest kernel of each family that the instruction sets allow.
    @Test(arguments: [false, true]) func kernels(int8: Bool) throws {
        var maker = RandomGraph(seed: 4711)
        let graph = try network(&maker, int8: int8)
        let type = int8 ? "s8" : "f32"
        let groupedName = graph.nodes.first { if case .conv(let conv) = $0.op { conv.groups == 3 } else { false } }?
            .name
        let families = ["conv_\(type)", "dwconv_\(type)", "maxpool_\(type)"]
        for isas in instructionSets {
            let model = try Model(graph: graph, options: RuntimeOptions(allowedISAs: isas))
            #expect(Set(model.instructionSets) == isas)
            let steps = try model.measureSteps(seconds: 0)
            // A convolution adds where it stores.
            #expect(!steps.contains { $0.kernel.hasPrefix(int8 ? "add_s8" : "binary_f32") })
            for family in families {
                let widest = "\(family)_\(expectedInstructionSet(family, among: isas))"
                let used = steps.filter { $0.kernel.hasPrefix(family + "_") && $0.node != groupedName }
                #expect(!used.isEmpty && used.allSatisfy { $0.kernel == widest }, "\(family) with \(isas.sorted())")
            }
            // Of the vector kernels only those of x86 take groups.
            #if arch(x86_64)
            let grouped = "conv_\(type)_\(expectedInstructionSet("conv_\(type)", among: isas))"
            #else
            let grouped = "conv_\(type)_scalar"
            #endif
            #expect(steps.first { $0.node == groupedName && $0.macs > 0 }?.kernel == grouped)
        }
    }

    /// The instruction sets that the list of kernels names for a family, preferred last.
    private func expectedInstructionSet(_ family: String, among isas: Set<String>) -> String {
        let order =
            switch family {
            case "conv_s8": ["avx2", "avxvnni", "avx512vnni", "neon", "neondot", "i8mm"]
            case "dwconv_s8": ["avx2", "avxvnni", "avx512vnni", "neon", "neondot"]
            case "conv_f32", "dwconv_f32": ["avx2", "avx512vnni", "neon"]
            default: ["avx2", "avx512vnni"]
            }
        return order.last { isas.contains($0) } ?? "scalar"
    }
}
