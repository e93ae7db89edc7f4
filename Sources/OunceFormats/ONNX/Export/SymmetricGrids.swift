import OunceGraph

/// Brings a quantised graph to what TensorRT's explicit quantisation takes: int8 with zero point 0 everywhere.
///
/// Source: NVIDIA TensorRT developer guide, "Working with quantized types".
enum SymmetricGrids {
    /// The graph with every grid symmetric and biases in float. Integer inputs and outputs keep the grids that the
    /// model's users know; a change of grid stands behind or before them.
    static func applied(to original: Graph) throws(FormatError) -> Graph {
        let graph = withImpliedRelu(original)
        var result = graph
        for index in graph.nodes.indices { floatBias(&result, node: index, of: graph) }
        for index in graph.values.indices {
            let id = ValueID(index)
            guard let affine = graph[id].encoding.affine, [.int8, .uint8].contains(graph[id].dtype),
                affine.zeroPoints.contains(where: { $0 != 0 })
            else { continue }
            if let constant = graph[id].constant {
                let symmetric = try constantOnSymmetricGrid(constant, affine, name: graph[id].name)
                result[id].constant = symmetric.tensor
                result[id].type = TensorType(.int8, constant.shape)
                result[id].encoding = .affine(symmetric.grid)
            } else if !graph.inputs.contains(id) {
                result[id].type = TensorType(.int8, graph[id].shape)
                result[id].encoding = .affine(grid(covering: affine, graph[id].dtype))
            }
        }
        regridInputs(&result)
        regridOutputs(&result, as: graph)
        return result
    }

    /// The symmetric grid that holds every number of `affine`.
    static func grid(covering affine: AffineQuantization, _ dtype: DType) -> AffineQuantization {
        let (lowest, highest): (Int64, Int64) = dtype == .uint8 ? (0, 255) : (-128, 127)
        let scales = zip(affine.scales, affine.zeroPoints).map { scale, zero -> Float in
            let reach = max(abs(lowest - Int64(zero)), abs(highest - Int64(zero)))
            return Float(Double(scale) * Double(reach) / 127)
        }
        return AffineQuantization(scales: scales, zeroPoints: scales.map { _ in 0 }, axis: affine.axis)
    }

    private static func constantOnSymmetricGrid(
        _ tensor: Tensor, _ affine: AffineQuantization, name: String
    ) throws(FormatError) -> (tensor: Tensor, grid: AffineQuantization) {
        let target = grid(covering: affine, tensor.dtype)
        let stride = affine.axis.map { max(tensor.shape.strides[$0], 1) } ?? max(tensor.count, 1)
        let numbers = tensor.doubles().enumerated().map { index, q -> Int8 in
            let channel = index / stride % affine.scales.count
            let real = (q - Double(affine.zeroPoints[channel])) * Double(affine.scales[channel])
            let units = (real / Double(target.scales[channel])).rounded(.toNearestOrEven)
            return Int8(max(-127, min(127, units)))
        }
        guard let result = Tensor(numbers, shape: tensor.shape) else {
            throw FormatError(.invalidArgument, "\(name) is not of \(tensor.shape)")
        }
        return (result, target)
    }

    /// int32 biases in units of the layer's old scales become floats.
    private static func floatBias(_ result: inout Graph, node index: Int, of graph: Graph) {
        let node = graph.nodes[index]
        switch node.op {
        case .conv, .fullyConnected: break
        default: return
        }
        guard node.inputs.count > 2, let bias = node.inputs[2], graph[bias].dtype == .int32,
            let constant = graph[bias].constant,
            let input = node.inputs[0].flatMap({ graph[$0].encoding.affine }),
            let weights = node.inputs[1].flatMap({ graph[$0].encoding.affine }),
            weights.isPerTensor || weights.scales.count == constant.count
        else { return }
        let reals = constant.doubles().enumerated().map { channel, q in
            Float(q * Double(input.scale) * Double(weights.scales[weights.isPerTensor ? 0 : channel]))
        }
        result.nodes[index].inputs[2] = result.addConstant(Tensor(reals), name: graph[bias].name)
    }

    private static func regridInputs(_ graph: inout Graph) {
        var changed: [ValueID: ValueID] = [:]
        var first: [Node] = []
        for id in graph.inputs {
            let value = graph[id]
            guard let affine = value.encoding.affine, affine.zeroPoints.contains(where: { $0 != 0 }) else { continue }
            let symmetric = graph.add(
                Value(
                    name: "\(value.name)_symmetric", type: TensorType(.int8, value.shape),
                    encoding: .affine(grid(covering: affine, value.dtype))))
            changed[id] = symmetric
            first.append(Node(name: "\(value.name)_symmetric", op: .quantize, inputs: [id], outputs: [symmetric]))
        }
        guard !changed.isEmpty else { return }
        graph.nodes =
            first
            + graph.nodes.map { node in
                var node = node
                node.inputs = node.inputs.map { id in id.map { changed[$0] ?? $0 } }
                return node
            }
    }

    private static func regridOutputs(_ graph: inout Graph, as original: Graph) {
        for (place, id) in graph.outputs.enumerated() where graph[id].encoding != original[id].encoding {
            let output = graph.add(
                Value(name: original[id].name, type: original[id].type, encoding: original[id].encoding))
            graph.nodes.append(
                Node(name: "\(original[id].name)_grid", op: .quantize, inputs: [id], outputs: [output]))
            graph.outputs[place] = output
        }
    }

    /// Quantised values that no int8 operator reads, also not through operators that only move numbers.
    static func valuesReadAsFloats(_ graph: Graph) -> Set<ValueID> {
        var wanted = Set(graph.outputs)
        for node in graph.nodes.reversed() {
            guard let output = node.outputs.first else { continue }
            let reads: Bool
            switch node.op {
            case .conv, .fullyConnected, .matMul, .binary, .reduce: reads = graph[output].encoding.affine != nil
            case .pool(let pool): reads = pool.kind == .average || wanted.contains(output)
            case .reshape, .transpose, .slice, .concat, .pad: reads = wanted.contains(output)
            case .cast: reads = true
            default: reads = false
            }
            if reads { wanted.formUnion(node.inputs.compactMap { $0 }) }
        }
        return Set(
            graph.nodes.flatMap(\.outputs).filter { graph[$0].encoding.affine != nil && !wanted.contains($0) })
    }
}
