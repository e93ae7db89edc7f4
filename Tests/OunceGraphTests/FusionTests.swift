import OunceGraph
import OunceTestSupport
import Testing

@Suite struct FusionTests {
    @Test(arguments: [false, true]) func batchNormalizationFoldsIntoConvolution(bias: Bool) throws {
        var b = GraphBuilder(seed: 10)
        let x = b.input([-1, 2, 5, 5])
        let y = try b.batchNormalization(b.conv(x, outputs: 4, groups: 2, bias: bias))
        let simple = try expectSimplified(try b.finish(y), seed: 10)
        #expect(simple.batchNormalizations == 0)
        #expect(simple.count { if case .binary = $0 { true } else { false } } == 0)
    }

    @Test func batchNormalizationOfASharedResultIsDecomposed() throws {
        var b = GraphBuilder(seed: 11)
        let x = b.input([-1, 2, 5, 5])
        let y = try b.conv(x, outputs: 4)
        let z = try b.batchNormalization(y)
        let simple = try expectSimplified(try b.finish(y, z), seed: 11)
        #expect(simple.batchNormalizations == 0)
        #expect(simple.count { if case .binary = $0 { true } else { false } } == 2)
    }

    @Test func constantArithmeticFoldsIntoLayers() throws {
        var b = GraphBuilder(seed: 12)
        var x = try b.conv(b.input([-1, 1, 6, 6]), outputs: 8)
        x = try b.node(.binary(.add, .none), [x, b.constant([8, 1, 1])])
        x = try b.node(.binary(.multiply, .none), [b.constant([]), x])
        x = try b.node(.binary(.subtract, .none), [b.constant([1, 8, 1, 1]), x])
        x = try b.node(.binary(.divide, .relu), [x, b.constant([8, 1, 1], in: 1...2)])
        let simple = try expectSimplified(try b.finish(x), seed: 12)
        #expect(simple.convolutions == 1)
        #expect(simple.count { if case .binary = $0 { true } else { false } } == 0)
        guard case .conv(let conv)? = simple.nodes.first(where: { if case .conv = $0.op { true } else { false } })?.op
        else {
            Issue.record("no convolution is left")
            return
        }
        #expect(conv.activation == .relu)
    }

    @Test func clipsBecomeActivations() throws {
        var b = GraphBuilder(seed: 13)
        var x = try b.conv(b.input([-1, 1, 6, 6]), outputs: 3)
        x = try b.node(.unary(.clip(-1, 8)), [x])
        x = try b.node(.unary(.clip(0, 6)), [x])
        let pool = Pooling(
            kind: .average, kernel: [2, 2], strides: [2, 2], dilations: [1, 1], padBefore: [0, 0], padAfter: [0, 0])
        x = try b.node(.unary(.clip(0.25, 0.5)), [b.channelsFirst(.pool(pool), x)])
        x = try b.node(.binary(.maximum, .none), [b.node(.binary(.add, .none), [x, x]), b.constant([1])])
        let simple = try expectSimplified(try b.finish(x), seed: 13)
        #expect(simple.clips == 0)
        #expect(simple.nodes.contains { if case .conv(let conv) = $0.op { conv.activation == .relu6 } else { false } })
    }

    @Test func disjointClipsGiveTheirConstant() {
        #expect(Activation.clip(0, 1).clipped(2, 3) == .clip(2, 2))
        #expect(Activation.relu.clipped(-1, 6) == .relu6)
        #expect(Activation.none.clipped(0, .infinity) == .relu)
    }

    @Test func padsMergeIntoWindows() throws {
        var b = GraphBuilder(seed: 14)
        let x = b.input([-1, 2, 5, 5])
        let padded = try b.node(.pad(before: [0, 0, 1, 2], after: [0, 0, 0, 1], value: 0), [x])
        let y = try b.conv(padded, outputs: 3)
        let pool = Pooling(
            kind: .average, kernel: [3, 3], strides: [2, 2], dilations: [1, 1], padBefore: [0, 0], padAfter: [0, 0])
        let z = try b.channelsFirst(.pool(pool), padded)
        let simple = try expectSimplified(try b.finish(y, z), seed: 14)
        #expect(simple.count { if case .pad = $0 { true } else { false } } == 0)
    }

    @Test func padsWithAnotherValueStay() throws {
        var b = GraphBuilder(seed: 15)
        let x = try b.node(.pad(before: [0, 0, 1, 1], after: [0, 0, 1, 1], value: 0.5), [b.input([-1, 2, 5, 5])])
        let simple = try expectSimplified(try b.finish(b.conv(x, outputs: 3)), seed: 15)
        #expect(simple.count { if case .pad = $0 { true } else { false } } == 1)
    }

    @Test func constantsAreComputed() throws {
        var b = GraphBuilder(seed: 16)
        let x = b.input([-1, 24])
        var w = try b.node(.reshape([.literal(4), .literal(6), .literal(5)]), [b.constant([4, 3, 10])])
        w = try b.node(.transpose([1, 0, 2]), [w])
        w = try b.node(.concat(axis: 1), [w, w])
        w = try b.node(.slice([.all, SliceRange(start: 1, end: 5), SliceRange(start: 0, step: 2)]), [w])
        w = try b.node(.pad(before: [0, 0, 1], after: [0, 0, 0], value: 0), [w])
        w = try b.node(.binary(.multiply, .none), [w, b.constant([4, 1])])
        w = try b.node(.reshape([.literal(24), .literal(4)]), [w])
        let simple = try expectSimplified(try b.finish(b.node(.matMul, [x, w])), seed: 16)
        #expect(simple.nodes.count == 1)
        #expect(simple.parameterCount == 96)
        #expect(simple.macs == 96)
    }

    @Test(arguments: 0..<40) func randomNetworksAgree(seed: Int) throws {
        print("seed", seed)
        var b = GraphBuilder(seed: UInt64(1000 + seed))
        let rank = b.random.int(3...4)
        let input = b.input(Shape([-1, b.random.int(1...3)] + (2..<rank).map { _ in b.random.int(4...7) }))
        var pool = [input]
        for _ in 0..<b.random.int(3...16) {
            let x = pool[max(0, pool.count - b.random.int(1...3))]
            let (shape, last) = (b.shape(x), pool[pool.count - 1])
            switch b.random.int(0...8) {
            case 0...2: pool.append(try b.conv(x, outputs: b.random.int(1...4), bias: b.random.int(0...1) == 0))
            case 3: pool.append(try b.batchNormalization(x))
            case 4: pool.append(try b.relu(x))
            case 5:
                let ones = [Int](repeating: 1, count: rank - 2)
                let op = BinaryOperator.allCases[b.random.int(0...2)]
                pool.append(try b.node(.binary(op, .none), [x, b.constant(Shape([shape[1]] + ones))]))
            case 6 where shape == b.shape(last): pool.append(try b.node(.binary(.add, .none), [x, last]))
            case 7:
                let pads = [0, 0] + (2..<rank).map { _ in b.random.int(0...1) }
                pool.append(try b.node(.pad(before: pads, after: pads, value: 0), [x]))
            default:
                let two = [Int](repeating: 2, count: rank - 2)
                let (ones, zeros) = (two.map { _ in 1 }, two.map { _ in 0 })
                let kind = b.random.int(0...1) == 0 ? Pooling.Kind.max : .average
                let pooling = Pooling(
                    kind: kind, kernel: two, strides: ones, dilations: ones, padBefore: ones, padAfter: zeros)
                pool.append(try b.channelsFirst(.pool(pooling), x))
            }
        }
        let y = pool[pool.count - 1]
        let other = try b.node(.unary(.abs), [pool[pool.count / 2]])
        let graph = try b.finish(try b.node(.unary(.negate), [y]), other)
        let simple = try expectSimplified(graph, seed: UInt64(seed), tolerance: 2e-5)
        #expect(simple.batchNormalizations == 0)
        #expect(simple.nodes.count <= graph.nodes.count + graph.batchNormalizations)
    }

    @Test func longGraphsTakeLinearTime() throws {
        func seconds(_ length: Int) throws -> Duration {
            var b = GraphBuilder(seed: 17)
            var x = try b.node(.transpose([0, 2, 1]), [b.input([2, 3, 4])])
            for _ in 0..<length {
                x = try b.node(.unary(.sigmoid), [x])
                x = try b.node(.unary(.negate), [x])
            }
            x = try b.node(.transpose([0, 2, 1]), [x])
            let graph = try b.finish(x)
            let clock = ContinuousClock()
            let start = clock.now
            let simple = try graph.simplified()
            #expect(simple.nodes.count == 2 * length)
            return clock.now - start
        }
        let short = try seconds(500)
        let long = try seconds(5000)
        print("500 pairs:", short, "5000 pairs:", long)
        #expect(long < short * 60)
    }
}
