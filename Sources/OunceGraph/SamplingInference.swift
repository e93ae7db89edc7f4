/// Types and extents of operators that sample between places, and of those whose results depend on the data.
extension ShapeInference {
    func sampling(_ x: Value) throws(GraphError) -> TensorType {
        switch op {
        case .sampleAt:
            let places = try input(1)
            let axes = x.shape.rank - 2
            guard (1...3).contains(axes), places.shape.rank == x.shape.rank, places.dtype.isFloat, x.dtype.isFloat,
                places.shape[axes + 1] == axes, agree(places.shape[0], x.shape[0]), !x.shape.dims.contains(0)
            else { throw shape("places \(places.shape) between those of \(x.shape)") }
            return TensorType(x.dtype, Shape([x.shape[0], x.shape[1]] + places.shape.dims[1...axes]))
        case .roiAlign(let align):
            let (regions, images) = (try input(1), try input(2))
            let sizes = [align.height, align.width, align.samplingRatio &+ 1]
            guard x.shape.rank == 4, regions.shape.rank == 2, regions.shape[1] == 4, images.shape.rank == 1,
                agree(images.shape[0], regions.shape[0]), images.dtype == .int64, x.dtype.isFloat,
                regions.dtype.isFloat, sizes.allSatisfy({ (1...1 << 10).contains($0) }), align.scale.isFinite
            else { throw shape("regions \(regions.shape) of \(images.shape) images in \(x.shape)") }
            return TensorType(x.dtype, Shape([regions.shape[0], x.shape[1], align.height, align.width]))
        case .determinant:
            let dims = x.shape.dims
            guard dims.count >= 2, agree(dims[dims.count - 1], dims[dims.count - 2]), x.dtype.isFloat else {
                throw shape("the determinant of \(x.shape)")
            }
            return TensorType(x.dtype, Shape(Array(dims.dropLast(2))))
        case .treeEnsemble(let trees): return try treeEnsemble(x, trees)
        default: throw mismatch("no operator that samples")
        }
    }

    private func treeEnsemble(_ x: Value, _ trees: TreeEnsemble) throws(GraphError) -> TensorType {
        let ranks = [2, 1, 1, 1, 1, 1]
        let types: [DType] = [.int64, .float64, .int64, .int64, .int64, .float64]
        for index in 0..<6 {
            let table = try input(index + 1)
            guard table.shape.rank == ranks[index], table.dtype == types[index], table.shape.isStatic else {
                throw shape("table \(index + 1) of an ensemble of trees is \(table.dtype) \(table.shape)")
            }
        }
        let nodes = try input(1).shape
        guard x.shape.rank == 2, (1...1 << 16).contains(trees.targets), nodes[1] == 5,
            try input(2).shape[0] == nodes[0], try input(4).shape[0] >= 1,
            try input(5).shape == (try input(6)).shape
        else { throw shape("an ensemble of trees over \(x.shape)") }
        return TensorType(.float32, Shape([x.shape[0], trees.targets]))
    }

    func selection(_ x: Value) throws(GraphError) -> TensorType {
        switch op {
        case .nonMaxSuppression(let suppression):
            let scores = try input(1).shape
            let boxes = x.shape
            guard boxes.rank == 3, scores.rank == 3, boxes[2] == 4, agree(boxes[0], scores[0]),
                agree(boxes[1], scores[2]), x.dtype.isFloat, try input(1).dtype.isFloat, suppression.limit >= 0
            else { throw shape("boxes \(boxes) with scores \(scores)") }
            guard boxes.isStatic, scores.isStatic else { return TensorType(.int64, [Shape.unknown, 3]) }
            guard let rows = Shape([boxes[0], scores[1], min(suppression.limit, boxes[1])]).elementCount else {
                throw GraphError(.limit, at: node, "boxes \(boxes) with scores \(scores)")
            }
            return TensorType(.int64, [rows, 3])
        case .nonZero: return TensorType(.int64, [x.shape.rank, x.shape.elementCount ?? Shape.unknown])
        case .distinct(let distinct):
            guard let axis = distinct.axis else { return TensorType(.int64, [x.shape.elementCount ?? Shape.unknown]) }
            return TensorType(.int64, [x.shape[try checked(axis: axis, of: x)]])
        case .cut(let axis):
            _ = try checked(axis: axis, of: x)
            guard try input(1).dtype == .int64, try input(1).shape.elementCount == 1 else {
                throw shape("the count of a cut is \(try input(1).shape)")
            }
            return x.type
        default: throw mismatch("no operator that selects")
        }
    }
}
