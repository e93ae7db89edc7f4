import OunceGraph

/// What the importers share: the graph that grows, what could not be imported, and a bound on derived constants.
struct GraphBuilder {
    static let maximumNodes = 100_000
    static let maximumTensors = 200_000

    var graph: Graph
    var unsupported = UnsupportedList()
    /// How many bytes of constants may still be made; a small file must not unfold into a huge graph.
    private var budget: Int
    /// How many nodes may be made; a small file must not unroll into a huge graph.
    private let nodeLimit: Int
    private var operatorCount = 0
    /// The values of which only the first slices along an axis count.
    var runTimeExtents: [ValueID: RunTimeExtent] = [:]

    init(name: String, fileBytes: Int) {
        graph = Graph(name: name)
        budget = 4 * fileBytes + 1 << 26
        nodeLimit = min(4 * Self.maximumNodes, 40_000 + fileBytes / 2)
    }

    /// Appends a node; its output's type follows from shape inference.
    mutating func emit(
        _ op: Op, _ inputs: [ValueID?], name: String, output: String? = nil, encoding: Encoding = .plain
    ) throws(ImportFailure) -> ValueID {
        guard graph.nodes.count < nodeLimit else {
            throw .fatal(FormatError(.limit, "the model unfolds into over \(nodeLimit) nodes"))
        }
        let id: ValueID
        do throws(GraphError) {
            id = try graph.append(op, inputs, name: name, output: output, encoding: encoding)
        } catch {
            throw .fatal(FormatError(error.code == .limit ? .limit : .corrupt, error.description))
        }
        guard !runTimeExtents.isEmpty else { return id }
        if case .cut = op { return id }
        do throws(GraphError) {
            runTimeExtents[id] = try graph.runTimeExtent(
                of: op, inputs, inputs.map { $0.flatMap { runTimeExtents[$0] } }, output: graph[id].shape, node: name)
        } catch { throw .unsupported(error.message) }
        return id
    }

    /// Accounts for an operator that is about to be translated, also where it is computed at once and becomes no node.
    mutating func countOperator() throws(ImportFailure) {
        operatorCount += 1
        guard operatorCount <= nodeLimit else {
            throw .fatal(FormatError(.limit, "the model's loops and calls unfold into over \(nodeLimit) operators"))
        }
    }

    mutating func constant(_ tensor: Tensor, name: String, encoding: Encoding = .plain) -> ValueID {
        graph.addConstant(tensor, name: name, encoding: encoding)
    }

    /// Accounts for `bytes` of constants that are about to be made.
    mutating func charge(_ bytes: Int) throws(ImportFailure) {
        budget -= bytes
        guard budget >= 0 else {
            throw .fatal(FormatError(.limit, "the constants that the model computes are too large"))
        }
    }

    /// `tensor` with its axes in another order.
    mutating func permute(_ tensor: Tensor, _ permutation: [Int]) throws(ImportFailure) -> Tensor {
        try charge(tensor.byteCount)
        guard let permuted = tensor.transposed(permutation) else {
            throw .corrupt("\(permutation) is no order of the axes of \(tensor.shape)")
        }
        return permuted
    }

    /// The real numbers that quantised ones stand for: `scale * (q - zeroPoint)`.
    mutating func dequantize(_ tensor: Tensor, _ affine: AffineQuantization) throws(ImportFailure) -> Tensor {
        try charge(4 * tensor.count)
        let axis = affine.axis ?? 0
        guard affine.axis == nil || tensor.shape.dims.indices.contains(axis) else {
            throw .corrupt("quantised along axis \(axis) of \(tensor.shape)")
        }
        let stride = affine.axis.map { tensor.shape.strides[$0] } ?? max(tensor.count, 1)
        let extent = affine.axis.map { tensor.shape[$0] } ?? 1
        guard affine.scales.count == extent, affine.zeroPoints.count == extent, !tensor.dtype.isFloat else {
            throw .corrupt("\(affine.scales.count) scales for axis \(axis) of \(tensor.dtype) \(tensor.shape)")
        }
        let row = tensor.shape.rank == 0 ? 1 : max(tensor.count / max(tensor.shape[0], 1), 1)
        func widened<T: FixedWidthInteger & TensorElement>(_: T.Type) -> Tensor? {
            tensor.mappedRows(as: .float32) { rows, source, target in
                let size = MemoryLayout<T>.size
                for index in 0..<source.count / size {
                    let place = rows.lowerBound * row + index
                    let channel = place / max(stride, 1) % max(extent, 1)
                    let value = Int(truncatingIfNeeded: source.loadUnaligned(fromByteOffset: index * size, as: T.self))
                    let real = affine.scales[channel] * Float(value &- Int(affine.zeroPoints[channel]))
                    target.storeBytes(of: real, toByteOffset: 4 * index, as: Float.self)
                }
            }
        }
        let reals: Tensor? =
            switch tensor.dtype {
            case .int8: widened(Int8.self)
            case .uint8, .bool: widened(UInt8.self)
            case .int16: widened(Int16.self)
            case .uint16: widened(UInt16.self)
            case .int32: widened(Int32.self)
            case .uint32: widened(UInt32.self)
            default: widened(Int64.self)
            }
        guard let reals else { throw .corrupt("a constant of \(tensor.shape)") }
        return reals
    }

    /// The finished graph.
    ///
    /// - Throws: the list of what is not supported, or what validation finds.
    func finish() throws(FormatError) -> Graph {
        try unsupported.check()
        do throws(GraphError) {
            try graph.validate()
        } catch { throw FormatError(.corrupt, error.description) }
        return graph
    }
}

extension Op {
    /// Whether one number of the result takes many steps: on import such operators are not computed, since a few bytes of a
    /// file could ask for hours.
    var takesManySteps: Bool {
        switch self {
        case .conv, .fullyConnected, .matMul, .recurrent, .integerLSTM, .pool, .poolIndices, .resample, .sampleAt,
            .roiAlign,
            .treeEnsemble, .nonMaxSuppression, .determinant:
            true
        default: false
        }
    }
}

extension AffineQuantization {
    /// The same grid for values stored 128 lower: uint8 as int8.
    var shiftedToSigned: AffineQuantization {
        AffineQuantization(scales: scales, zeroPoints: zeroPoints.map { $0 &- 128 }, axis: axis)
    }

    /// The same grid after the axes changed places.
    func permuted(_ permutation: [Int]) -> AffineQuantization {
        AffineQuantization(
            scales: scales, zeroPoints: zeroPoints, axis: axis.flatMap { permutation.firstIndex(of: $0) })
    }
}

extension Tensor {
    /// uint8 numbers stored 128 lower, as int8.
    var shiftedToSigned: Tensor? {
        guard dtype == .uint8 else { return nil }
        return mappedRows(as: .int8) { _, source, target in
            for index in source.indices { target[index] = source[index] ^ 0x80 }
        }
    }
}
