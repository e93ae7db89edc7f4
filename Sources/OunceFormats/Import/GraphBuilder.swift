import OunceGraph

/// What the importers share: the graph that grows, what could not be imported, and a bound on derived constants.
struct GraphBuilder {
    static let maximumNodes = 100_000
    static let maximumTensors = 200_000

    var graph: Graph
    var unsupported = UnsupportedList()
    /// How many bytes of constants may still be made; a small file must not unfold into a huge graph.
    private var budget: Int
    /// The values of which only the first slices along an axis count.
    var runTimeExtents: [ValueID: RunTimeExtent] = [:]

    init(name: String, fileBytes: Int) {
        graph = Graph(name: name)
        budget = 4 * fileBytes + 1 << 28
    }

    /// Appends a node; its output's type follows from shape inference.
    mutating func emit(
        _ op: Op, _ inputs: [ValueID?], name: String, output: String? = nil, encoding: Encoding = .plain
    ) throws(ImportFailure) -> ValueID {
        guard graph.nodes.count < 4 * Self.maximumNodes else {
            throw .fatal(FormatError(.limit, "the model has over \(Self.maximumNodes) nodes"))
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
        guard let permuted = tensor.permuted(permutation) else {
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
        guard affine.scales.count == extent, affine.zeroPoints.count == extent, let values = tensor.integers() else {
            throw .corrupt("\(affine.scales.count) scales for axis \(axis) of \(tensor.dtype) \(tensor.shape)")
        }
        let reals = values.enumerated().map { index, value in
            let channel = index / max(stride, 1) % max(extent, 1)
            return affine.scales[channel] * Float(value &- Int(affine.zeroPoints[channel]))
        }
        guard let result = Tensor(reals, shape: tensor.shape) else { throw .corrupt("a constant of \(tensor.shape)") }
        return result
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
        let storage = TensorStorage(byteCount: byteCount) { output in
            for index in bytes.indices { output[index] = bytes[index] ^ 0x80 }
        }
        return dtype == .uint8 ? Tensor(dtype: .int8, shape: shape, storage: storage) : nil
    }
}
