/// An axis of a value of which only the first slices count: how many is known when the model runs.
///
/// The value has its largest extent; what lies behind the count is without meaning, and no operator may let it touch what lies
/// before it.
package struct RunTimeExtent: Sendable, Hashable {
    package var axis: Int
    /// int64, one number.
    package var count: ValueID

    package init(axis: Int, count: ValueID) {
        self.axis = axis
        self.count = count
    }
}

extension Graph {
    /// For each output, the axis that is cut and by which count.
    package var outputCuts: [RunTimeExtent?] {
        var cuts = ValueMap<RunTimeExtent>(over: self)
        for node in nodes {
            guard case .cut(let axis) = node.op, let output = node.outputs.first, let x = node.inputs.first ?? nil,
                node.inputs.count > 1, let count = node.inputs[1]
            else { continue }
            cuts[output] = self[x].shape.normalized(axis: axis).map { RunTimeExtent(axis: $0, count: count) }
        }
        return outputs.map { cuts[$0] }
    }

    /// What the output of `op` has of the extents of its inputs that are known only at run time.
    ///
    /// - Parameter extents: as many as inputs; nil for inputs whose extents are all meant.
    /// - Throws: `.invalidShape` where slices that do not count would change those that do.
    package func runTimeExtent(
        of op: Op, _ inputs: [ValueID?], _ extents: [RunTimeExtent?], output: Shape, node: String
    ) throws(GraphError) -> RunTimeExtent? {
        guard extents.contains(where: { $0 != nil }) else { return nil }
        let shapes = inputs.map { $0.map { self[$0].shape } }
        let axis = RunTimeExtentRule(op: op, shapes: shapes, extents: extents, output: output).axis()
        guard let axis, let count = extents.compactMap({ $0 }).first?.count else {
            throw GraphError(
                .invalidShape, at: node,
                "the extent of its input depends on the data; export the model with its output as the model's")
        }
        return RunTimeExtent(axis: axis, count: count)
    }
}

private struct RunTimeExtentRule {
    let op: Op
    let shapes: [Shape?]
    let extents: [RunTimeExtent?]
    let output: Shape

    /// The axis of the output; nil where the operator mixes slices that count with others.
    func axis() -> Int? {
        let only = extents.dropFirst().allSatisfy { $0 == nil }
        guard let x = shapes.first ?? nil else { return nil }
        let first = extents[0]?.axis
        switch op {
        case .unary, .cast, .quantize, .dequantize: return first
        case .binary, .compare, .select, .expand: return elementwise()
        case .gather(let gathering): return gathered(gathering, x)
        case .concat(let axis): return concatenated(x.normalized(axis: axis))
        default: break
        }
        guard only, let first else { return nil }
        switch op {
        case .softmax(let axis), .batchNormalization(let axis, _):
            return x.normalized(axis: axis) == first ? nil : first
        case .layerNormalization(let axes, _): return first < x.rank - axes ? first : nil
        case .cumulativeSum(let axis, _, let reverse):
            return x.normalized(axis: axis) == first && reverse ? nil : first
        case .reduce(_, let axes, let keepDims):
            let reduced = Set(axes.compactMap { x.normalized(axis: $0) })
            guard !reduced.contains(first) else { return nil }
            return keepDims ? first : first - reduced.filter { $0 < first }.count
        case .argReduce(let reduction):
            guard let axis = x.normalized(axis: reduction.axis), axis != first else { return nil }
            return reduction.keepDims || axis > first ? first : first - 1
        case .topK(let top): return x.normalized(axis: top.axis) == first ? nil : first
        case .reshape: return reshaped(x, first)
        case .transpose(let permutation): return permutation.firstIndex(of: first)
        case .slice(let ranges): return ranges[first].isAll ? first : nil
        case .pad(let before, let after, _): return before[first] == 0 && after[first] == 0 ? first : nil
        case .reverse(let axes): return axes.contains { x.normalized(axis: $0) == first } ? nil : first
        case .fullyConnected: return first == x.rank - 1 ? nil : first
        case .matMul: return first == x.rank - 1 ? nil : first + output.rank - x.rank
        case .conv, .pool: return first == 0 ? 0 : nil
        case .resample(let axis): return x.normalized(axis: axis) == first ? nil : first
        default: return nil
        }
    }

    /// Every input that has this axis at all has the same count.
    private func elementwise() -> Int? {
        guard let source = zip(shapes, extents).first(where: { $1 != nil }), let shape = source.0, let extent = source.1
        else { return nil }
        let axis = extent.axis + output.rank - shape.rank
        for (shape, other) in zip(shapes, extents) {
            guard let shape else { continue }
            if let other {
                guard other.count == extent.count, other.axis + output.rank - shape.rank == axis else { return nil }
            } else {
                let own = axis - (output.rank - shape.rank)
                guard own < 0 || shape[own] == 1 else { return nil }
            }
        }
        return axis
    }

    private func gathered(_ gathering: Gathering, _ x: Shape) -> Int? {
        guard extents.count > 1, let indices = shapes[1] else { return nil }
        switch (gathering, extents[0]?.axis, extents[1]?.axis) {
        case (.slices(let axis), nil, let own?): return x.normalized(axis: axis).map { $0 + own }
        case (.slices(let axis), let own?, nil):
            guard let axis = x.normalized(axis: axis), axis != own else { return nil }
            return own < axis ? own : own + indices.rank - 1
        case (.tuples, nil, let own?): return own < indices.rank - 1 ? own : nil
        case (.elements(let axis), nil, let own?):
            // Other axes than that of the elements are shared with the data.
            return x.normalized(axis: axis) == own ? own : nil
        default: return nil
        }
    }

    private func concatenated(_ axis: Int?) -> Int? {
        guard let extent = extents[0], extent.axis != axis, extents.allSatisfy({ $0 == extent }) else { return nil }
        return extent.axis
    }

    /// The axis of the same extent with as many elements before it.
    private func reshaped(_ x: Shape, _ axis: Int) -> Int? {
        guard x.isStatic, output.isStatic else { return nil }
        let before = x.dims[..<axis].reduce(1, *)
        var product = 1
        for (place, extent) in output.dims.enumerated() {
            if product == before, extent == x[axis], extent != 1 || x.dims[axis...].allSatisfy({ $0 == 1 }) {
                return place
            }
            product *= extent
        }
        return nil
    }
}
