extension Graph {
    /// The graph with its inputs' unknown extents given, and every other type inferred anew.
    ///
    /// - Parameter shapes: by input name; an input that is not named keeps its declared shape, an unknown extent of it
    ///   becomes 1.
    /// - Throws: `GraphError` where a shape does not fit the declaration or a node does not fit the shapes.
    package func bound(to shapes: [String: Shape]) throws(GraphError) -> Graph {
        var graph = self
        for id in inputs {
            let declared = self[id].shape
            let wanted = shapes[self[id].name] ?? Shape(declared.dims.map { $0 < 0 ? 1 : $0 })
            let fits =
                wanted.rank == declared.rank
                && zip(wanted.dims, declared.dims).allSatisfy { $1 < 0 ? $0 >= 0 : $0 == $1 }
            guard fits, let count = wanted.elementCount, count > 0 || wanted == declared else {
                throw GraphError(
                    .invalidShape, at: self[id].name, "the input has shape \(wanted), the model takes \(declared)")
            }
            graph[id].type.shape = wanted
        }
        try graph.inferTypes()
        try graph.validateStates()
        return graph
    }

    /// Infers every type anew from those of the inputs and constants.
    mutating func inferTypes() throws(GraphError) {
        for node in nodes {
            guard let output = node.outputs.first else { continue }
            self[output].type = try inferType(
                of: node.op, inputs: node.inputs.map { $0.map { self[$0] } }, node: node.name,
                encoding: self[output].encoding)
        }
    }

    /// Checks what every pass and every reader must leave intact.
    ///
    /// Every name used is defined before its use, constants hold what their type says, encodings fit their values, types are
    /// those that shape inference gives.
    package func validate() throws(GraphError) {
        var defined = ValueSet(over: self)
        guard inputs.allSatisfy({ defined.insert($0) }) else {
            throw GraphError(.invalidStructure, at: name, "the inputs of the model are not distinct values")
        }
        guard Set(inputs.map { self[$0].name }).count == inputs.count else {
            throw GraphError(.invalidStructure, at: name, "two inputs of the model have the same name")
        }
        for (index, value) in values.enumerated() {
            let id = ValueID(index)
            if let constant = value.constant {
                guard constant.dtype == value.dtype, constant.shape == value.shape else {
                    throw GraphError(.invalidType, at: value.name, "the constant is not of its declared type")
                }
                defined.insert(id)
            }
            try validateEncoding(of: value)
        }
        for node in nodes {
            for input in node.inputs.compactMap({ $0 }) {
                guard defined.contains(input) else {
                    throw GraphError(.invalidStructure, at: node.name, "an input is used before it is made")
                }
            }
            guard node.outputs.count == 1, let output = node.outputs.first, values.indices.contains(output.index) else {
                throw GraphError(.invalidStructure, at: node.name, "a node has exactly one output here")
            }
            guard defined.insert(output) else {
                throw GraphError(.invalidStructure, at: node.name, "the output is made twice")
            }
            let type = try inferType(
                of: node.op, inputs: node.inputs.map { $0.map { self[$0] } }, node: node.name,
                encoding: self[output].encoding)
            let agrees =
                type.dtype == self[output].dtype && type.shape.rank == self[output].shape.rank
                && zip(type.shape.dims, self[output].shape.dims).allSatisfy { $0 < 0 || $1 < 0 || $0 == $1 }
            guard agrees else {
                throw GraphError(
                    .invalidType, at: node.name,
                    "declared \(self[output].dtype) \(self[output].shape), computed \(type.dtype) \(type.shape)")
            }
        }
        let cuts = nodes.filter { if case .cut = $0.op { true } else { false } }.flatMap(\.outputs)
        let last = ValueSet(outputs, over: self)
        guard cuts.allSatisfy(last.contains),
            nodes.allSatisfy({ $0.inputs.allSatisfy { $0.map { !cuts.contains($0) } ?? true } })
        else { throw GraphError(.invalidStructure, at: name, "a value whose extent depends on the data is used") }
        for output in outputs where !defined.contains(output) {
            throw GraphError(.invalidStructure, at: name, "an output of the model is made by no node")
        }
        guard !outputs.isEmpty else { throw GraphError(.invalidStructure, at: name, "the model has no output") }
        try validateStates()
    }

    private func validateEncoding(of value: Value) throws(GraphError) {
        guard let affine = value.encoding.affine else { return }
        guard value.dtype.isInteger else {
            throw GraphError(.invalidType, at: value.name, "a \(value.dtype) value cannot be quantised")
        }
        let extent: Int
        if let axis = affine.axis {
            guard value.shape.dims.indices.contains(axis) else {
                throw GraphError(.invalidShape, at: value.name, "quantised along axis \(axis) of \(value.shape)")
            }
            extent = value.shape[axis]
            guard extent > 0 else {
                throw GraphError(.invalidShape, at: value.name, "quantised along axis \(axis) of \(value.shape)")
            }
        } else {
            extent = 1
        }
        guard affine.scales.count == affine.zeroPoints.count, affine.scales.count == extent else {
            throw GraphError(.invalidShape, at: value.name, "\(affine.scales.count) scales for \(extent) channels")
        }
        guard affine.scales.allSatisfy({ $0.isFinite && $0 > 0 }) else {
            throw GraphError(.invalidType, at: value.name, "a quantisation scale is not a positive number")
        }
        guard let range = value.dtype.zeroPointRange else { return }
        guard affine.zeroPoints.allSatisfy(range.contains) else {
            throw GraphError(.invalidType, at: value.name, "a zero point is no \(value.dtype) number")
        }
    }
}
