import COunceKernels
import OunceGraph

/// A box of elements and how it lies in source and target; all in elements.
struct CopyBox {
    var extent: [Int]
    var inStride: [Int]
    var outStride: [Int]
    var inOffset = 0
    var outOffset = 0
    /// Set the whole target to this element first.
    var fill: (count: Int, element: UInt64)?
    /// Fill around the box and leave it as it is.
    var isHole = false

    /// Joins axes that lie one behind the other in source and target alike, so that inner runs are long.
    func merged() -> CopyBox {
        var box = self
        (box.extent, box.inStride, box.outStride) = ([], [], [])
        for axis in extent.indices where extent[axis] != 1 {
            if let last = box.extent.indices.last,
                box.inStride[last] == inStride[axis] * extent[axis],
                box.outStride[last] == outStride[axis] * extent[axis]
            {
                box.extent[last] *= extent[axis]
                box.inStride[last] = inStride[axis]
                box.outStride[last] = outStride[axis]
            } else {
                box.extent.append(extent[axis])
                box.inStride.append(inStride[axis])
                box.outStride.append(outStride[axis])
            }
        }
        if box.extent.isEmpty { (box.extent, box.inStride, box.outStride) = ([1], [1], [1]) }
        return box
    }
}

extension Lowering {
    mutating func copy(_ box: CopyBox, elementSize: Int, from source: Operand, to target: Int, node: String) {
        guard !box.extent.contains(0) || (box.fill?.count ?? 0) > 0 else { return }
        let box = box.merged()
        var parameters = ounce_copy_params()
        parameters.element_size = Int32(elementSize)
        parameters.rank = Int32(box.extent.count)
        withUnsafeMutableBytes(of: &parameters.extent) { Self.store(box.extent, in: $0) }
        withUnsafeMutableBytes(of: &parameters.in_stride) { Self.store(box.inStride, in: $0) }
        withUnsafeMutableBytes(of: &parameters.out_stride) { Self.store(box.outStride, in: $0) }
        parameters.in_offset = Int64(box.inOffset)
        parameters.out_offset = Int64(box.outOffset)
        if let fill = box.fill {
            parameters.fill_count = Int64(fill.count)
            parameters.fill = fill.element
            parameters.hole = box.isHole ? 1 : 0
        }
        let moved = box.extent.reduce(1, *)
        let count = box.isHole ? (box.fill?.count ?? 0) - moved : moved
        emit(OUNCE_COPY, parameters, inputs: [source], output: target, cost: count, node: node)
    }

    /// Writes up to `OUNCE_MAX_RANK` numbers into a C array of int64.
    static func store(_ values: [Int], in bytes: UnsafeMutableRawBufferPointer) {
        let words = bytes.bindMemory(to: Int64.self)
        for (index, value) in values.prefix(words.count).enumerated() { words[index] = Int64(value) }
    }

    /// A copy of `source` (extents `dims`) inside a larger box filled with the zero of `value`.
    mutating func pad(
        _ source: Operand, dims: [Int], before: [Int], to extents: [Int], value: Value, real: Float = 0, node: String
    ) throws(RuntimeError) -> Int {
        guard let count = Shape(extents).elementCount else {
            throw RuntimeError(.unsupported, "with its padding the input is \(Shape(extents)), which is too large")
        }
        let index = newBuffer(byteCount: count * value.dtype.byteSize)
        let strides = Shape(extents).strides
        copy(
            CopyBox(
                extent: dims, inStride: Shape(dims).strides, outStride: strides,
                outOffset: zip(before, strides).reduce(0) { $0 + $1.0 * $1.1 },
                fill: (count, Self.fillElement(real, for: value))),
            elementSize: value.dtype.byteSize, from: source, to: index, node: node)
        return index
    }

    /// The bits of a real number as an element of `value`.
    static func fillElement(_ real: Float, for value: Value) -> UInt64 {
        if let affine = value.encoding.affine, value.dtype == .int8 {
            let q = (real / affine.scale).rounded(.toNearestOrEven) + Float(affine.zeroPoint)
            return UInt64(UInt8(bitPattern: Int8(max(-128, min(127, q)))))
        }
        switch value.dtype {
        case .float32: return UInt64(real.bitPattern)
        case .float64: return Double(real).bitPattern
        default: return UInt64(bitPattern: Int64(real.isFinite ? max(-0x1p62, min(0x1p62, real)) : 0))
        }
    }

    mutating func lowerReshape(_ node: Node) throws(RuntimeError) {
        let (x, output) = (try input(node, 0), node.outputs[0])
        if case .buffer(let index, _) = try requantized(x, to: graph[output].encoding, node: node.name) {
            setBuffer(of: output, to: index)
        } else {
            try alias(output, to: x)
        }
    }

    /// A transposition between float and int8 moves the int8 numbers: it is put off to where they are made.
    mutating func lowerTranspose(_ node: Node, _ permutation: [Int]) throws(RuntimeError) {
        let (x, output) = (try input(node, 0), node.outputs[0])
        if putOffTransposes[output] != nil { return }
        let source = try requantized(x, to: graph[output].encoding, node: node.name)
        try emitTranspose(node, graph[x].shape, permutation, source: source)
    }

    /// Writes `source`, of the extents `shape`, in another order to the output of `node`, within its padding if it has some.
    mutating func emitTranspose(
        _ node: Node, _ shape: Shape, _ permutation: [Int], source: Operand
    ) throws(RuntimeError) {
        let output = graph[node.outputs[0]]
        var box = CopyBox(
            extent: permutation.map { shape[$0] }, inStride: permutation.map { shape.strides[$0] },
            outStride: output.shape.strides)
        let index: Int
        if let layout = paddedLayouts[node.outputs[0]] {
            let count = layout.extents.reduce(1, *)
            index = newBuffer(byteCount: count * output.dtype.byteSize)
            setBuffer(of: node.outputs[0], to: index)
            box.outStride = output.shape.rank == 3 ? [0, 2, 3].map { layout.strides[$0] } : layout.strides
            box.outOffset = layout.offset
            box.fill = (count, Self.fillElement(0, for: output))
        } else {
            index = outputOf(node)
        }
        copy(box, elementSize: output.dtype.byteSize, from: source, to: index, node: node.name)
    }

    mutating func lowerSlice(_ node: Node, _ ranges: [SliceRange]) throws(RuntimeError) {
        let x = try input(node, 0)
        let shape = graph[x].shape
        let source = try requantized(x, to: graph[node.outputs[0]].encoding, node: node.name)
        let output = outputOf(node)
        let offset = ranges.indices.reduce(0) {
            $0 + ranges[$1].bounds(extent: shape[$1]).start * shape.strides[$1]
        }
        copy(
            CopyBox(
                extent: graph[node.outputs[0]].shape.dims,
                inStride: zip(shape.strides, ranges).map { $0.0 * $0.1.step },
                outStride: graph[node.outputs[0]].shape.strides, inOffset: offset),
            elementSize: graph[x].dtype.byteSize, from: source, to: output, node: node.name)
    }

    mutating func lowerPad(
        _ node: Node, before: [Int], after: [Int], value: Float
    ) throws(RuntimeError) {
        let x = try input(node, 0)
        let dims = graph[x].shape.dims
        if before.allSatisfy({ $0 >= 0 }), after.allSatisfy({ $0 >= 0 }) {
            let result = graph[node.outputs[0]]
            let index = try pad(
                try requantized(x, to: result.encoding, node: node.name), dims: dims, before: before,
                to: result.shape.dims, value: result, real: value, node: node.name)
            setBuffer(of: node.outputs[0], to: index)
        } else {
            throw RuntimeError(.unsupported, "negative padding; use a slice")
        }
    }

    mutating func lowerConcat(_ node: Node, axis: Int) throws(RuntimeError) {
        let result = graph[node.outputs[0]]
        guard let axis = result.shape.normalized(axis: axis) else {
            throw RuntimeError(.unsupported, "axis \(axis) of a concatenation to \(result.shape)")
        }
        let output = outputOf(node)
        var offset = 0
        for id in node.inputs.compactMap({ $0 }) {
            let part = graph[id]
            copy(
                CopyBox(
                    extent: part.shape.dims, inStride: part.shape.strides, outStride: result.shape.strides,
                    outOffset: offset),
                elementSize: part.dtype.byteSize,
                from: try requantized(id, to: result.encoding, node: node.name), to: output, node: node.name)
            offset += part.shape[axis] * result.shape.strides[axis]
        }
    }

    /// The operand on another int8 grid; the value itself where the grids are the same.
    mutating func requantized(_ id: ValueID, to encoding: Encoding, node: String) throws(RuntimeError) -> Operand {
        let value = graph[id]
        guard value.dtype == .int8, let from = value.encoding.affine, let to = encoding.affine, from != to else {
            return try operand(id)
        }
        let index = newBuffer(byteCount: elementCount(id))
        try emitTable(from: from, to: to, source: try operand(id), output: index, count: elementCount(id), node: node) {
            $0
        }
        return .buffer(index)
    }
}
