import OunceGraph
import OunceTestSupport
import Testing

@Suite struct LayoutTests {
    @Test func aResNetKeepsOnlyTheTransposeOfItsInput() throws {
        var b = GraphBuilder(seed: 1)
        var x = b.input([-1, 3, 8, 8])
        x = try b.relu(b.batchNormalization(b.conv(x, outputs: 4)))
        for (outputs, stride) in [(4, 1), (8, 2), (8, 1)] {
            var y = try b.relu(b.batchNormalization(b.conv(x, outputs: outputs, stride: stride)))
            y = try b.batchNormalization(b.conv(y, outputs: outputs))
            var shortcut = x
            if stride == 2 {
                let every = SliceRange(step: 2)
                shortcut = try b.node(.slice([.all, .all, every, every]), [x])
                shortcut = try b.node(.pad(before: [0, 2, 0, 0], after: [0, 2, 0, 0], value: 0), [shortcut])
            }
            x = try b.relu(b.node(.binary(.add, .none), [y, shortcut]))
        }
        x = try b.node(.reduce(.mean, axes: [2, 3], keepDims: true), [x])
        x = try b.node(.reshape([.copy(0), .infer]), [x])
        x = try b.node(.matMul, [x, b.constant([8, 5])])
        x = try b.node(.binary(.add, .none), [x, b.constant([5])])
        let graph = try b.finish(x)
        let simple = try expectSimplified(graph, seed: 1)
        #expect(simple.transposes == 1)
        #expect(simple.batchNormalizations == 0)
        #expect(simple.clips == 0)
        // Transpose, 7 convolutions, 3 additions, slice, pad, mean, reshape (or none), fully connected.
        #expect(simple.nodes.count <= 16)
    }

    @Test func anInputOfOneChannelNeedsNoTranspose() throws {
        var b = GraphBuilder(seed: 2)
        let x = b.input([-1, 1, 6, 6])
        let y = try b.relu(b.conv(x, outputs: 3))
        let pooled = try b.node(.reduce(.max, axes: [2, 3], keepDims: false), [y])
        let simple = try expectSimplified(try b.finish(pooled), seed: 2)
        #expect(simple.transposes == 0)
    }

    @Test func resizedImagesStayChannelsLast() throws {
        var b = GraphBuilder(seed: 11)
        var x = try b.relu(b.conv(b.input([-1, 3, 5, 4]), outputs: 4))
        for axis in [2, -1] {
            let places = (0..<16).map { Int64($0 / 2 % b.shape(x)[axis < 0 ? 3 : axis]) }
            let table = Tensor(places).reshaped([8, 2]) ?? Tensor(places)
            let taps = b.graph.addConstant(table, name: b.name("places"))
            x = try b.node(.resample(axis: axis), [x, taps, b.constant([8, 2])])
        }
        let rows = b.graph.addConstant(Tensor([Int64](arrayLiteral: 0, 0, 5, -1)), name: "rows")
        x = try b.conv(b.node(.gather(.slices(axis: 2)), [x, rows]), outputs: 5)
        let simple = try expectSimplified(try b.finish(x), seed: 11)
        #expect(simple.transposes == 2)
    }

    @Test func sequencesLoseTheirTransposes() throws {
        var b = GraphBuilder(seed: 3)
        var x = b.input([-1, 3, 16])
        x = try b.relu(b.batchNormalization(b.conv(x, outputs: 4, stride: 2)))
        x = try b.relu(b.batchNormalization(b.conv(x, outputs: 6)))
        x = try b.node(.reduce(.mean, axes: [-1], keepDims: false), [x])
        let simple = try expectSimplified(try b.finish(x), seed: 3)
        #expect(simple.transposes == 1)
        #expect(simple.nodes.count == 4)
    }

    @Test func sequencesAsImagesOfOneRow() throws {
        var b = GraphBuilder(seed: 4)
        var x = b.input([-1, 3, 1, 16])
        x = try b.conv(x, outputs: 4, kernel: 1)
        x = try b.node(.reshape([.copy(0), .literal(4), .literal(16)]), [x])
        x = try b.node(.binary(.add, .none), [b.relu(x), b.constant([4, 1])])
        x = try b.node(.reshape([.copy(0), .copy(1), .literal(1), .copy(2)]), [x])
        x = try b.conv(x, outputs: 5, kernel: 1)
        x = try b.node(.reduce(.mean, axes: [2, 3], keepDims: false), [x])
        let simple = try expectSimplified(try b.finish(x), seed: 4)
        #expect(simple.transposes == 1)
    }

    @Test func flattenedFeaturesPermuteTheWeights() throws {
        var b = GraphBuilder(seed: 5)
        var x = b.input([-1, 1, 5, 4])
        x = try b.relu(b.conv(x, outputs: 3))
        x = try b.node(.reshape([.copy(0), .literal(60)]), [x])
        x = try b.relu(b.node(.matMul, [x, b.constant([60, 7])]))
        let simple = try expectSimplified(try b.finish(x), seed: 5)
        #expect(simple.transposes == 0)
        #expect(simple.reshapes == 2)
        #expect(simple.nodes.count == 4)
    }

    @Test func squeezeAndExcite() throws {
        var b = GraphBuilder(seed: 6)
        let x = b.input([-1, 2, 6, 6])
        let y = try b.conv(x, outputs: 4)
        var s = try b.node(.reduce(.mean, axes: [2, 3], keepDims: true), [y])
        s = try b.relu(b.conv(s, outputs: 2, kernel: 1))
        s = try b.node(.unary(.sigmoid), [b.conv(s, outputs: 4, kernel: 1)])
        let scaled = try b.node(.binary(.multiply, .none), [y, s])
        let z = try b.node(.reduce(.mean, axes: [2, 3], keepDims: false), [b.conv(scaled, outputs: 3)])
        let simple = try expectSimplified(try b.finish(z), seed: 6)
        #expect(simple.transposes == 1)
    }

    @Test func inverseTransposesAndIdentitiesVanish() throws {
        var b = GraphBuilder(seed: 7)
        let x = b.input([2, 3, 4, 5])
        var y = try b.node(.unary(.abs), [x])
        y = try b.node(.transpose([0, 2, 3, 1]), [y])
        y = try b.node(.transpose([0, 3, 1, 2]), [y])
        y = try b.node(.slice([.all, .all, .all, .all]), [y])
        y = try b.node(.reshape([.copy(0), .literal(12), .infer]), [y])
        y = try b.node(.reshape([.literal(2), .literal(3), .literal(4), .literal(5)]), [y])
        let out = graphName(y, &b)
        let simple = try expectSimplified(try b.finish(out), seed: 7)
        #expect(simple.nodes.count == 1)
    }

    private func graphName(_ id: ValueID, _ b: inout GraphBuilder) -> ValueID {
        b.graph[id].name = "logits"
        return id
    }

    @Test func anOutputThatIsAnInputKeepsItsNode() throws {
        var b = GraphBuilder(seed: 8)
        let x = b.input([2, 3])
        let y = try b.node(.reshape([.copy(0), .copy(1)]), [x])
        let z = try b.node(.transpose([0, 1]), [x])
        let simple = try expectSimplified(try b.finish(y, z), seed: 8)
        #expect(simple.nodes.count == 2)
    }

    @Test(arguments: 0..<120) func randomMovementsAgree(seed: Int) throws {
        print("seed", seed)
        var b = GraphBuilder(seed: UInt64(seed))
        var x = b.input(seed % 2 == 0 ? [2, 3, 4, 1] : [-1, 3, 1, 4])
        for _ in 0..<b.random.int(4...14) {
            let shape = b.shape(x)
            let axis = b.random.int(0...shape.rank - 1)
            switch b.random.int(0...13) {
            case 0...3: x = try b.node(.transpose(Array(0..<shape.rank).shuffled(using: &b.random)), [x])
            case 4: x = try b.node(.unary(.leakyRelu(0.1)), [x])
            case 5: x = try b.node(.binary(.multiply, .none), [x, b.constant([max(shape[shape.rank - 1], 1)])])
            case 6:
                x = try b.node(
                    .binary(.add, .none),
                    [b.constant(Shape([max(shape[0], 1)] + shape.dims.dropFirst().map { _ in 1 })), x])
            case 7: x = try b.node(.softmax(axis: axis), [x])
            case 8:
                var after = shape.dims.map { _ in 0 }
                after[axis] = 1
                x = try b.node(.pad(before: after, after: shape.dims.map { _ in 0 }, value: 0.5), [x])
            case 9:
                var ranges = shape.dims.map { _ in SliceRange.all }
                ranges[axis] = SliceRange(start: abs(shape[axis]) > 1 ? 1 : 0, step: b.random.int(1...2))
                x = try b.node(.slice(ranges), [x])
            case 10: x = try b.node(.concat(axis: axis), [x, b.node(.unary(.negate), [x])])
            case 11 where shape.rank > 2:
                x = try b.node(.reduce(.mean, axes: [axis], keepDims: b.random.int(0...1) == 0), [x])
            case 12 where shape.rank < 6:
                var dims = shape.dims.indices.map { ReshapeDimension.copy($0) }
                dims.insert(.literal(1), at: axis)
                x = try b.node(.reshape(dims), [x])
            default:
                let merged = shape.dims.reduce(1, *)
                x = try b.node(.reshape([.copy(0), .infer] + (merged > 0 ? [.literal(1)] : [])), [x])
            }
            guard abs(b.shape(x).dims.reduce(1, *)) < 2000 else { break }
        }
        x = try b.node(.unary(.abs), [x])
        try expectSimplified(try b.finish(x), seed: UInt64(seed))
    }
}
