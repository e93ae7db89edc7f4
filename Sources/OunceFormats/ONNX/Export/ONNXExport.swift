import FoundationEssentials
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

    let graph: Graph
    let isSymmetric: Bool
    let consumers: [ValueID: [Int]]
    /// Values on a grid in the graph that are written as floats.
    let unquantized: Set<ValueID>
    /// Flattened values whose elements are in another order, which the weights that read them follow.
    var flattened: [ValueID: (shape: Shape, order: [Int])] = [:]
    private var proto = ONNXGraphProto()
    private var taken: Set<String> = []
    /// Axis `i` of the ONNX tensor is axis `orders[id][i]` of the value.
    private var orders: [ValueID: [Int]] = [:]
    private var tensors: [Key: String] = [:]
    private var aliases: [ValueID: Alias] = [:]
    private var grids: [ValueID: [String]] = [:]

    init(_ graph: Graph, isSymmetric: Bool) {
        self.graph = graph
        self.isSymmetric = isSymmetric
        consumers = graph.consumers()
        unquantized = isSymmetric ? SymmetricGrids.valuesReadAsFloats(graph) : []
        for id in graph.inputs + graph.outputs { taken.insert(graph[id].name) }
    }

    mutating func run() throws(FormatError) -> ONNXGraphProto {
        proto.name = graph.name.isEmpty ? "model" : graph.name
        for id in graph.inputs {
            proto.input.append(describe(id))
            let order = Array(graph[id].shape.dims.indices)
            orders[id] = order
            tensors[Key(id: id, form: .stored, order: order)] = graph[id].name
        }
        for node in graph.nodes { try translate(node) }
        try finishOutputs()
        return proto
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

    /// The name of an ONNX tensor with the value's numbers and its axes in `order`.
    mutating func tensor(_ value: ValueID, _ wanted: Form = .real, order: [Int]) throws(FormatError) -> String {
        var key = Key(id: value, form: wanted, order: order)
        if let alias = aliases[value] {
            key = Key(
                id: alias.source, form: alias.form == .real ? .real : wanted,
                order: order.map { alias.permutation[$0] })
        }
        let id = key.id
        if grid(id) == nil { key.form = .stored }
        if let known = tensors[key] { return known }
        let name = graph[id].name
        let own = orders[id] ?? Array(graph[id].shape.dims.indices)
        let made: String
        if let constant = graph[id].constant {
            guard let permuted = constant.permuted(key.order) else {
                throw FormatError(.invalidArgument, "\(name): \(key.order) is no order of its axes")
            }
            if key.form == .real {
                made = try dequantize(constant: id, as: permuted, order: key.order)
            } else {
                made = initializer(permuted, name: name)
            }
        } else if key.form == .real, key.order == own {
            made = try dequantize(try tensor(id, .stored, order: own), id, order: own)
        } else {
            guard tensors[Key(id: id, form: .stored, order: own)] != nil else {
                throw FormatError(.invalidArgument, "\(name) is used before it is made")
            }
            let place = own.inverted
            let moved = emit(
                "Transpose", [try tensor(id, key.form, order: own)], name: "\(name)_Transpose",
                output: "\(name)_transposed", ["perm": .integers(key.order.map { place[$0] })])
            if key.form == .real {
                // Readers find a DequantizeLinear right before them.
                made = try dequantize(try quantize(moved, id, order: key.order), id, order: key.order)
            } else {
                made = moved
            }
        }
        tensors[key] = made
        return made
    }

    /// Says that the float tensor `name` holds the value that `id` stands for; quantises it where that has a grid.
    mutating func define(_ id: ValueID, as name: String, order: [Int]) throws(FormatError) {
        orders[id] = order
        let stored = grid(id) == nil ? name : try quantize(name, id, order: order)
        tensors[Key(id: id, form: .stored, order: order)] = stored
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
    mutating func unique(_ name: String) -> String {
        let base = name.isEmpty ? "tensor" : name
        var candidate = base
        var count = 1
        while !taken.insert(candidate).inserted {
            candidate = "\(base)_\(count)"
            count += 1
        }
        return candidate
    }

    /// Adds a node and returns the name of its output.
    mutating func emit(
        _ type: String, _ inputs: [String], name: String, output: String, _ attributes: [String: ONNXAttribute] = [:]
    ) -> String {
        var node = ONNXNodeProto()
        node.opType = type
        node.name = name
        node.input = inputs
        node.output = [unique(output)]
        node.attribute = attributes.sorted { $0.key < $1.key }.map { $1.proto(name: $0) }
        proto.node.append(node)
        return node.output[0]
    }

    mutating func initializer(_ tensor: Tensor, name: String) -> String {
        var initializer = ONNXTensorProto()
        initializer.name = unique(name)
        initializer.dims = tensor.shape.dims.map { Int64($0) }
        initializer.dataType = tensor.dtype.onnxCode
        initializer.rawData = Data(tensor.bytes)
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
            if extent >= 0 {
                dim.dimValue = Int64(extent)
            } else {
                dim.dimParam = axis == 0 ? "batch" : "\(graph[id].name)_\(axis)"
            }
            return dim
        }
        return info
    }

    /// Gives the outputs their names: by renaming what makes them, or by an Identity where that has a name to keep.
    private mutating func finishOutputs() throws(FormatError) {
        var names: [String: String] = [:]
        let made = Set(proto.node.flatMap(\.output))
        for id in graph.outputs {
            let name = graph[id].name
            let current = try tensor(id, .stored, order: Array(graph[id].shape.dims.indices))
            let isFree = made.contains(current) || proto.node.last?.output.first == current
            if isFree, names[current] == nil {
                names[current] = name
            } else {
                var node = ONNXNodeProto()
                node.opType = "Identity"
                node.name = "\(name)_Identity"
                node.input = [current]
                node.output = [name]
                proto.node.append(node)
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
}
