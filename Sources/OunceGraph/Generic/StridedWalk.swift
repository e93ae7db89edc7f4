/// Steps through a box of elements row-major and keeps, for each operand, the element that belongs to the place.
struct StridedWalk {
    private let dims: [Int]
    private let strides: [[Int]]
    private(set) var index: [Int]
    private(set) var offsets: [Int]
    let count: Int

    init(_ dims: [Int], _ strides: [[Int]]) {
        self.dims = dims
        self.strides = strides
        index = Array(repeating: 0, count: dims.count)
        offsets = Array(repeating: 0, count: strides.count)
        count = dims.reduce(1, *)
    }

    mutating func advance() {
        for axis in stride(from: dims.count - 1, through: 0, by: -1) {
            index[axis] += 1
            for operand in offsets.indices { offsets[operand] += strides[operand][axis] }
            if index[axis] < dims[axis] { return }
            for operand in offsets.indices { offsets[operand] -= strides[operand][axis] * dims[axis] }
            index[axis] = 0
        }
    }

    /// Calls `body` for each place with its number and the walk.
    static func forEach(_ dims: [Int], _ strides: [[Int]], _ body: (Int, StridedWalk) -> Void) {
        var walk = StridedWalk(dims, strides)
        for place in 0..<walk.count {
            body(place, walk)
            walk.advance()
        }
    }
}

extension Shape {
    /// Strides that read this shape as if it were `target`: 0 along broadcast axes.
    package func broadcastStrides(to target: Shape) -> [Int] {
        let (missing, own) = (target.rank - rank, strides)
        return target.dims.indices.map { axis in
            axis < missing || self[axis - missing] == 1 ? 0 : own[axis - missing]
        }
    }

    /// Extents before, of and after an axis.
    func split(at axis: Int) -> (outer: Int, extent: Int, inner: Int) {
        (dims[..<axis].reduce(1, *), dims[axis], dims[(axis + 1)...].reduce(1, *))
    }
}
