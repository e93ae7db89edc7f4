import OunceConfig
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

@testable import OunceCompress

/// Channels that are removed together. The oracle is the graph itself, with zeros in place of all weights of the channels
/// that go: what remains must compute the same.
@Suite struct CouplingTests {
    /// A graph of convolutions of all kinds, additions, concatenations, slices, paddings and reshapes of channels.
    private func randomNetwork(_ random: inout RandomSource) throws -> Graph {
        var graph = Graph(name: "random")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 6, 6, 3])))
        graph.inputs = [x]
        var pool: [ValueID] = [try conv(&graph, x, 8, &random)]
        for _ in 0..<random.int(4...9) {
            let a = pool[random.int(0...pool.count - 1)]
            let channels = graph[a].shape[3]
            let name = "n\(graph.nodes.count)"
            switch random.int(0...8) {
            case 0, 1: pool.append(try conv(&graph, a, random.int(1...3) * 4, &random))
            case 2: pool.append(try conv(&graph, a, channels, groups: channels, &random))
            case 3 where channels % 4 == 0: pool.append(try conv(&graph, a, 8, groups: 4, &random))
            case 4:
                let other = pool[random.int(0...pool.count - 1)]
                if graph[other].shape == graph[a].shape {
                    pool.append(try graph.append(.binary(.add, .relu), [a, other], name: name))
                } else {
                    pool.append(try graph.append(.concat(axis: 3), [a, other], name: name))
                }
            case 5:
                let start = random.int(0...channels / 2)
                var ranges = [SliceRange](repeating: .all, count: 4)
                ranges[3] = SliceRange(start: start, end: start + channels / 2)
                pool.append(try graph.append(.slice(ranges), [a], name: name))
            case 6:
                pool.append(
                    try graph.append(
                        .pad(before: [0, 0, 0, 2], after: [0, 0, 0, random.int(0...3)], value: 0), [a], name: name))
            case 7:
                let scale = graph.addConstant(random.tensor([channels]), name: name + "/scale")
                pool.append(try graph.append(.binary(.multiply, .none), [a, scale], name: name))
            default:
                let pooling = Pooling(
                    kind: random.int(0...1) == 0 ? .max : .average, kernel: [3, 3], strides: [1, 1], dilations: [1, 1],
                    padBefore: [1, 1], padAfter: [1, 1])
                pool.append(try graph.append(.pool(pooling), [a], name: name))
            }
        }
        let all = try graph.append(.concat(axis: 3), Array(pool.suffix(2)), name: "all")
        let flat = try graph.append(.reshape([.literal(1), .infer]), [all], name: "flat")
        let hidden = try layer(&graph, flat, 12, "hidden", &random)
        graph.outputs = [try layer(&graph, hidden, 3, "out", &random)]
        return try graph.applying(GraphPatch(for: graph))
    }

    private func conv(
        _ graph: inout Graph, _ x: ValueID, _ outputs: Int, groups: Int = 1, _ random: inout RandomSource
    ) throws -> ValueID {
        let kernel = random.int(0...1) * 2 + 1
        let name = "conv\(graph.nodes.count)"
        let w = graph.addConstant(
            random.tensor([outputs, kernel, kernel, graph[x].shape[3] / groups]), name: name + "/w")
        let b = graph.addConstant(random.tensor([outputs]), name: name + "/b")
        let pad = [kernel / 2, kernel / 2]
        let op = Convolution(
            strides: [1, 1], dilations: [1, 1], padBefore: pad, padAfter: pad, groups: groups, activation: .relu)
        return try graph.append(.conv(op), [x, w, b], name: name)
    }

    private func layer(
        _ graph: inout Graph, _ x: ValueID, _ outputs: Int, _ name: String, _ random: inout RandomSource
    ) throws -> ValueID {
        let w = graph.addConstant(random.tensor([outputs, graph[x].shape.dims.last ?? 1]), name: name + "/w")
        let b = graph.addConstant(random.tensor([outputs]), name: name + "/b")
        return try graph.append(.fullyConnected(.relu), [x, w, b], name: name)
    }

    /// Every slice of a constant that belongs to what goes becomes zero.
    private func zeroed(_ graph: Graph, _ coupling: ChannelCoupling, _ removed: Set<Int>) -> Graph {
        var graph = graph
        for index in graph.values.indices {
            guard let constant = graph.values[index].constant, constant.dtype == .float32 else { continue }
            var numbers = NDArray(constant)
            NDArray.forEachIndex(of: numbers.shape) { place in
                for axis in place.indices {
                    let roots = coupling.roots(ValueID(index), axis)
                    if !roots.isEmpty, removed.contains(roots[place[axis]]) { numbers[place] = 0 }
                }
            }
            graph.values[index].constant = numbers.tensor
        }
        return graph
    }

    private func expectSame(_ a: [NDArray], _ b: [NDArray], _ note: String) {
        for (x, y) in zip(a, b) {
            #expect(x.shape == y.shape)
            let size = x.values.reduce(1e-6) { max($0, abs($1)) }
            let error = zip(x.values, y.values).reduce(0) { max($0, abs($1.0 - $1.1)) }
            #expect(error <= 1e-4 * size, "\(note): \(error) of \(size)")
        }
    }

    @Test func smallerGraphsComputeTheSameAsZeros() throws {
        var (cuts, vanished) = (0, 0)
        for seed in 1...12 as ClosedRange<UInt64> {
            var random = RandomSource(seed: seed)
            let graph = try randomNetwork(&random)
            let coupling = try ChannelCoupling(graph)
            let input = random.tensor([1, 6, 6, 3])
            for family in coupling.families() {
                var removed = Set(family.sets.filter { _ in random.int(0...2) == 0 })
                if removed.count == family.sets.count { removed.remove(family.sets[0]) }
                guard !removed.isEmpty else { continue }
                let smaller = try coupling.removing(removed, from: graph)
                try smaller.validate()
                #expect(smaller.parameterCount < graph.parameterCount)
                expectSame(
                    try Interpreter().run(smaller, [input]),
                    try Interpreter().run(zeroed(graph, coupling, removed), [input]),
                    "seed \(seed), \(family.layers)")
                cuts += 1
                if coupling.branchEnds(of: family) != nil { vanished += 1 }
            }
        }
        print("seeds 1 to 12: \(cuts) families cut, \(vanished) of them a branch's")
        #expect(cuts > 30)
    }

    /// Option A shortcuts (slices and paddings of channels), as in ResNets for CIFAR.
    @Test func cutsRealResidualNetworks() throws {
        guard let shared = try SharedData.found() else { return }
        let loaded = try LoadedModel(path: shared.path(of: try shared.entry("cifar_resnet20_cifar10_onnx")))
        let coupling = try ChannelCoupling(loaded.graph)
        let families = coupling.families()
        #expect(families.count == 12, "nine blocks and three parts of the stream")
        #expect(families.map(\.sets.count).sorted() == [16, 16, 16, 16, 16, 32, 32, 32, 32, 64, 64, 64])
        var random = RandomSource(seed: 5)
        let removed = Set(families.flatMap(\.sets).filter { _ in random.int(0...3) == 0 })
        let smaller = try coupling.removing(removed, from: loaded.graph)
        let input = random.tensor([1, 3, 32, 32])
        func run(_ graph: Graph) throws -> [NDArray] {
            try Model(graph: graph, options: RuntimeOptions()).run([input]).map { NDArray($0) }
        }
        expectSame(try run(smaller), try run(zeroed(loaded.graph, coupling, removed)), "resnet20")
        #expect(Double(smaller.macs) < 0.7 * Double(loaded.graph.macs))
        #expect(coupling.cost(without: removed, ends: [:]).macs == smaller.macs)
        #expect(coupling.cost(without: [], ends: [:]).macs == loaded.graph.macs)
    }

    /// `x + f(x)` without any channels in `f` is `x`.
    @Test func branchesWithoutChannelsGo() throws {
        var random = RandomSource(seed: 3)
        var graph = Graph(name: "residual")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 6, 6, 3])))
        graph.inputs = [x]
        let stem = try conv(&graph, x, 8, &random)
        let inner = try conv(&graph, stem, 6, &random)
        let branch = try conv(&graph, inner, 8, &random)
        let sum = try graph.append(.binary(.add, .relu), [stem, branch], name: "sum")
        let flat = try graph.append(.reshape([.literal(1), .infer]), [sum], name: "flat")
        graph.outputs = [try layer(&graph, flat, 3, "out", &random)]
        let coupling = try ChannelCoupling(graph)
        let family = try #require(coupling.families().first { $0.sets.count == 6 })
        let ends = try #require(coupling.branchEnds(of: family))
        let smaller = try coupling.removing([], ends: ends, from: graph)
        #expect(smaller.nodes.count == 3)
        var expected = Graph(name: "plain")
        expected.values = graph.values
        expected.inputs = graph.inputs
        expected.outputs = graph.outputs
        expected.nodes = graph.nodes.filter { !["sum", graph.nodes[1].name, graph.nodes[2].name].contains($0.name) }
        let reshape = try #require(expected.nodes.firstIndex { $0.name == "flat" })
        expected.nodes[reshape].inputs = [stem]
        let input = random.tensor([1, 6, 6, 3])
        expectSame(try Interpreter().run(smaller, [input]), try Interpreter().run(expected, [input]), "branch")
        #expect(coupling.cost(without: [], ends: ends).macs == smaller.macs)
    }

    /// Self-attention of two heads over `[1, 5, 8]`, as exporters write it.
    @Test func headsGoAsAWhole() throws {
        var random = RandomSource(seed: 9)
        var graph = Graph(name: "attention")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 5, 8])))
        graph.inputs = [x]
        func linear(_ x: ValueID, _ outputs: Int, _ name: String) throws -> ValueID {
            let w = graph.addConstant(random.tensor([outputs, graph[x].shape[2]]), name: name + "/w")
            let b = graph.addConstant(random.tensor([outputs]), name: name + "/b")
            return try graph.append(.fullyConnected(.none), [x, w, b], name: name)
        }
        func heads(_ name: String, _ permutation: [Int]) throws -> ValueID {
            let y = try linear(x, 12, name)
            let split = try graph.append(
                .reshape([.literal(1), .literal(5), .literal(4), .literal(3)]), [y], name: name + "/split")
            return try graph.append(.transpose(permutation), [split], name: name + "/turn")
        }
        let (q, k, v) = (
            try heads("q", [0, 2, 1, 3]), try heads("k", [0, 2, 3, 1]), try heads("v", [0, 2, 1, 3])
        )
        let scores = try graph.append(.softmax(axis: 3), [try graph.append(.matMul, [q, k], name: "qk")], name: "s")
        let mixed = try graph.append(.matMul, [scores, v], name: "mixed")
        let turned = try graph.append(.transpose([0, 2, 1, 3]), [mixed], name: "turned")
        let merged = try graph.append(
            .reshape([.literal(1), .literal(5), .literal(12)]), [turned], name: "merged")
        graph.outputs = [try linear(merged, 8, "o")]
        let coupling = try ChannelCoupling(graph)
        let families = coupling.families()
        #expect(families.map(\.isHeads) == [true])
        #expect(families[0].sets.count == 4)
        let removed: Set = [families[0].sets[1], families[0].sets[2]]
        let smaller = try coupling.removing(removed, from: graph)
        let input = random.tensor([1, 5, 8])
        // A head that is gone adds nothing; zeros in q and k alone would leave an even mixture of v.
        expectSame(
            try Interpreter().run(smaller, [input]),
            try Interpreter().run(zeroed(graph, coupling, removed), [input]), "heads")
        #expect(smaller.nodes.first { $0.name == "q" }.map { smaller[$0.outputs[0]].shape } == [1, 5, 6])
    }

    /// Units of an LSTM: rows of each gate, columns of the recurrent weights.
    @Test func recurrentUnitsGoTogether() throws {
        var random = RandomSource(seed: 11)
        var graph = Graph(name: "lstm")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [4, 1, 3])))
        graph.inputs = [x]
        let tensors: [Shape] = [[20, 3], [20, 5], [40]]
        let constants = tensors.enumerated().map { graph.addConstant(random.tensor($1), name: "c\($0)") }
        let lstm = Recurrent(
            kind: .lstm, hidden: 5, isReversed: false,
            activations: [.sigmoid, .tanh, .tanh].map { Recurrent.GateActivation($0, alpha: 0, beta: 0) })
        let y = try graph.append(.recurrent(lstm), [x] + constants.map { $0 }, name: "lstm")
        let steps = try graph.append(.slice([SliceRange(start: 0, end: 4), .all, .all]), [y], name: "steps")
        let flat = try graph.append(.reshape([.literal(1), .infer]), [steps], name: "flat")
        graph.outputs = [try layer(&graph, flat, 2, "out", &random)]
        let coupling = try ChannelCoupling(graph)
        let family = try #require(coupling.families().first)
        #expect(family.sets.count == 5)
        let removed: Set = [family.sets[1], family.sets[4]]
        let smaller = try coupling.removing(removed, from: graph)
        let input = random.tensor([4, 1, 3])
        // With all its weights zero a unit's h stays zero: its cell input is tanh(0).
        func run(_ graph: Graph) throws -> [NDArray] {
            try Model(graph: graph, options: RuntimeOptions()).run([input]).map { NDArray($0) }
        }
        expectSame(try run(smaller), try run(zeroed(graph, coupling, removed)), "lstm")
    }

    @Test func whatNeedsAllChannelsStays() throws {
        var random = RandomSource(seed: 12)
        var graph = Graph(name: "fixed")
        let x = graph.add(Value(name: "x", type: TensorType(.float32, [1, 6, 6, 3])))
        graph.inputs = [x]
        let a = try conv(&graph, x, 8, &random)
        let soft = try graph.append(.softmax(axis: 3), [a], name: "soft")
        graph.outputs = [try conv(&graph, soft, 4, &random)]
        #expect(try ChannelCoupling(graph).families().isEmpty)
        let pruning = Pruning(what: .channels, amount: .removed(0.5))
        let error = #expect(throws: CompressError.self) { try ChannelPruner(pruning, graph, start: nil) }
        #expect(error?.message.contains("soft (softmax) needs all of them") == true, "\(error?.message ?? "")")
    }
}
