import Glibc
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Synchronization
import Testing

@Suite struct ModelTests {
    /// `y = relu(x · Wᵀ + b)`, `[?, 64] -> [?, 32]`.
    private func layer(inputs: Int = 64, outputs: Int = 32) throws -> Graph {
        var maker = RandomGraph(seed: 3)
        let x = maker.input([-1, inputs])
        maker.graph[x].name = "x"
        let w = maker.constant([outputs, inputs])
        return try maker.finish(try maker.node(.fullyConnected(.relu), [x, w, maker.constant([outputs])]))
    }

    private func batch(_ count: Int, seed: UInt64 = 9) -> Tensor {
        var random = RandomSource(seed: seed)
        return random.tensor([count, 64])
    }

    @Test func refusesOtherTypesShapesAndCounts() throws {
        let model = try Model(graph: try layer(), options: RuntimeOptions())
        var random = RandomSource(seed: 1)
        let wrong: [(String, [Tensor])] = [
            ("no inputs", []), ("two inputs", [batch(1), batch(1)]), ("int8", [random.int8Tensor([1, 64])]),
            ("rank 1", [random.tensor([64])]), ("63 columns", [random.tensor([1, 63])]),
            ("no rows", [random.tensor([0, 64])]),
        ]
        for (what, tensors) in wrong {
            #expect(code { _ = try model.run(tensors) } == .invalidInput, "\(what)")
            if !tensors.isEmpty {
                #expect(code { _ = try model.measureSteps(inputs: tensors, seconds: 0) } == .invalidInput, "\(what)")
            }
        }
        let message = #expect(throws: RuntimeError.self) { try model.run([random.tensor([1, 63])]) }
        #expect(message?.message.contains("x") == true)
        #expect(message?.message.contains("[?,64]") == true)
    }

    private func code(_ body: () throws -> Void) -> RuntimeError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? RuntimeError)?.code
        }
    }

    @Test func describesItself() throws {
        let model = try Model(graph: try layer(), options: RuntimeOptions(allowedISAs: ["scalar"], threads: 2))
        #expect(model.inputs == [TensorInfo(name: "x", dtype: .float32, shape: [-1, 64])])
        #expect(model.outputs.map(\.shape) == [[-1, 32]])
        #expect(model.instructionSets == ["scalar"])
        #expect(model.threads == 2)
        #expect(model.encoding(of: "x") == .plain)
        #expect(model.encoding(of: "y") == nil)
    }

    @Test func keepsToTheMemoryLimit() throws {
        let graph = try layer()
        let needed = try Model(graph: graph, options: RuntimeOptions()).memoryBytes
        #expect(needed > 64 * 32 * 4)
        for limit in [0, 1, 1000, needed / 2, needed - 1] {
            #expect(code { _ = try Model(graph: graph, options: RuntimeOptions(memoryLimit: limit)) } == .memory)
        }
        let model = try Model(graph: graph, options: RuntimeOptions(memoryLimit: needed))
        _ = try model.run([batch(1)])
        #expect(code { _ = try model.run([batch(4000)]) } == .memory)
        _ = try model.run([batch(1)])
        #expect(model.memoryBytes <= needed)
    }

    /// Neither runs nor measurements leave memory behind.
    @Test func memoryStaysTheSame() throws {
        let model = try Model(graph: try layer(), options: RuntimeOptions())
        _ = try model.run([batch(1)])
        let before = model.memoryBytes
        for _ in 0..<5 {
            _ = try model.run([batch(1)])
            _ = try model.measureLatency(seconds: 0)
            _ = try model.measureSteps(inputs: [batch(1)], seconds: 0)
        }
        #expect(model.memoryBytes == before)
        for count in 1...30 { _ = try model.run([batch(count)]) }
        let many = model.memoryBytes
        for count in 27...30 { _ = try model.run([batch(count)]) }
        for count in 1...30 { _ = try model.run([batch(count)]) }
        #expect(model.memoryBytes == many)
    }

    @Test func plansForSeveralBatchSizes() throws {
        let graph = try layer()
        let model = try Model(graph: graph, options: RuntimeOptions())
        for count in [1, 2, 3, 4, 5, 6, 1, 2, 6, 17, 1] {
            let input = batch(count, seed: UInt64(count))
            let fresh = try Model(graph: graph, options: RuntimeOptions()).run([input])
            let again = try model.run([input])
            #expect(again[0].shape == [count, 32])
            #expect(again[0].byteArray == fresh[0].byteArray)
        }
    }

    /// Eight threads at once, more than there are idle sessions, with two batch sizes and a shared thread pool.
    @Test func runsOnSeveralThreads() throws {
        let graph = try layer()
        let model = try Model(graph: graph, options: RuntimeOptions(threads: 2))
        let inputs = [batch(200), batch(333)]
        let expected = try inputs.map { try model.run([$0])[0].byteArray }
        let failures = Mutex<[String]>([])
        final class Work: Sendable {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        let work = Work {
            for round in 0..<60 {
                do {
                    let which = round % 2
                    if try model.run([inputs[which]])[0].byteArray != expected[which] {
                        failures.withLock { $0.append("other bits") }
                    }
                } catch { failures.withLock { $0.append("\(error)") } }
            }
        }
        var threads: [pthread_t] = []
        for _ in 0..<8 {
            var thread = pthread_t()
            let status = pthread_create(
                &thread, nil,
                { argument in
                    argument.map { Unmanaged<Work>.fromOpaque($0).takeRetainedValue().body() }
                    return nil
                }, Unmanaged.passRetained(work).toOpaque())
            try #require(status == 0)
            threads.append(thread)
        }
        for thread in threads { pthread_join(thread, nil) }
        #expect(failures.withLock { $0 } == [])
    }

    @Test func namesEveryOperatorThatCannotRun() throws {
        var maker = RandomGraph(seed: 1)
        let x = maker.input([1, 4], .int16)
        let grid = Encoding.affine(AffineQuantization(scale: 1, zeroPoint: 0))
        let a = try maker.node(.quantize, [x], encoding: grid)
        let b = try maker.node(.quantize, [x], encoding: grid)
        let graph = try maker.finish(try maker.node(.concat(axis: 0), [a, b], encoding: grid))
        let error = #expect(throws: RuntimeError.self) { try Model(graph: graph, options: RuntimeOptions()) }
        #expect(error?.code == .unsupported)
        for node in graph.nodes.prefix(2) { #expect(error?.message.contains(node.name) == true) }
    }
}
