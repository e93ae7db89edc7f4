import OunceGraph

/// How a value lies within its padding: extents `[N, H, W, C]` with the padding, and the offset of its first element.
struct PaddedLayout: Sendable, Hashable {
    var extents: [Int]
    var before: [Int]

    /// Steps of an image, a row and a pixel.
    var strides: [Int] { Shape(extents).strides }
    /// In elements.
    var offset: Int { zip(before, strides).reduce(0) { $0 + $1.0 * $1.1 } }

    /// From the first element that a step with so much padding of its own reads, in elements.
    func offset(padding: [Int]) -> Int {
        offset - padding[0] * strides[1] - padding[1] * strides[2]
    }

    /// An image `[N, H, W, C]` with what all of some convolutions pad it by; nil without padding.
    init?(_ shape: [Int], _ convolutions: [Convolution]) {
        guard shape.count == 4 else { return nil }
        extents = shape
        before = [0, 0, 0, 0]
        for axis in 0..<2 {
            func most(_ path: KeyPath<Convolution, [Int]>) -> Int {
                convolutions.map { Lowering.spatial($0[keyPath: path], missing: 0)[axis] }.max() ?? 0
            }
            before[axis + 1] = most(\.padBefore)
            let sum = shape[axis + 1].addingReportingOverflow(before[axis + 1])
            let padded = sum.partialValue.addingReportingOverflow(most(\.padAfter))
            guard !sum.overflow, !padded.overflow else { return nil }
            extents[axis + 1] = padded.partialValue
        }
        guard extents != shape, Shape(extents).elementCount != nil else { return nil }
    }
}

extension Lowering {
    /// The values whose producer can write them within the padding that the convolutions which read them want, so that
    /// nothing is copied for it; all their readers take the steps between rows. A residual lies as the sum does.
    func findPaddedLayouts() -> ValueMap<PaddedLayout> {
        /// Where the chain of residuals begins that a sum continues.
        var origins = ValueMap<ValueID>(over: graph)
        for (_, residual) in residualLayers.sorted(by: { $0.key < $1.key }) {
            origins[residual.addition.outputs[0]] = origins[residual.residual] ?? residual.residual
        }
        var readers = ValueMap<[Convolution]>(over: graph)
        var shapes = ValueMap<[Int]>(over: graph)
        var plain = ValueSet(over: graph)
        for (index, node) in graph.nodes.enumerated() {
            for output in node.outputs {
                let origin = origins[output] ?? output
                let rank = graph[output].shape.rank
                guard node.outputs.count == 1, !flow.kept.contains(output), writesRows(index), (3...4).contains(rank),
                    let read = convolutions(reading: output, flow.consumers[output] ?? [])
                else {
                    plain.insert(origin)
                    continue
                }
                shapes[origin] = Self.image(graph[output].shape)
                readers[origin, default: []] += read
            }
        }
        var layouts = ValueMap<PaddedLayout>(over: graph)
        for value in graph.nodes.lazy.flatMap(\.outputs) {
            let origin = origins[value] ?? value
            guard flow.producers[origin] != nil, !plain.contains(origin), let shape = shapes[origin] else { continue }
            layouts[value] = PaddedLayout(shape, readers[origin] ?? [])
        }
        return layouts
    }

    /// The convolutions among the readers of a value; nil where one of its readers wants it without gaps.
    private func convolutions(reading value: ValueID, _ readers: [Int]) -> [Convolution]? {
        var found: [Convolution] = []
        for index in readers {
            let node = graph.nodes[index]
            switch node.op {
            case .conv(let conv) where hasKernel(node) && node.inputs.first == value: found.append(conv)
            case .pool(let pool) where hasKernel(node) && readsRows(pool, node): continue
            case .reduce where isSpatialMean(node): continue
            case .binary where residualLayers[index] != nil: continue
            default: return nil
            }
        }
        return found
    }

    /// Max pooling keeps the grid; onto another one the input is moved first.
    private func readsRows(_ pool: Pooling, _ node: Node) -> Bool {
        guard let x = node.inputs.first, let input = x else { return false }
        return pool.kind == .average || graph[input].encoding == graph[node.outputs[0]].encoding
    }

    /// Whether the kernels of the node take the steps between the output's rows.
    private func writesRows(_ index: Int) -> Bool {
        let node = graph.nodes[index]
        guard hasKernel(node) else { return false }
        switch node.op {
        case .conv, .pool, .transpose: return true
        case .binary: if case .conv? = residualLayers[index]?.layer.op { return true } else { return false }
        case .quantize: return node.inputs.first.flatMap { $0 }.map { putOffTransposes[$0] != nil } ?? false
        default: return false
        }
    }
}

extension Graph {
    /// Transpositions of floats whose result nothing but one quantisation to int8 reads, by that result: a quarter of the
    /// bytes move if they come after it.
    func transposesBeforeQuantization(_ flow: ValueFlow) -> ValueMap<Node> {
        var found = ValueMap<Node>(over: self)
        for node in nodes where node.op == .quantize {
            guard let input = node.inputs.first, let x = input, let producer = flow.maker(x),
                self[x].dtype == .float32, self[node.outputs[0]].encoding.affine?.isPerTensor == true,
                self[x].shape.elementCount ?? 0 > 0, case .transpose = nodes[producer].op
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
