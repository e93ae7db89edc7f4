/// A reshape that only adds and removes axes of extent 1, so that every other axis goes on as one axis.
struct UnitReshape {
    let from: Shape
    let to: Shape
    /// Pairs of axes with the same extent other than 1, in order.
    let pairs: [(from: Int, to: Int)]

    init?(_ node: Node, in sweep: Sweep) {
        guard case .reshape(let dimensions) = node.op, let x = sweep.input(node, 0), let y = sweep.output(node),
            x.encoding == y.encoding
        else { return nil }
        (from, to) = (x.shape, y.shape)
        let (before, after) = (
            from.dims.indices.filter { x.shape[$0] != 1 }, to.dims.indices.filter { y.shape[$0] != 1 }
        )
        guard before.count == after.count else { return nil }
        pairs = zip(before, after).map { ($0, $1) }
        var inferred = 0
        for (before, after) in pairs {
            if from[before] >= 0, from[before] == to[after] { continue }
            if dimensions[after] == .copy(before) { continue }
            guard from[before] < 0, to[after] < 0, dimensions[after] == .infer else { return nil }
            inferred += 1
        }
        guard inferred <= 1 else { return nil }
    }

    /// The axis before the reshape; nil where it has none of its own.
    func source(of axis: Int) -> Int? { pairs.first { $0.to == axis }?.from }

    /// What makes `to` again of a tensor whose axis `place(axis)` is axis `axis` of `from`.
    func dimensions(_ place: (Int) -> Int = { $0 }) -> [ReshapeDimension] {
        to.dims.indices.map { axis in
            if to[axis] >= 0 { return .literal(to[axis]) }
            return source(of: axis).map { .copy(place($0)) } ?? .literal(1)
        }
    }
}
