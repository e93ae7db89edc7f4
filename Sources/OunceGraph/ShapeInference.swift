extension Graph {
    /// The type of the one output of `op` for these inputs; unknown extents stay unknown.
    ///
    /// - Parameter encoding: the output's; an affine one makes the output of `.quantize` and of int8 operators int8.
    /// - Throws: `GraphError` that names `node` when number, types or extents of the inputs do not fit the operator.
    package func inferType(
        of op: Op, inputs: [Value?], node: String, encoding: Encoding
    ) throws(GraphError) -> TensorType {
        try ShapeInference(node: node, op: op, inputs: inputs, encoding: encoding).infer()
    }
}

/// One operator's rule for types and extents. Extents are checked, so that no later arithmetic can overflow.
struct ShapeInference {
    let node: String
    let op: Op
    let inputs: [Value?]
    let encoding: Encoding

    func infer() throws(GraphError) -> TensorType {
        let x = try input(0)
        let type: TensorType
        switch op {
        case .conv(let conv): type = try convolution(x, conv)
        case .fullyConnected: type = try fullyConnected(x)
        case .matMul: type = try matMul(x)
        case .pool(let pool): type = try pooling(x, pool)
        case .reduce(_, let axes, let keepDims): type = try reduce(x, axes: axes, keepDims: keepDims)
        case .binary:
            let y = try input(1)
            guard x.dtype == y.dtype else { throw mismatch("\(x.dtype) and \(y.dtype) operands") }
            type = TensorType(x.dtype, try broadcast(x.shape, y.shape))
        case .unary: type = x.type
        case .softmax(let axis):
            _ = try checked(axis: axis, of: x)
            type = x.type
        case .layerNormalization(let axes, _): type = try layerNormalization(x, axes)
        case .batchNormalization(let axis, _):
            let channels = x.shape[try checked(axis: axis, of: x)]
            for index in 1...4 {
                let parameter = try input(index)
                guard parameter.shape.rank == 1, agree(parameter.shape[0], channels) else {
                    throw shape("parameter \(index) is \(parameter.shape), the channels are \(channels)")
                }
            }
            type = x.type
        case .reshape(let dimensions): type = TensorType(x.dtype, try reshape(x.shape, dimensions))
        case .transpose(let permutation):
            guard permutation.sorted() == Array(0..<x.shape.rank) else {
                throw shape("permutation \(permutation) does not fit a tensor of rank \(x.shape.rank)")
            }
            type = TensorType(x.dtype, Shape(permutation.map { x.shape[$0] }))
        case .concat(let axis): type = try concat(axis: axis)
        case .slice(let ranges): type = TensorType(x.dtype, try slice(x.shape, ranges))
        case .pad(let before, let after, _):
            guard before.count == x.shape.rank, after.count == x.shape.rank else {
                throw shape("\(before.count) paddings for a tensor of rank \(x.shape.rank)")
            }
            var dims: [Int] = []
            for axis in 0..<x.shape.rank {
                dims.append(try sum([x.shape[axis], before[axis], after[axis]], unknownIf: x.shape[axis] < 0))
            }
            type = TensorType(x.dtype, Shape(dims))
        case .quantize:
            guard encoding.affine != nil else { throw mismatch("the output of a quantise has no scale") }
            type = TensorType(.int8, x.shape)
        case .dequantize: type = TensorType(.float32, x.shape)
        case .cast(let dtype): type = TensorType(dtype, x.shape)
        case .compare:
            let y = try input(1)
            guard x.dtype == y.dtype else { throw mismatch("\(x.dtype) and \(y.dtype) operands") }
            type = TensorType(.bool, try broadcast(x.shape, y.shape))
        case .select:
            let (a, b) = (try input(1), try input(2))
            guard x.dtype == .bool, a.dtype == b.dtype else {
                throw mismatch("a choice by \(x.dtype) between \(a.dtype) and \(b.dtype)")
            }
            type = TensorType(a.dtype, try broadcast(x.shape, try broadcast(a.shape, b.shape)))
        case .expand(let dims):
            guard dims.allSatisfy({ (0...Shape.maximumElements).contains($0) }) else { throw shape("extents \(dims)") }
            type = TensorType(x.dtype, try broadcast(x.shape, Shape(dims)))
        case .reverse(let axes):
            for axis in axes { _ = try checked(axis: axis, of: x) }
            type = x.type
        case .reverseSequence, .gather, .scatter, .argReduce, .topK, .cumulativeSum, .resample:
            type = try indexing(x)
        case .poolIndices(let pool, _): type = TensorType(.int64, try pooling(x, pool).shape)
        case .recurrent(let layer): type = try recurrent(x, layer)
        case .quantizeAs(let dtype):
            guard encoding.affine?.isPerTensor == true, dtype.isQuantizable, x.dtype == .float32 || isOnGrid(x) else {
                throw mismatch("\(x.dtype) cannot be quantised to \(dtype); both need one scale and one zero point")
            }
            type = TensorType(dtype, x.shape)
        case .roundToDynamicGrid(let grid):
            guard x.dtype == .float32, (0...x.shape.rank).contains(grid.batchAxes) else {
                throw mismatch("a grid for each of the first \(grid.batchAxes) axes of \(x.dtype) \(x.shape)")
            }
            type = x.type
        case .integerLSTM(let layer): type = try integerLSTM(x, layer)
        case .sampleAt, .roiAlign, .determinant, .treeEnsemble: type = try sampling(x)
        case .nonMaxSuppression, .nonZero, .distinct, .cut: type = try selection(x)
        }
        guard type.shape.rank <= 8 else { throw GraphError(.limit, at: node, "rank \(type.shape.rank) is over 8") }
        guard type.shape.isBounded else {
            throw GraphError(.limit, at: node, "the result \(type.shape) has over \(Shape.maximumElements) elements")
        }
        return type
    }

    func input(_ index: Int) throws(GraphError) -> Value {
        guard index < inputs.count, let value = inputs[index] else {
            throw GraphError(.invalidStructure, at: node, "input \(index) is missing")
        }
        return value
    }

    func shape(_ message: String) -> GraphError { GraphError(.invalidShape, at: node, message) }
    func mismatch(_ message: String) -> GraphError { GraphError(.invalidType, at: node, message) }
    func agree(_ a: Int, _ b: Int) -> Bool { a < 0 || b < 0 || a == b }

    func checked(axis: Int, of value: Value) throws(GraphError) -> Int {
        guard let axis = value.shape.normalized(axis: axis) else {
            throw shape("axis \(axis) does not exist in \(value.shape)")
        }
        return axis
    }

    func sum(_ terms: [Int], unknownIf unknown: Bool) throws(GraphError) -> Int {
        if unknown { return Shape.unknown }
        var total = 0
        for term in terms {
            let (next, overflow) = total.addingReportingOverflow(term)
            guard !overflow, next >= 0, next <= Shape.maximumElements else {
                throw GraphError(.limit, at: node, "an extent is negative or over \(Shape.maximumElements)")
            }
            total = next
        }
        return total
    }

    private func convolution(_ x: Value, _ conv: Convolution) throws(GraphError) -> TensorType {
        let weights = try input(1)
        let spatial = x.shape.rank - 2
        guard (1...3).contains(spatial), weights.shape.rank == x.shape.rank else {
            throw shape("input \(x.shape) with weights \(weights.shape); convolutions of 1 to 3 axes are supported")
        }
        guard weights.shape.isStatic else { throw shape("the extents of the weights are not known") }
        let channels = x.shape[x.shape.rank - 1]
        let (outputs, perGroup) = (weights.shape[0], weights.shape[spatial + 1])
        guard conv.groups > 0, outputs > 0, outputs % conv.groups == 0 else {
            throw shape("\(outputs) output channels cannot be split into \(conv.groups) groups")
        }
        let (expected, overflow) = perGroup.multipliedReportingOverflow(by: conv.groups)
        guard !overflow, agree(channels, expected) else {
            throw shape("the input has \(channels) channels, the weights want \(expected)")
        }
        try checkBias(outputs: outputs)
        let dims = try windows(
            x.shape, kernel: Array(weights.shape.dims[1...spatial]), conv.strides, conv.dilations, conv.padBefore,
            conv.padAfter)
        return TensorType(x.dtype, Shape([x.shape[0]] + dims + [outputs]))
    }

    private func layerNormalization(_ x: Value, _ axes: Int) throws(GraphError) -> TensorType {
        guard (1...max(x.shape.rank, 1)).contains(axes), axes <= x.shape.rank else {
            throw shape("the last \(axes) axes of \(x.shape)")
        }
        let normal = x.shape.dims.suffix(axes)
        for index in 1...2 where index < inputs.count {
            guard let parameter = inputs[index] else { continue }
            guard parameter.shape.rank == axes, zip(parameter.shape.dims, normal).allSatisfy({ agree($0, $1) }) else {
                throw shape("parameter \(index) is \(parameter.shape), the last axes are \(Shape(Array(normal)))")
            }
        }
        return x.type
    }

    private func checkBias(outputs: Int) throws(GraphError) {
        guard inputs.count > 2, let bias = inputs[2] else { return }
        guard bias.shape.dims == [outputs] else {
            throw shape("the bias is \(bias.shape) for \(outputs) output channels")
        }
    }

    private func pooling(_ x: Value, _ pool: Pooling) throws(GraphError) -> TensorType {
        guard (3...5).contains(x.shape.rank) else { throw shape("pooling of a tensor of rank \(x.shape.rank)") }
        let dims = try windows(
            x.shape, kernel: pool.kernel, pool.strides, pool.dilations, pool.padBefore, pool.padAfter)
        return TensorType(x.dtype, Shape([x.shape[0]] + dims + [x.shape[x.shape.rank - 1]]))
    }

    /// Output extents of a sliding window over the spatial axes.
    private func windows(
        _ shape: Shape, kernel: [Int], _ strides: [Int], _ dilations: [Int], _ before: [Int], _ after: [Int]
    ) throws(GraphError) -> [Int] {
        let spatial = shape.rank - 2
        let counts = [kernel.count, strides.count, dilations.count, before.count, after.count]
        guard counts.allSatisfy({ $0 == spatial }) else {
            throw self.shape("\(spatial) spatial axes, but attributes for \(counts.max() ?? 0)")
        }
        let limit = 1 << 20
        guard Shape(kernel).isBounded, kernel.reduce(1, { $0 &* max($1, 1) }) <= 1 << 24 else {
            throw GraphError(.limit, at: node, "a window of \(Shape(kernel))")
        }
        var dims: [Int] = []
        for axis in 0..<spatial {
            let sizes = [kernel[axis], strides[axis], dilations[axis]]
            guard sizes.allSatisfy({ (1...limit).contains($0) }),
                [before[axis], after[axis]].allSatisfy({ (0...limit).contains($0) })
            else {
                throw GraphError(
                    .limit, at: node, "kernel, stride and dilation must lie in 1...\(limit), padding in 0...\(limit)")
            }
            let extent = shape[axis + 1]
            guard extent >= 0 else {
                dims.append(Shape.unknown)
                continue
            }
            let padded = try sum([extent, before[axis], after[axis]], unknownIf: false)
            let reach = (kernel[axis] - 1) * dilations[axis] + 1
            guard padded >= reach else {
                throw self.shape("a window of \(reach) does not fit an axis of \(padded)")
            }
            dims.append((padded - reach) / strides[axis] + 1)
        }
        return dims
    }

    private func fullyConnected(_ x: Value) throws(GraphError) -> TensorType {
        let weights = try input(1)
        guard weights.shape.rank == 2, x.shape.rank >= 1, agree(x.shape[x.shape.rank - 1], weights.shape[1]) else {
            throw shape("input \(x.shape) does not fit weights \(weights.shape) (outputs, inputs)")
        }
        try checkBias(outputs: weights.shape[0])
        return TensorType(x.dtype, Shape(x.shape.dims.dropLast() + [weights.shape[0]]))
    }

    private func matMul(_ a: Value) throws(GraphError) -> TensorType {
        let b = try input(1)
        let (m, n) = (a.shape.rank, b.shape.rank)
        guard m >= 2, n >= 2, agree(a.shape[m - 1], b.shape[n - 2]) else {
            throw shape("matrices \(a.shape) and \(b.shape) cannot be multiplied")
        }
        let leading = try broadcast(Shape(Array(a.shape.dims.dropLast(2))), Shape(Array(b.shape.dims.dropLast(2))))
        // Products of numbers on grids whose result is on none are real.
        let isReal = encoding == .plain && [a, b].allSatisfy { $0.dtype == .int8 && $0.encoding.affine != nil }
        return TensorType(isReal ? .float32 : a.dtype, Shape(leading.dims + [a.shape[m - 2], b.shape[n - 1]]))
    }

    func broadcast(_ a: Shape, _ b: Shape) throws(GraphError) -> Shape {
        let rank = max(a.rank, b.rank)
        var dims = [Int](repeating: 1, count: rank)
        for axis in 0..<rank {
            let x = axis < rank - a.rank ? 1 : a[axis - (rank - a.rank)]
            let y = axis < rank - b.rank ? 1 : b[axis - (rank - b.rank)]
            switch (x, y) {
            case (1, _): dims[axis] = y
            case (_, 1): dims[axis] = x
            case (-1, _): dims[axis] = y
            case (_, -1): dims[axis] = x
            default:
                guard x == y else { throw shape("\(a) and \(b) cannot be broadcast") }
                dims[axis] = x
            }
        }
        return Shape(dims)
    }

    private func reduce(_ x: Value, axes: [Int], keepDims: Bool) throws(GraphError) -> TensorType {
        var reduced: Set<Int> = []
        for axis in axes { reduced.insert(try checked(axis: axis, of: x)) }
        var dims: [Int] = []
        for axis in 0..<x.shape.rank {
            if !reduced.contains(axis) { dims.append(x.shape[axis]) } else if keepDims { dims.append(1) }
        }
        return TensorType(x.dtype, Shape(dims))
    }

    private func reshape(_ shape: Shape, _ dimensions: [ReshapeDimension]) throws(GraphError) -> Shape {
        guard dimensions.filter({ $0 == .infer }).count <= 1 else {
            throw self.shape("more than one extent to infer")
        }
        var dims: [Int] = []
        var copied: Set<Int> = []
        var repeatsUnknown = false
        for dimension in dimensions {
            switch dimension {
            case .literal(let extent):
                guard (0...Shape.maximumElements).contains(extent) else { throw self.shape("extent \(extent)") }
                dims.append(extent)
            case .copy(let axis):
                guard shape.dims.indices.contains(axis) else { throw self.shape("axis \(axis) of \(shape)") }
                dims.append(shape[axis])
                if !copied.insert(axis).inserted, shape[axis] < 0 { repeatsUnknown = true }
            case .infer: dims.append(Shape.unknown)
            }
        }
        guard let place = dimensions.firstIndex(of: .infer) else {
            if shape.isStatic, Shape(dims).isStatic, Shape(dims).elementCount != shape.elementCount {
                throw self.shape("\(shape) cannot be reshaped to \(Shape(dims))")
            }
            return Shape(dims)
        }
        if repeatsUnknown { return Shape(dims) }
        // Unknown extents that are copied cancel; what is left must divide.
        let from = shape.dims.enumerated().filter { !(copied.contains($0.offset) && $0.element < 0) }.map(\.element)
        let to = dims.enumerated().filter { entry in
            guard entry.offset != place else { return false }
            if case .copy(let axis) = dimensions[entry.offset] { return shape[axis] >= 0 }
            return true
        }.map(\.element)
        guard let total = Shape(from).elementCount, let part = Shape(to).elementCount else { return Shape(dims) }
        guard part > 0, total % part == 0 else { throw self.shape("\(shape) cannot be reshaped to \(Shape(dims))") }
        dims[place] = total / part
        return Shape(dims)
    }

    private func concat(axis: Int) throws(GraphError) -> TensorType {
        let first = try input(0)
        let axis = try checked(axis: axis, of: first)
        var dims = first.shape.dims
        for index in 1..<max(inputs.count, 1) {
            let next = try input(index)
            guard next.dtype == first.dtype, next.shape.rank == dims.count else {
                throw shape("\(first.dtype) \(first.shape) and \(next.dtype) \(next.shape) cannot be concatenated")
            }
            for other in dims.indices where other != axis {
                guard agree(dims[other], next.shape[other]) else {
                    throw shape("\(first.shape) and \(next.shape) differ on another axis than \(axis)")
                }
                if dims[other] < 0 { dims[other] = next.shape[other] }
            }
            dims[axis] = try sum([dims[axis], next.shape[axis]], unknownIf: dims[axis] < 0 || next.shape[axis] < 0)
        }
        return TensorType(first.dtype, Shape(dims))
    }

    private func slice(_ shape: Shape, _ ranges: [SliceRange]) throws(GraphError) -> Shape {
        guard ranges.count == shape.rank else { throw self.shape("\(ranges.count) ranges for \(shape)") }
        var dims: [Int] = []
        for (extent, range) in zip(shape.dims, ranges) {
            guard range.step >= 1, range.step <= Shape.maximumElements else {
                throw self.shape("a slice step of \(range.step)")
            }
            guard extent >= 0 else {
                dims.append(range.isAll ? extent : Shape.unknown)
                continue
            }
            let (start, end) = range.bounds(extent: extent)
            dims.append(end > start ? (end - start - 1) / range.step + 1 : 0)
        }
        return Shape(dims)
    }
}

extension SliceRange {
    /// Where the range starts and ends on an axis of `extent`, both within `0...extent`.
    package func bounds(extent: Int) -> (start: Int, end: Int) {
        func place(_ index: Int) -> Int { min(max(index < 0 ? index &+ extent : index, 0), extent) }
        return (place(start), end.map(place) ?? extent)
    }
}
