import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Over how many threads the steps of a measured plan are split.
@Suite struct ThreadTunerTests {
    private func model(_ maker: inout RandomGraph, side: Int, channels: Int, layers: Int, int8: Bool) throws -> Graph {
        let source = maker.input([1, side, side, channels])
        var x = source
        if int8 {
            x = try maker.node(
                .quantize, [source], encoding: .affine(AffineQuantization(scale: 0.02, zeroPoint: -3)))
        }
        for _ in 0..<layers {
            let attributes = Convolution(
                strides: [1, 1], dilations: [1, 1], padBefore: [1, 1], padAfter: [1, 1], activation: .relu6)
            x = try maker.sum(
                .conv(attributes), x, maker.weights([channels, 3, 3, channels], int8: int8, perChannel: true),
                maker.bias(channels, int8: int8), terms: 9 * channels)
        }
        return try maker.finish(x)
    }

    /// A model of hundreds of microseconds is split, whatever else the machine does meanwhile; the bits stay.
    @Test(arguments: [false, true]) func longModelsAreSplit(int8: Bool) throws {
        var maker = RandomGraph(seed: 12)
        let graph = try model(&maker, side: 32, channels: 48, layers: 3, int8: int8)
        let inputs = maker.inputs(of: graph)
        let expected = try Model(graph: graph, options: RuntimeOptions()).run(inputs).map(\.byteArray)
        for threads in 2...3 {
            let split = try Model(graph: graph, options: RuntimeOptions(threads: threads, selection: .measured))
            #expect(try split.run(inputs).map(\.byteArray) == expected)
            let steps = try split.measureSteps(inputs: inputs, seconds: 0)
            #expect(steps.contains { $0.threads > 1 }, "\(threads) threads")
            #expect(steps.allSatisfy { $0.threads <= threads })
        }
    }

    /// What is over before another thread has heard of it stays on one.
    @Test func shortModelsAreNot() throws {
        var maker = RandomGraph(seed: 13)
        let graph = try model(&maker, side: 4, channels: 8, layers: 1, int8: true)
        let short = try Model(graph: graph, options: RuntimeOptions(threads: 2, selection: .measured))
        #expect(try short.measureSteps(inputs: maker.inputs(of: graph), seconds: 0).allSatisfy { $0.threads == 1 })
    }

    /// The limit of a device profile holds for what is made to measure, too.
    @Test func memoryIsLimited() throws {
        var maker = RandomGraph(seed: 14)
        let graph = try model(&maker, side: 32, channels: 48, layers: 2, int8: false)
        let inputs = maker.inputs(of: graph)
        let free = try Model(graph: graph, options: RuntimeOptions(threads: 2, selection: .measured))
        let tight = try Model(
            graph: graph,
            options: RuntimeOptions(threads: 2, memoryLimit: free.memoryBytes + 1024, selection: .measured))
        #expect(try tight.run(inputs).map(\.byteArray) == free.run(inputs).map(\.byteArray))
    }
}
