/// Types and extents of operators that move numbers by index, and of recurrent layers.
extension ShapeInference {
    func indexing(_ x: Value) throws(GraphError) -> TensorType {
        switch op {
        case .reverseSequence(let batchAxis, let timeAxis):
            let (batch, time) = (try checked(axis: batchAxis, of: x), try checked(axis: timeAxis, of: x))
            let lengths = try indices(1)
            guard batch != time, lengths.shape.rank == 1, agree(lengths.shape[0], x.shape[batch]) else {
                throw shape("lengths \(lengths.shape) for axes \(batchAxis) and \(timeAxis) of \(x.shape)")
            }
            return x.type
        case .gather(let gathering): return TensorType(x.dtype, try gathered(x, gathering))
        case .scatter(let scattering):
            try checkScatter(x, scattering)
            return x.type
        case .argReduce(let reduction):
            let axis = try checked(axis: reduction.axis, of: x)
            guard x.shape[axis] != 0 else { throw shape("the largest of no number") }
            var dims = x.shape.dims
            if reduction.keepDims { dims[axis] = 1 } else { dims.remove(at: axis) }
            return TensorType(.int64, Shape(dims))
        case .topK(let top):
            let axis = try checked(axis: top.axis, of: x)
            guard top.k >= 0, x.shape[axis] < 0 || top.k <= x.shape[axis], top.k <= Shape.maximumElements else {
                throw shape("the first \(top.k) of \(x.shape) along axis \(axis)")
            }
            var dims = x.shape.dims
            dims[axis] = top.k
            return TensorType(top.givesIndices ? .int64 : x.dtype, Shape(dims))
        case .cumulativeSum(let axis, _, _):
            _ = try checked(axis: axis, of: x)
            return x.type
        case .resample(let axis):
            let axis = try checked(axis: axis, of: x)
            let (places, weights) = (try input(1), try input(2))
            guard places.dtype == .int64, weights.dtype == .float32, places.shape.rank == 2,
                places.shape == weights.shape, places.shape.isStatic
            else { throw shape("places \(places.shape) and weights \(weights.shape)") }
            var dims = x.shape.dims
            dims[axis] = places.shape[0]
            return TensorType(x.dtype, Shape(dims))
        default: throw mismatch("no operator that works by index")
        }
    }

    private func indices(_ index: Int) throws(GraphError) -> Value {
        let value = try input(index)
        guard value.dtype == .int64 || value.dtype == .int32 else {
            throw mismatch("indices of type \(value.dtype); int32 or int64 is wanted")
        }
        return value
    }

    private func gathered(_ x: Value, _ gathering: Gathering) throws(GraphError) -> Shape {
        let indices = try indices(1).shape
        switch gathering {
        case .slices(let axis):
            let axis = try checked(axis: axis, of: x)
            return Shape(Array(x.shape.dims[..<axis]) + indices.dims + Array(x.shape.dims[(axis + 1)...]))
        case .elements(let axis):
            let axis = try checked(axis: axis, of: x)
            try checkElements(x.shape, indices, axis)
            return indices
        case .tuples(let batchAxes):
            let width = try tupleWidth(x.shape, indices, batchAxes: batchAxes)
            return Shape(indices.dims.dropLast() + x.shape.dims[(batchAxes + width)...])
        }
    }

    /// Other axes of the indices may be shorter than those of the data, not longer.
    private func checkElements(_ shape: Shape, _ indices: Shape, _ axis: Int) throws(GraphError) {
        guard indices.rank == shape.rank else { throw self.shape("indices \(indices) into \(shape)") }
        for other in shape.dims.indices where other != axis && shape[other] >= 0 && indices[other] > shape[other] {
            throw self.shape("indices \(indices) into \(shape)")
        }
    }

    private func tupleWidth(_ shape: Shape, _ indices: Shape, batchAxes: Int) throws(GraphError) -> Int {
        guard let width = indices.dims.last, width >= 0, batchAxes >= 0, batchAxes < indices.rank,
            width <= shape.rank, batchAxes <= shape.rank - width,
            (0..<batchAxes).allSatisfy({ agree(shape[$0], indices[$0]) })
        else { throw self.shape("tuples \(indices) with \(batchAxes) shared axes into \(shape)") }
        return width
    }

    private func checkScatter(_ x: Value, _ scattering: Scattering) throws(GraphError) {
        let (indices, updates) = (try indices(1).shape, try input(2))
        guard updates.dtype == x.dtype else { throw mismatch("\(updates.dtype) numbers into \(x.dtype) ones") }
        let expected: Shape
        if let axis = scattering.axis {
            try checkElements(x.shape, indices, try checked(axis: axis, of: x))
            expected = indices
        } else {
            let width = try tupleWidth(x.shape, indices, batchAxes: 0)
            expected = Shape(indices.dims.dropLast() + x.shape.dims[width...])
        }
        guard updates.shape.rank == expected.rank, zip(updates.shape.dims, expected.dims).allSatisfy(agree) else {
            throw shape("updates \(updates.shape) for indices \(indices) into \(x.shape)")
        }
    }

    func recurrent(_ x: Value, _ layer: Recurrent) throws(GraphError) -> TensorType {
        let (gates, hidden) = (layer.kind.gates, layer.hidden)
        let wanted = layer.kind == .rnn ? 1 : layer.kind == .gru ? 2 : 3
        guard x.shape.rank == 3, (1...1 << 20).contains(hidden), layer.activations.count == wanted, !layer.clip.isNaN,
            !layer.cellClip.isNaN
        else { throw shape("a recurrent layer of \(hidden) units over \(x.shape)") }
        let (time, batch, width) = (x.shape[0], x.shape[1], x.shape[2])
        let expected: [(Int, [Int])] = [
            (1, [gates * hidden, width]), (2, [gates * hidden, hidden]), (3, [2 * gates * hidden]), (4, [batch]),
            (5, [batch, hidden]), (6, [batch, hidden]), (7, [3 * hidden]),
        ]
        for (index, dims) in expected where index < 3 || (index < inputs.count && inputs[index] != nil) {
            let value = try input(index)
            guard value.dtype == (index == 4 ? .int32 : x.dtype) else {
                throw mismatch("input \(index) of a recurrent layer over \(x.dtype) is \(value.dtype)")
            }
            guard value.shape.rank == dims.count, zip(value.shape.dims, dims).allSatisfy(agree) else {
                throw shape("input \(index) of a recurrent layer is \(value.shape), not \(Shape(dims))")
            }
        }
        let rows = try sum([time, layer.kind == .lstm ? 2 : 1], unknownIf: time < 0)
        return TensorType(x.dtype, Shape([rows, batch, hidden]))
    }
}
