import OunceGraph

/// The ONNX form of one graph while it is made.
///
/// A value of the graph is written with its axes in whatever order is at hand (`orders`) and transposed when something
/// reads it in another one, so transposes of the graph are only notes in `aliases`. Quantised values have two forms: the
/// stored integers and the reals that a DequantizeLinear makes of them.
struct ONNXExport {
    enum Form: Hashable { case stored, real }

    private struct Key: Hashable {
        var id: ValueID
        var form: Form
        var order: [Int]
    }

    /// Axis `i` of the value is axis `permutation[i]` of `source`.
    private struct Alias {
        var source: ValueID
        var permutation: [Int]
        var form: Form
    }

    private struct Names {
        var taken: Set<String> = []
        /// How many were made from each name.
        var counts: [String: Int] = [:]
    }

    let graph: Graph
    let isSymmetric: Bool
    let opset: Int64
    let consumers: ValueMap<[Int]>
    /// The node that makes each value.
    let producers: ValueMap<Int>
    /// Values on a grid in the graph that are written as floats.
    let unquantized: Set<ValueID>
    /// Flattened values whose elements are in another order, which the weights that read them follow.
    var flattened: [ValueID: (shape: Shape, order: [Int])] = [:]
    private var proto = ONNXGraphProto()
    private var taken = Names()
    private var nodeNames = Names()
    /// Axis `i` of the ONNX tensor is axis `orders[id][i]` of the value.
    private var orders: [ValueID: [Int]] = [:]
    private var tensors: [Key: String] = [:]
    private var aliases: [ValueID: Alias] = [:]
    private var grids: [ValueID: [String]] = [:]
    /// Quantised values before their QuantizeLinear; exact where that changes no number.
    private var floats: [ValueID: (name: String, isExact: Bool)] = [:]
    /// What recurrent layers give, before it is joined to the one value of the graph.
    var recurrents: [ValueID: RecurrentParts] = [:]
    /// Tensors of ONNX nodes that stand for several of the graph, by what they read.
    var severalOutputs: [String: [String]] = [:]
    /// Values that have their largest extent along an axis in the graph, and in ONNX the one of the run.
    var shortened: [ValueID: RunTimeExtent] = [:]

    init(_ graph: Graph, isSymmetric: Bool, opset: Int64) {
        self.opset = opset
        self.graph = graph
        self.isSymmetric = isSymmetric
        consumers = graph.consumers()
        producers = graph.producers()
        unquantized = isSymmetric ? SymmetricGrids.valuesReadAsFloats(graph) : []
        for id in graph.inputs + graph.outputs { taken.taken.insert(graph[id].name) }
    }

    mutating func run() throws(FormatError) -> ONNXGraphProto {
        proto.name = graph.name.isEmpty ? "model" : graph.name
        for id in graph.inputs {
            proto.input.append(describe(id))
            let order = Array(graph[id].shape.dims.indices)
            orders[id] = order
            tensors[Key(id: id, form: .stored, order: order)] = graph[id].name
        }
        try translateAll()
        try finishOutputs()
        dropUnread()
        return proto
    }

    /// Every node, or one error that names all nodes that ONNX cannot express.
    private mutating func translateAll() throws(FormatError) {
        var refused: [String] = []
        for node in graph.nodes {
            noteExtent(node)
            do throws(FormatError) {
                try translate(node)
            } catch {
                guard error.code == .unsupported, refused.count < 1000, let output = node.outputs.first else {
                    throw error
                }
                refused.append(error.message)
                let rank = rank(output)
                tensors[Key(id: output, form: .stored, order: Array(0..<rank))] = "refused"
                tensors[Key(id: output, form: .real, order: Array(0..<rank))] = "refused"
            }
        }
        guard !refused.isEmpty else { return }
        throw FormatError(.unsupported, "ONNX has no form for:\n" + refused.joined(separator: "\n"))
    }

    // MARK: Values

    /// The grid of a value that is written as integers.
    func grid(_ id: ValueID) -> AffineQuantization? {
        unquantized.contains(id) ? nil : graph[id].encoding.affine
    }

    func rank(_ id: ValueID) -> Int { graph[id].shape.rank }

    /// The order of axes in which the value is at hand.
    func order(_ id: ValueID) -> [Int] {
        let identity = Array(graph[id].shape.dims.indices)
        guard let alias = aliases[id] else { return orders[id] ?? identity }
        let inverse = alias.permutation.inverted
        return (orders[alias.source] ?? identity).map { inverse[$0] }
    }

    /// From now on `id` stands for `source` with its axes permuted.
    mutating func alias(_ id: ValueID, of source: ValueID, _ permutation: [Int], form: Form = .stored) {
        guard let before = aliases[source] else {
            aliases[id] = Alias(source: source, permutation: permutation, form: form)
            return
        }
        aliases[id] = Alias(
            source: before.source, permutation: permutation.map { before.permutation[$0] },
            form: form == .real ? .real : before.form)
    }

    /// What a form of a value comes down to once aliases are followed.
    private func key(_ value: ValueID, _ form: Form, _ order: [Int]) -> Key {
        var key = Key(id: value, form: form, order: order)
        if let alias = aliases[value] {
            key.id = alias.source
            key.order = order.map { alias.permutation[$0] }
            if alias.form == .real { key.form = .real }
        }
        if grid(key.id) == nil { key.form = .stored }
        return key
    }

    /// The name of an ONNX tensor with the value's numbers and its axes in `order`.
    mutating func tensor(_ value: ValueID, _ form: Form = .real, order: [Int]) throws(FormatError) -> String {
        let key = key(value, form, order)
        if let known = tensors[key] { return known }
        let made = try make(key)
        tensors[key] = made
        return made
    }

    /// As `tensor`, for operators that only move numbers: between two of them nothing is quantised again.
    mutating func movableTensor(_ value: ValueID, order: [Int]) throws(FormatError) -> String {
        let key = key(value, .real, order)
        if key.form == .real, let float = floats[key.id], float.isExact, orders[key.id] == key.order {
            return float.name
        }
        return try tensor(value, order: order)
    }

    private mutating func make(_ key: Key) throws(FormatError) -> String {
        let id = key.id
        let name = graph[id].name
        let own = orders[id] ?? Array(graph[id].shape.dims.indices)
        if let constant = graph[id].constant {
            guard let permuted = constant.transposed(key.order) else {
                throw FormatError(.invalidArgument, "\(name): \(key.order) is no order of its axes")
            }
            let stored = initializer(permuted, name: name)
            return key.form == .real ? try dequantize(stored, id, order: key.order) : stored
        }
        if let parts = recurrents[id], key.order == own { return joined(parts, name: name) }
        if key.order == own {
            if key.form == .real { return try dequantize(try tensor(id, .stored, order: own), id, order: own) }
            guard let float = floats[id] else {
                throw FormatError(.invalidArgument, "\(name) is used before it is made")
            }
            return try quantize(float.name, id, order: own)
        }
        let source = key.form == .real ? try movableTensor(id, order: own) : try tensor(id, .stored, order: own)
        let place = own.inverted
        let moved = emit(
            "Transpose", [source], name: "\(name)_Transpose", output: "\(name)_transposed",
            ["perm": .integers(key.order.map { place[$0] })])
        // Readers of reals find a DequantizeLinear right before them.
        return key.form == .real
            ? try dequantize(try quantize(moved, id, order: key.order), id, order: key.order) : moved
    }

    /// Says that the float tensor `name` holds the value that `id` stands for; what has a grid is quantised when that is
    /// asked for.
    ///
    /// - Parameter isExact: all numbers in it lie on the grid.
    mutating func define(_ id: ValueID, as name: String, isExact: Bool = false, order: [Int]) throws(FormatError) {
        orders[id] = order
        if grid(id) == nil {
            tensors[Key(id: id, form: .stored, order: order)] = name
        } else {
            floats[id] = (name, isExact)
        }
    }

    /// Names of scale and zero point of the value's grid.
    mutating func gridNames(_ id: ValueID, _ grid: AffineQuantization, _ zeroPoint: Tensor) -> [String] {
        if let known = grids[id] { return known }
        let scale = grid.isPerTensor ? Tensor([grid.scale]).reshaped([]) ?? Tensor([grid.scale]) : Tensor(grid.scales)
        let base = graph[id].name
        let names = [
            initializer(scale, name: "\(base)_scale"), initializer(zeroPoint, name: "\(base)_zero_point"),
        ]
        grids[id] = names
        return names
    }

    // MARK: Parts of the file

    /// `name`, or one made from it that nothing else has.
    mutating func unique(_ name: String) -> String { Self.unique(name.isEmpty ? "tensor" : name, &taken) }

    private static func unique(_ base: String, _ names: inout Names) -> String {
        var candidate = base
        while !names.taken.insert(candidate).inserted {
            let count = names.counts[base, default: 0] + 1
            names.counts[base] = count
            candidate = "\(base)_\(count)"
        }
        return candidate
    }

    /// Adds a node and returns the name of its output.
    mutating func emit(
        _ type: String, _ inputs: [String], name: String, output: String, _ attributes: [String: ONNXAttribute] = [:]
    ) -> String {
        emit(type, inputs, name: name, outputs: [output], attributes)[0]
    }

    /// Adds a node and returns the names of its outputs; an empty one is left out.
    mutating func emit(
        _ type: String, _ inputs: [String], name: String, outputs: [String], _ attributes: [String: ONNXAttribute]
    ) -> [String] {
        var node = ONNXNodeProto()
        node.opType = type
        node.name = Self.unique(name.isEmpty ? type : name, &nodeNames)
        node.input = inputs
        node.output = outputs.map { $0.isEmpty ? "" : unique($0) }
        node.attribute = attributes.sorted { $0.key < $1.key }.map { $1.proto(name: $0) }
        proto.node.append(node)
        return node.output
    }

    mutating func initializer(_ tensor: Tensor, name: String) -> String {
        var initializer = ONNXTensorProto()
        initializer.name = unique(name)
        initializer.dims = tensor.shape.dims.map { Int64($0) }
        initializer.dataType = tensor.dtype.onnxCode
        initializer.rawData = FileBytes(tensor.storage)
        proto.initializer.append(initializer)
        return initializer.name
    }

    mutating func integers(_ numbers: [Int], name: String) -> String {
        initializer(Tensor(numbers.map { Int64($0) }), name: name)
    }

    private func describe(_ id: ValueID) -> ONNXValueInfoProto {
        var info = ONNXValueInfoProto()
        info.name = graph[id].name
        info.type.tensorType.elemType = graph[id].dtype.onnxCode
        info.type.tensorType.shape.dim = graph[id].shape.dims.enumerated().map { axis, extent in
            var dim = ONNXTensorShapeProto.Dimension()
            if extent >= 0, shortened[id]?.axis != axis {
                dim.dimValue = Int64(extent)
            } else {
                dim.dimParam = axis == 0 && extent < 0 ? "batch" : "\(graph[id].name)_\(axis)"
            }
            return dim
        }
        return info
    }

    /// Gives the outputs their names: by renaming what makes them, or by an Identity where that has a name to keep.
    private mutating func finishOutputs() throws(FormatError) {
        var names: [String: String] = [:]
        for id in graph.outputs {
            let name = graph[id].name
            let current = try tensor(id, .stored, order: Array(graph[id].shape.dims.indices))
            if names[current] == nil, proto.node.contains(where: { $0.output.contains(current) }) {
                names[current] = name
            } else {
                names[emit("Identity", [current], name: "\(name)_Identity", output: name)] = name
            }
            proto.output.append(describe(id))
        }
        func renamed(_ list: [String]) -> [String] { list.map { names[$0] ?? $0 } }
        proto.node = proto.node.map { node in
            var node = node
            node.input = renamed(node.input)
            node.output = renamed(node.output)
            return node
        }
    }

    /// Leaves out what no output needs: the counts of what ONNX counts itself.
    private mutating func dropUnread() {
        var read = Set(proto.output.map(\.name))
        var kept: [ONNXNodeProto] = []
        for node in proto.node.reversed() where node.output.contains(where: { read.contains($0) }) {
            read.formUnion(node.input)
            kept.append(node)
        }
        proto.node = kept.reversed()
        proto.initializer.removeAll { !read.contains($0.name) }
    }
}
