/// A local rule that a pass applies to one node after the other.
protocol Rule {
    init()

    /// What shall stand in the place of `node` (whose inputs are already resolved); nil leaves it.
    mutating func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite?
}

enum Rewrite {
    /// The last of these makes the output of the node that they replace.
    case nodes([Node])
    /// A value that is already there.
    case value(ValueID)

    static func node(_ op: Op, _ inputs: [ValueID?], for old: Node) -> Rewrite {
        .nodes([Node(name: old.name, op: op, inputs: inputs, outputs: old.outputs)])
    }
}

/// One walk over the nodes in order, in which each rule sees what the rules before it have done to earlier nodes. So
/// one walk carries a change through a chain of any length, and costs time linear in the graph.
struct Sweep {
    let graph: Graph
    private(set) var patch: GraphPatch
    /// Bytes of constants that rules may still make in this walk.
    private(set) var budget: Int
    /// For each value, the node that makes it and the number of reads of it (an output of the graph counts as one).
    private var producers: [Node?]
    private var reads: [Int]
    private let graphInputs: Set<ValueID>
    private var graphOutputs: Set<ValueID>

    /// The patch that `rule` wants for `graph`.
    static func patch(for graph: Graph, _ type: any Rule.Type) throws(GraphError) -> GraphPatch {
        var sweep = Sweep(graph)
        var rule = type.init()
        for (index, node) in graph.nodes.enumerated() { try sweep.visit(node, at: index, &rule) }
        return sweep.patch
    }

    private init(_ graph: Graph) {
        self.graph = graph
        patch = GraphPatch(for: graph)
        budget = graph.constantBytes + 64 << 20
        producers = Array(repeating: nil, count: graph.values.count)
        reads = Array(repeating: 0, count: graph.values.count)
        graphInputs = Set(graph.inputs)
        graphOutputs = Set(graph.outputs)
        for node in graph.nodes {
            for output in node.outputs { producers[output.index] = node }
            for input in node.inputs.compactMap({ $0 }) { reads[input.index] += 1 }
        }
        for output in graph.outputs { reads[output.index] += 1 }
    }

    private mutating func visit(_ original: Node, at index: Int, _ rule: inout any Rule) throws(GraphError) {
        guard let output = original.outputs.first, reads[output.index] > 0 else { return }
        var node = original
        node.inputs = node.inputs.map { $0.map(patch.resolve) }
        producers[output.index] = node
        switch try rule.rewrite(node, in: &self) {
        case nil: return
        case .nodes(let nodes):
            patch.replacements[index] = nodes
            for new in nodes {
                for input in new.inputs.compactMap({ $0 }) { reads[input.index] += 1 }
                for made in new.outputs { producers[made.index] = new }
            }
        case .value(let value):
            guard mayReplace(output, by: value) else { return }
            if graphOutputs.contains(output) { graphOutputs.insert(value) }
            patch.replacements[index] = []
            patch.substitutions[output] = value
            reads[value.index] += reads[output.index]
        }
        release(node)
    }

    /// Whether `value` can take the place of `old`: it stands for the same numbers, and outputs keep their names.
    private func mayReplace(_ old: ValueID, by value: ValueID) -> Bool {
        let (a, b) = (self[old], self[value])
        guard a.dtype == b.dtype, a.encoding == b.encoding, a.shape.rank == b.shape.rank else { return false }
        guard graphOutputs.contains(old) else { return true }
        return a.shape == b.shape && !graphInputs.contains(value) && !graphOutputs.contains(value)
            && b.constant == nil
    }

    /// Takes back the reads of a node that is gone, and of those that nothing reads any more because of that.
    private mutating func release(_ node: Node) {
        var gone = [node]
        while let node = gone.popLast() {
            for input in node.inputs.compactMap({ $0 }) {
                reads[input.index] -= 1
                if reads[input.index] == 0, let producer = producers[input.index] { gone.append(producer) }
            }
        }
    }
}

// What rules see and make.
extension Sweep {
    subscript(id: ValueID) -> Value { patch.value(id, in: graph) }

    func input(_ node: Node, _ index: Int) -> Value? {
        guard index < node.inputs.count, let id = node.inputs[index] else { return nil }
        return self[id]
    }

    func output(_ node: Node) -> Value? { node.outputs.first.map { self[$0] } }

    /// The node that makes an input of `node`, as it is by now; nil for inputs of the graph and constants.
    func producer(_ node: Node, _ index: Int) -> Node? {
        guard index < node.inputs.count, let id = node.inputs[index] else { return nil }
        return producers[id.index]
    }

    func producer(of id: ValueID) -> Node? { producers[id.index] }

    /// As `producer`, but nil where something else reads the value too.
    func soleProducer(_ node: Node, _ index: Int) -> Node? {
        guard index < node.inputs.count, let id = node.inputs[index], reads[id.index] == 1 else { return nil }
        return producers[id.index]
    }

    /// How many nodes and outputs of the graph read the value.
    func readers(of id: ValueID) -> Int { reads[id.index] }

    func constant(_ node: Node, _ index: Int) -> Tensor? { input(node, index)?.constant }

    /// The numbers of a float32 constant.
    func floats(_ node: Node, _ index: Int) -> [Float]? { constant(node, index)?.elements(Float.self) }

    mutating func addConstant(_ tensor: Tensor, name: String, encoding: Encoding = .plain) -> ValueID {
        budget -= tensor.byteCount
        let type = TensorType(tensor.dtype, tensor.shape)
        return add(Value(name: name, type: type, encoding: encoding, constant: tensor))
    }

    /// A node with a new output value of the inferred type.
    mutating func makeNode(
        _ op: Op, _ inputs: [ValueID?], name: String, encoding: Encoding = .plain
    ) throws(GraphError) -> (node: Node, output: ValueID) {
        let type = try graph.inferType(
            of: op, inputs: inputs.map { $0.map { self[$0] } }, node: name, encoding: encoding)
        let id = add(Value(name: name, type: type, encoding: encoding))
        return (Node(name: name, op: op, inputs: inputs, outputs: [id]), id)
    }

    private mutating func add(_ value: Value) -> ValueID {
        producers.append(nil)
        reads.append(0)
        return patch.add(value)
    }
}
