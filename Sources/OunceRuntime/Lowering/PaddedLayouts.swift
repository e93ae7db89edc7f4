import OunceGraph

/// How a value lies within its padding: extents `[N, H, W, C]` with the padding, and the offset of its first element.
struct PaddedLayout: Sendable, Hashable {
    var extents: [Int]
    var before: [Int]

    /// Steps of an image, a row and a pixel.
    var strides: [Int] { Shape(extents).strides }
    /// In elements.
    var offset: Int { zip(before, strides).reduce(0) { $0 + $1.0 * $1.1 } }

    /// What `conv` reads of an input `[N, H, W, C]`; nil without padding.
    init?(_ shape: [Int], _ conv: Convolution) {
        let (before, after) = (
            Lowering.spatial(conv.padBefore, missing: 0), Lowering.spatial(conv.padAfter, missing: 0)
        )
        guard shape.count == 4, before.count == 2, after.count == 2, (before + after).contains(where: { $0 > 0 }) else {
            return nil
        }
        extents = shape
        for axis in 0..<2 {
            let sum = shape[axis + 1].addingReportingOverflow(before[axis])
            let padded = sum.partialValue.addingReportingOverflow(after[axis])
            guard !sum.overflow, !padded.overflow else { return nil }
            extents[axis + 1] = padded.partialValue
        }
        guard Shape(extents).elementCount != nil else { return nil }
        self.before = [0, before[0], before[1], 0]
    }
}

extension Lowering {
    /// The values that only convolutions with one and the same padding read, and whose producer can write them in place
    /// within it, so that nothing is copied for the padding.
    func findPaddedLayouts() -> [ValueID: PaddedLayout] {
        let kept = Set(graph.outputs)
        let consumers = graph.consumers()
        var layouts: [ValueID: PaddedLayout] = [:]
        for node in graph.nodes {
            guard node.outputs.count == 1, !kept.contains(node.outputs[0]), writesRows(node), hasKernel(node),
                (3...4).contains(graph[node.outputs[0]].shape.rank)
            else { continue }
            let shape = Self.image(graph[node.outputs[0]].shape)
            var found: Set<PaddedLayout?> = []
            for consumer in (consumers[node.outputs[0]] ?? []).map({ graph.nodes[$0] }) {
                if case .conv(let conv) = consumer.op, hasKernel(consumer) {
                    found.insert(PaddedLayout(shape, conv))
                } else {
                    found.insert(nil)
                }
            }
            if found.count == 1, let only = found.first, let layout = only { layouts[node.outputs[0]] = layout }
        }
        return layouts
    }

    /// Whether the kernels of the node take the steps between the output's rows.
    private func writesRows(_ node: Node) -> Bool {
        switch node.op {
        case .conv, .pool, .transpose: true
        case .quantize: node.inputs.first.flatMap { $0 }.map { putOffTransposes[$0] != nil } ?? false
        default: false
        }
    }
}

extension Graph {
    /// Transpositions of floats whose result nothing but one quantisation to int8 reads, by that result: a quarter of the
    /// bytes move if they come after it.
    func transposesBeforeQuantization() -> [ValueID: Node] {
        let (producers, consumers, kept) = (producers(), consumers(), Set(outputs))
        var found: [ValueID: Node] = [:]
        for node in nodes where node.op == .quantize {
            guard let input = node.inputs.first, let x = input, !kept.contains(x), consumers[x]?.count == 1,
                self[x].dtype == .float32, self[node.outputs[0]].encoding.affine?.isPerTensor == true,
                self[x].shape.elementCount ?? 0 > 0, let producer = producers[x],
                case .transpose = nodes[producer].op
            else { continue }
            found[x] = nodes[producer]
        }
        return found
    }
}

extension Lowering {
    /// A 1-D window is one of height 1.
    static func spatial(_ values: [Int], missing: Int) -> [Int] { values.count == 1 ? [missing] + values : values }

    /// Where `node` writes its output `[N, H, W, C]`: a buffer, the bytes before the first element, and the steps of an
    /// image, a row and a pixel. Within padding, a step fills what lies around it.
    mutating func rowsOutput(
        _ node: Node, shape: [Int]
    ) throws(RuntimeError) -> (buffer: Int, offset: Int, strides: [Int]) {
        let output = node.outputs[0]
        guard let layout = paddedLayouts[output] else { return (outputOf(node), 0, Shape(shape).strides) }
        let value = graph[output]
        let count = layout.extents.reduce(1, *)
        let index = newBuffer(byteCount: count * value.dtype.byteSize)
        setBuffer(of: output, to: index)
        copy(
            CopyBox(
                extent: shape, inStride: layout.strides, outStride: layout.strides, inOffset: layout.offset,
                outOffset: layout.offset, fill: (count, Self.fillElement(0, for: value)), isHole: true),
            elementSize: value.dtype.byteSize, from: .buffer(index), to: index, node: node.name)
        return (index, layout.offset * value.dtype.byteSize, layout.strides)
    }
}
