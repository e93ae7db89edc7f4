import OunceGraph
import OunceTestSupport
import Testing

/// Simplification leaves states what they are, however they are made and read.
@Suite struct StateTests {
    private func withStates(_ b: GraphBuilder, _ starts: [ValueID], outputs: [ValueID], ends: [ValueID]) throws -> Graph
    {
        var graph = b.graph
        graph.inputs = graph.inputs.filter { !starts.contains($0) } + starts
        graph.outputs = outputs + ends
        var random = RandomSource(seed: 9)
        graph.initialStates = starts.map { random.tensor(graph[$0].shape, in: -1...1) }
        try graph.validate()
        return graph
    }

    private func expectSame(_ graph: Graph, seed: UInt64) throws -> Graph {
        let simple = try expectSimplified(graph, seed: seed)
        #expect(simple.states.count == graph.states.count)
        for (before, after) in zip(graph.states, simple.states) {
            #expect(graph[before.start].name == simple[after.start].name)
            #expect(graph[before.end].name == simple[after.end].name)
            #expect(before.initial.bytes.elementsEqual(after.initial.bytes))
        }
        return simple
    }

    /// A ring buffer of frames before a convolution, channels first, as PyTorch exports it.
    @Test func aRingBufferBetweenTransposes() throws {
        var b = GraphBuilder(seed: 1)
        let x = b.input([1, 3, 2])
        let ring = b.input([1, 3, 6])
        let whole = try b.node(.concat(axis: 2), [ring, x])
        let next = try b.node(.slice([.all, .all, SliceRange(start: 2)]), [whole])
        let y = try b.relu(b.batchNormalization(b.conv(whole, outputs: 4)))
        _ = try expectSame(try withStates(b, [ring], outputs: [y], ends: [next]), seed: 1)
    }

    /// Each of these ends as something that a rule might merge or drop.
    @Test func statesThatAreMovedAbout() throws {
        var b = GraphBuilder(seed: 2)
        let x = b.input([2, 4])
        let states = (0..<7).map { _ in b.input([2, 4]) }
        let sum = try b.node(.binary(.add, .none), [x, states[0]])
        let twin = try b.node(.binary(.add, .none), [x, states[0]])
        let turned = try b.node(.transpose([1, 0]), [try b.node(.transpose([1, 0]), [states[3]])])
        let same = try b.node(.reshape([.copy(0), .copy(1)]), [x])
        let constant = b.constant([2, 4])
        let fixed = try b.node(.binary(.add, .none), [constant, constant])
        let unread = try b.node(.binary(.multiply, .none), [states[6], states[6]])
        let y = try b.node(.binary(.multiply, .none), [sum, turned])
        let ends = [
            // Alike; one another's; itself through moves that cancel; the input; a constant; one that nothing else reads.
            sum, twin, states[1], turned, same, fixed, unread,
        ]
        let graph = try withStates(b, states, outputs: [y], ends: ends)
        let simple = try expectSame(graph, seed: 2)
        #expect(simple.outputs.count == 8)
    }

    @Test func nothingIsFoldedFromTheInitialValue() throws {
        var b = GraphBuilder(seed: 3)
        let x = b.input([1, 4])
        let scale = b.input([1, 4])
        let y = try b.node(.binary(.multiply, .none), [x, scale])
        let sound = try withStates(b, [scale], outputs: [y], ends: [y])
        #expect(try expectSame(sound, seed: 3).nodes.count == 1)
    }

    @Test func wrongStatesAreNamed() throws {
        var b = GraphBuilder(seed: 4)
        let x = b.input([-1, 4])
        let state = b.input([1, 4])
        let y = try b.node(.binary(.add, .none), [x, state])
        let narrow = try b.node(.slice([.all, SliceRange(end: 2)]), [y])
        #expect(throws: GraphError.self) { try withStates(b, [state], outputs: [y], ends: [narrow]) }
        #expect(throws: GraphError.self) { try withStates(b, [state], outputs: [], ends: [y]) }
        let graph = try withStates(b, [state], outputs: [narrow], ends: [y])
        #expect(try graph.bound(to: [:]).states.count == 1)
        // With a larger batch the state would not stay of its size.
        let error = #expect(throws: GraphError.self) {
            try graph.bound(to: [graph[graph.inputs[0]].name: [3, 4]])
        }
        #expect(error?.message.contains("after it") == true)
    }
}
