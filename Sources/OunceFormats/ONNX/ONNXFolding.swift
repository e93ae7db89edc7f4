import OunceGraph

/// Arithmetic on shapes, which exporters leave in models as nodes.
extension ONNXTranslation {
    /// Longer lists are not shapes.
    private static let maximumFolded = 1 << 12

    /// The integers of a small constant; nil for anything else.
    func smallIntegers(_ node: ONNXNode, _ index: Int) throws(ImportFailure) -> [Int]? {
        guard case .constant(let tensor, .plain) = try binding(node, index), tensor.count <= Self.maximumFolded,
            tensor.dtype == .int64 || tensor.dtype == .int32
        else { return nil }
        return tensor.integers()
    }

    private func extents(_ node: ONNXNode, _ index: Int) throws(ImportFailure) -> [ONNXExtent]? {
        if case .extents(let list) = try binding(node, index) { return list }
        return try smallIntegers(node, index)?.map { .known($0) }
    }

    /// A list of extents; an ordinary constant where all are known.
    func knownExtents(_ extents: [ONNXExtent]) -> [Int64]? {
        var known: [Int64] = []
        for extent in extents {
            guard case .known(let extent) = extent else { return nil }
            known.append(Int64(extent))
        }
        return known
    }

    private func list(_ extents: [ONNXExtent], isScalar: Bool = false) -> ONNXBinding {
        var known: [Int64] = []
        for extent in extents {
            guard case .known(let extent) = extent else { return .extents(extents) }
            known.append(Int64(extent))
        }
        guard isScalar, let scalar = Tensor(known, shape: []) else { return .constant(Tensor(known), .plain) }
        return .constant(scalar, .plain)
    }

    mutating func constant(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        if let tensor = node.attribute("value") { return .constant(try tensor.t.tensor(), .plain) }
        if let sparse = node.attribute("sparse_value")?.sparseTensors.first {
            return .constant(try dense(sparse), .plain)
        }
        if let floats = node.attribute("value_floats") { return .constant(Tensor(floats.floats), .plain) }
        if let ints = node.attribute("value_ints") { return .constant(Tensor(ints.ints), .plain) }
        if let float = node.attribute("value_float"), let tensor = Tensor([float.f], shape: []) {
            return .constant(tensor, .plain)
        }
        if let int = node.attribute("value_int"), let tensor = Tensor([int.i], shape: []) {
            return .constant(tensor, .plain)
        }
        throw .unsupported("a constant that is neither a tensor nor numbers")
    }

    mutating func shape(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let shape = shape(x)
        let range = SliceRange(start: node.int("start", default: 0), end: node.attribute("end").map { Int($0.i) })
        let (start, end) = range.bounds(extent: shape.rank)
        let extents = shape.dims.enumerated().map { axis, extent -> ONNXExtent in
            extent < 0 || builder.runTimeExtents[x]?.axis == axis ? .axis(axis, of: x) : .known(extent)
        }
        return list(Array(extents[start..<max(start, end)]))
    }

    mutating func gather(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let axis = node.int("axis", default: 0)
        guard axis == 0, case .extents(let extents) = try binding(node, 0), let indices = try smallIntegers(node, 1),
            case .constant(let positions, _) = try binding(node, 1), positions.shape.rank <= 1
        else { return .value(try emit(.gather(.slices(axis: axis)), [try value(node, 0), try value(node, 1)], node)) }
        var chosen: [ONNXExtent] = []
        for index in indices {
            let place = index < 0 ? index &+ extents.count : index
            guard extents.indices.contains(place) else { throw .corrupt("index \(index) of \(extents.count)") }
            chosen.append(extents[place])
        }
        return list(chosen, isScalar: positions.shape.rank == 0)
    }

    /// The concatenation of shapes; nil where the inputs are no shapes.
    func foldConcat(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding? {
        var all: [ONNXExtent] = []
        for index in node.proto.input.indices {
            if case .constant(let tensor, _) = try binding(node, index), tensor.shape.rank != 1 { return nil }
            guard let part = try extents(node, index), all.count + part.count <= Self.maximumFolded else { return nil }
            all += part
        }
        return list(all)
    }

    func foldSlice(
        _ node: ONNXNode, starts: [Int], ends: [Int], steps: [Int]
    ) throws(ImportFailure) -> ONNXBinding? {
        if case .constant(let tensor, _) = try binding(node, 0), tensor.shape.rank != 1 { return nil }
        guard starts.count == 1, let extents = try extents(node, 0) else { return nil }
        let (start, end) = SliceRange(start: starts[0], end: ends[0]).bounds(extent: extents.count)
        return list(stride(from: start, to: end, by: steps[0]).map { extents[$0] })
    }

    /// Arithmetic on small integer constants, one of which may be a single number.
    func foldIntegers(_ op: BinaryOperator, _ node: ONNXNode) throws(ImportFailure) -> ONNXBinding? {
        guard op.isArithmetic, let a = try smallIntegers(node, 0), let b = try smallIntegers(node, 1),
            case .constant(let x, _) = try binding(node, 0), case .constant(let y, _) = try binding(node, 1),
            x.dtype == y.dtype, a.count == b.count || a.count == 1 || b.count == 1, !a.isEmpty, !b.isEmpty,
            x.shape.rank <= 1, y.shape.rank <= 1
        else { return nil }
        var result: [Int] = []
        for index in 0..<max(a.count, b.count) {
            let (p, q) = (a[a.count == 1 ? 0 : index], b[b.count == 1 ? 0 : index])
            let (value, overflow) =
                switch op {
                case .add: p.addingReportingOverflow(q)
                case .subtract: p.subtractingReportingOverflow(q)
                case .multiply: p.multipliedReportingOverflow(by: q)
                case .divide: p.dividedReportingOverflow(by: q)
                case .minimum: (min(p, q), false)
                case .maximum: (max(p, q), false)
                default: (0, true)
                }
            guard !overflow else { throw .corrupt("an integer overflows or is divided by zero") }
            result.append(value)
        }
        let shape: Shape = x.shape.rank == 0 && y.shape.rank == 0 ? [] : [result.count]
        return Tensor(integers: result, as: x.dtype, shape: shape).map { .constant($0, .plain) }
    }
}
