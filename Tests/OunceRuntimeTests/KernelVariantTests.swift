import Glibc
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Kernels for sparse, small and sign weights: they run where they are asked for, and give the bits of the dense ones.
@Suite struct KernelVariantTests {
    /// int8 weights of the kind that a variant is for, `[outputs, 3, 3, inputs]`.
    private func weights(_ variant: String, _ shape: Shape, _ random: inout RandomSource) -> Tensor {
        let count = shape.dims.reduce(1, *)
        var numbers = [Int8](repeating: 0, count: count)
        for index in 0..<count {
            switch variant {
            case "xnor": numbers[index] = random.int(0...1) == 0 ? 1 : -1
            case "w4": numbers[index] = Int8(random.int(-8...7) * 3)
            case "w2": numbers[index] = Int8(random.int(-2...1) * 50)
            default: numbers[index] = Int8(random.int(-127...127))
            }
        }
        if variant == "sparse" {
            for block in stride(from: 0, to: count, by: 4) where random.int(0...9) < 8 {
                for index in block..<(block + 4) { numbers[index] = 0 }
            }
        }
        return NDArray(.int8, shape.dims, numbers.map(Double.init)).tensor ?? Tensor([Int8]())
    }

    /// sign, then a convolution with padding of zeros, all in int8; `signs` false leaves the sign out.
    private func network(_ variant: String, seed: UInt64) throws -> (Graph, [Tensor]) {
        var maker = RandomGraph(seed: seed)
        var x = maker.input([2, 9, 11, 20], .int8)
        if variant == "xnor" {
            x = try maker.node(
                .unary(.function(.sign)), [x], encoding: .affine(AffineQuantization(scale: 1, zeroPoint: 0)))
        }
        let scales = (0..<24).map { _ in Float.random(in: 0.01...0.02, using: &maker.random) }
        let w = maker.graph.addConstant(
            weights(variant, [24, 3, 3, 20], &maker.random), name: "weights",
            encoding: .affine(AffineQuantization(scales: scales, zeroPoints: scales.map { _ in 0 }, axis: 0)))
        let conv = Convolution(strides: [1, 2], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1])
        let y = try maker.sum(.conv(conv), x, w, maker.bias(24, int8: true), terms: 180)
        let graph = try maker.finish(y)
        return (graph, maker.inputs(of: graph))
    }

    @Test(arguments: ["sparse", "xnor", "w4", "w2"]) func sameBits(variant: String) throws {
        print("seeds 500..<505")
        for seed in UInt64(500)..<505 {
            let (graph, inputs) = try network(variant, seed: seed)
            let scalar = RuntimeOptions(allowedISAs: ["scalar"], selection: .tableOrder)
            let expected = try Model(graph: graph, options: scalar).run(inputs).map(\.byteArray)
            for isas in instructionSets {
                for threads in [1, 2] {
                    let options = RuntimeOptions(allowedISAs: isas, threads: threads, selection: .variant(variant))
                    let model = try Model(graph: graph, options: options)
                    let outputs = try model.run(inputs).map(\.byteArray)
                    #expect(outputs == expected, "\(variant), seed \(seed), \(isas.sorted())")
                    let steps = try model.measureSteps(inputs: inputs, seconds: 0).filter { $0.macs > 0 }
                    let kernels = steps.map(\.kernel)
                    let isPortable = variant == "sparse" || variant == "xnor"
                    let ran = kernels.allSatisfy { $0.hasSuffix("_\(variant)") }
                    #expect(ran == (isPortable || isas.count > 1), "\(kernels)")
                }
            }
        }
    }

    /// A convolution of 3x3 with stride 1, int8, as Winograd's convolution takes it.
    private func plainNetwork(seed: UInt64, channels: Int) throws -> (Graph, [Tensor]) {
        var maker = RandomGraph(seed: seed)
        let x = maker.input([2, 9, 11, channels], .int8)
        let scales = (0..<channels).map { _ in Float.random(in: 0.01...0.02, using: &maker.random) }
        let w = maker.graph.addConstant(
            weights("winograd", [channels, 3, 3, channels], &maker.random), name: "weights",
            encoding: .affine(AffineQuantization(scales: scales, zeroPoints: scales.map { _ in 0 }, axis: 0)))
        let conv = Convolution(strides: [1, 1], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1])
        let bias = maker.bias(channels, int8: true)
        let y = try maker.sum(.conv(conv), x, w, bias, terms: 9 * channels)
        let graph = try maker.finish(y)
        return (graph, maker.inputs(of: graph))
    }

    private func convolutions(_ model: Model, _ inputs: [Tensor]) throws -> [String] {
        try model.measureSteps(inputs: inputs, seconds: 0).filter { $0.macs > 0 }.map(\.kernel)
    }

    @Test(arguments: [(20, 1), (20, 2), (230, 1)]) func winogradGivesTheSameBits(channels: Int, threads: Int) throws {
        print("seeds 600..<603")
        for seed in UInt64(600)..<603 {
            let (graph, inputs) = try plainNetwork(seed: seed, channels: channels)
            let scalar = RuntimeOptions(allowedISAs: ["scalar"], selection: .tableOrder)
            let expected = try Model(graph: graph, options: scalar).run(inputs).map(\.byteArray)
            for isas in instructionSets {
                let options = RuntimeOptions(allowedISAs: isas, threads: threads, selection: .variant("winograd"))
                let model = try Model(graph: graph, options: options)
                #expect(try model.run(inputs).map(\.byteArray) == expected, "seed \(seed), \(isas.sorted())")
                let kernels = try convolutions(model, inputs)
                #if !arch(riscv64)
                #expect(kernels.allSatisfy { $0.hasSuffix("_winograd") } == (isas.count > 1), "\(kernels)")
                #endif
            }
        }
    }

    /// Its larger weights take no more than a quarter of the memory, and no model fails for them.
    @Test func winogradGivesWayToMemory() throws {
        let (graph, inputs) = try plainNetwork(seed: 610, channels: 200)
        func kernels(_ limit: Int?) throws -> [String] {
            let options = RuntimeOptions(memoryLimit: limit, selection: .variant("winograd"))
            return try convolutions(try Model(graph: graph, options: options), inputs)
        }
        let plain = try Model(graph: graph, options: RuntimeOptions())
        let table = try convolutions(plain, inputs)
        #expect(try kernels(plain.memoryBytes) == table)
        #expect(try kernels(8 << 20) == table)
        #expect(try kernels(64 << 20) == kernels(nil))
    }

    /// Without the sign nothing says that inputs are -1, 0 and 1, and other kernels run.
    @Test func xnorWantsSigns() throws {
        var maker = RandomGraph(seed: 1)
        let x = maker.input([1, 8, 8, 16], .int8)
        let w = maker.graph.addConstant(
            weights("xnor", [16, 3, 3, 16], &maker.random), name: "weights",
            encoding: .affine(AffineQuantization(scale: 0.1, zeroPoint: 0)))
        let conv = Convolution(strides: [1, 1], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1])
        let graph = try maker.finish(try maker.sum(.conv(conv), x, w, nil, terms: 144))
        let model = try Model(graph: graph, options: RuntimeOptions(selection: .variant("xnor")))
        let steps = try model.measureSteps(seconds: 0)
        #expect(steps.contains { $0.macs > 0 } && !steps.contains { $0.kernel.hasSuffix("_xnor") })
    }

    @Test(arguments: ["sparse", "xnor", "w4", "dense"]) func measuredChoiceKeepsBits(variant: String) throws {
        let (graph, inputs) = try network(variant, seed: 77)
        let expected = try Model(graph: graph, options: RuntimeOptions()).run(inputs).map(\.byteArray)
        let model = try Model(graph: graph, options: RuntimeOptions(selection: .measured))
        #expect(try model.run(inputs).map(\.byteArray) == expected)
        let steps = try model.measureSteps(inputs: inputs, seconds: 0).filter { $0.macs > 0 }
        #expect(!steps.isEmpty)
        for step in steps where InstructionSets.available.names.count > 2 {
            #expect(step.candidates.count > 1)
            #expect(step.candidates.first?.kernel == step.kernel)
            #expect(step.candidates.map(\.microseconds) == step.candidates.map(\.microseconds).sorted())
        }
    }

    @Test func noTimeMeansTheTable() throws {
        let (graph, inputs) = try network("sparse", seed: 78)
        let model = try Model(
            graph: graph, options: RuntimeOptions(selection: .measured(seconds: 0, cacheDirectory: nil)))
        let steps = try model.measureSteps(inputs: inputs, seconds: 0).filter { $0.macs > 0 }
        let table = try Model(graph: graph, options: RuntimeOptions()).measureSteps(inputs: inputs, seconds: 0)
        #expect(steps.map(\.kernel) == table.filter { $0.macs > 0 }.map(\.kernel))
        #expect(steps.allSatisfy { $0.candidates.isEmpty })
    }

    @Test func timesAreKeptInAFolder() throws {
        let folder = "/tmp/ounce-kernel-times-\(getpid())"
        #expect(mkdir(folder, 0o700) == 0)
        defer {
            unlink(KernelTimings.path(in: folder))
            rmdir(folder)
        }
        let timings = [KernelTiming(kernel: "a", microseconds: 1.25), KernelTiming(kernel: "b", microseconds: 3)]
        let first = KernelTimings()
        #expect(first.timings(of: "step", directory: folder) == nil)
        first.add(timings, for: "step")
        first.save(in: folder)
        #expect(KernelTimings().timings(of: "step", directory: folder) == timings)
        #expect(KernelTimings().timings(of: "other", directory: folder) == nil)
        // More are added to what the file holds, and each is found among them.
        let more = KernelTimings()
        let keys = (0..<40).map { "conv \($0 * 37 % 100)x\($0) k3" } + ["", "a", "step2", "\u{7E}"]
        for (index, key) in keys.enumerated() {
            more.add([KernelTiming(kernel: "k", microseconds: Double(index))], for: key)
        }
        more.save(in: folder)
        for (index, key) in keys.enumerated() {
            let found = KernelTimings().timings(of: key, directory: folder)
            #expect(found == [KernelTiming(kernel: "k", microseconds: Double(index))], "\(key)")
        }
        #expect(KernelTimings().timings(of: "step", directory: folder) == timings)
        for key in ["st", "step1", "conv", "zz"] {
            #expect(KernelTimings().timings(of: key, directory: folder) == nil, "\(key)")
        }
        // Whatever else lies there is no more than a cache that is empty.
        let header = "ounce kernel times 1\n"
        for text in ["", "\n\n", "something", header + "step\ta=nan\n", header + "step\ta=1=2\n\t\t=\n"] {
            let file = open(KernelTimings.path(in: folder), O_WRONLY | O_TRUNC)
            #expect(file >= 0 && write(file, text, text.utf8.count) == text.utf8.count)
            close(file)
            #expect(KernelTimings().timings(of: "step", directory: folder) == nil, "\(text)")
        }
    }
}
