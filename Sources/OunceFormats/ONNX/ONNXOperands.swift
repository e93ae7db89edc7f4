import OunceGraph

/// What translators of operators ask for: operands, constants, nodes to add.
extension ONNXTranslation {
    func binding(_ node: ONNXNode, _ index: Int) throws(ImportFailure) -> ONNXBinding {
        guard let name = node.input(index), let binding = bindings[name] else {
            throw .corrupt("input \(index) is missing")
        }
        if case .value(let id) = binding, let constant = builder.graph[id].constant {
            return .constant(constant, builder.graph[id].encoding)
        }
        return binding
    }

    /// Says that an output other than the first stands for `binding`, where it is wanted.
    mutating func bind(_ node: ONNXNode, output index: Int, _ binding: ONNXBinding) {
        guard wants(node, output: index) else { return }
        bindings[node.proto.output[index]] = binding
    }

    func wants(_ node: ONNXNode, output index: Int) -> Bool {
        index < node.proto.output.count && !node.proto.output[index].isEmpty
    }

    /// Says that only the first `count` slices of `x` along `axis` count.
    mutating func keepFirst(of x: ValueID, axis: Int, count: ValueID) {
        builder.runTimeExtents[x] = RunTimeExtent(axis: axis, count: count)
    }

    /// Remembers the inputs of the model that `id` is computed from: with their values it would be known.
    mutating func need(_ id: ValueID) {
        searches += 1
        guard searches <= 256 else { return }
        let producers = builder.graph.producers()
        var (open, seen): ([ValueID], Set<ValueID>) = ([id], [id])
        while let next = open.popLast() {
            guard let producer = producers[next] else {
                if builder.graph.inputs.contains(next) { neededInputs.insert(builder.graph[next].name) }
                continue
            }
            for input in builder.graph.nodes[producer].inputs.compactMap({ $0 }) where seen.insert(input).inserted {
                open.append(input)
            }
        }
    }

    /// The value that the name stands for; a constant becomes one of the graph's, quantised ones as the reals they mean.
    mutating func value(_ name: String) throws(ImportFailure) -> ValueID {
        if let id = materialized[name] { return id }
        switch bindings[name] {
        case .value(let id): return id
        case .constant(var tensor, let encoding):
            if let affine = encoding.affine { tensor = try builder.dequantize(tensor, affine) }
            let id = builder.constant(tensor, name: name)
            materialized[name] = id
            return id
        case .extents(let list):
            if let known = knownExtents(list) { return builder.constant(Tensor(known), name: name) }
            throw .unsupported("it computes with extents that are not known; export with fixed shapes")
        case .sequence: throw .unsupported("'\(name)' is a sequence; models give and take tensors")
        case .missing, nil: throw .corrupt("'\(name)' is made by no node")
        }
    }

    mutating func value(_ node: ONNXNode, _ index: Int) throws(ImportFailure) -> ValueID {
        guard let name = node.input(index) else { throw .corrupt("input \(index) is missing") }
        return try value(name)
    }

    mutating func optionalValue(_ node: ONNXNode, _ index: Int) throws(ImportFailure) -> ValueID? {
        node.input(index) == nil ? nil : try value(node, index)
    }

    /// The numbers of a constant input as the reals they mean; nil where the input is not given or no constant.
    mutating func constant(_ node: ONNXNode, _ index: Int) throws(ImportFailure) -> Tensor? {
        guard node.input(index) != nil, case .constant(let tensor, let encoding) = try binding(node, index) else {
            return nil
        }
        guard let affine = encoding.affine else { return tensor }
        return try builder.dequantize(tensor, affine)
    }

    /// The integers of a constant input; nil where the input is not given.
    mutating func integers(_ node: ONNXNode, _ index: Int) throws(ImportFailure) -> [Int]? {
        guard node.input(index) != nil else { return nil }
        let binding = try binding(node, index)
        guard case .constant(let tensor, _) = binding, tensor.count <= 1 << 16 else {
            if case .value(let id) = binding { need(id) }
            throw .unsupported("its input \(index) is not known on import; export with constant shapes")
        }
        guard let integers = tensor.integers() else { throw .corrupt("input \(index) is not of integers") }
        return integers
    }

    /// Axes within `0..<rank`, each once.
    func axes(_ axes: [Int], rank: Int) throws(ImportFailure) -> [Int] {
        let normalized = axes.map { $0 < 0 ? $0 &+ rank : $0 }
        guard normalized.allSatisfy({ (0..<rank).contains($0) }), Set(normalized).count == axes.count else {
            throw .corrupt("the axes \(axes.prefix(8)) do not fit a tensor of rank \(rank)")
        }
        return normalized
    }

    func type(_ id: ValueID) -> TensorType { builder.graph[id].type }
    func shape(_ id: ValueID) -> Shape { builder.graph[id].shape }

    /// Appends a node. Operators that only move numbers keep the grid of quantised ones; others do not take them, since
    /// to ONNX those are plain integers.
    mutating func emit(
        _ op: Op, _ inputs: [ValueID?], _ node: ONNXNode, part: String? = nil
    ) throws(ImportFailure) -> ValueID {
        let encoding = try encoding(of: op, inputs)
        let name = part.map { "\(node.name).\($0)" } ?? node.name
        if let folded = try folded(op, inputs, name: name) { return folded }
        return try builder.emit(op, inputs, name: name, output: part == nil ? node.output : name, encoding: encoding)
    }

    /// The grid of what `op` makes of these inputs.
    func encoding(of op: Op, _ inputs: [ValueID?]) throws(ImportFailure) -> Encoding {
        let encodings = inputs.compactMap { $0.map { builder.graph[$0].encoding } }
        guard let first = encodings.first, encodings.contains(where: { $0.affine != nil }) else { return .plain }
        switch op {
        // Real numbers by quantised weights.
        case .conv where first == .plain, .fullyConnected where first == .plain: return .plain
        default: break
        }
        var agree = encodings.allSatisfy { $0 == first }
        if case .gather = op { agree = encodings.dropFirst().allSatisfy { $0 == .plain } }
        guard op.movesNumbers, agree else {
            throw .unsupported("it computes with quantised integers; put a DequantizeLinear in front of it")
        }
        return try moved(first, by: op)
    }

    private func moved(_ encoding: Encoding, by op: Op) throws(ImportFailure) -> Encoding {
        guard let affine = encoding.affine, affine.axis != nil else { return encoding }
        guard case .transpose(let permutation) = op else {
            throw .unsupported("it moves integers that are quantised for each channel")
        }
        return .affine(affine.permuted(permutation))
    }
}

extension Op {
    /// Whether every number of the output is one of an input's.
    fileprivate var movesNumbers: Bool {
        switch self {
        case .reshape, .transpose, .slice, .concat: true
        case .pool(let pool): pool.kind == .max
        case .gather, .expand, .reverse: true
        default: false
        }
    }
}
