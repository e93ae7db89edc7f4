/// Names a value of one graph.
package struct ValueID: Sendable, Hashable, Comparable {
    package let index: Int
    package init(_ index: Int) { self.index = index }
    package static func < (a: ValueID, b: ValueID) -> Bool { a.index < b.index }
}

/// Element type and extents: what shape inference works on.
package struct TensorType: Sendable, Hashable {
    package var dtype: DType
    package var shape: Shape
    package init(_ dtype: DType, _ shape: Shape) {
        self.dtype = dtype
        self.shape = shape
    }
}

/// An edge of the graph: an input, a constant, or what a node produces.
package struct Value: Sendable {
    /// The name in the user's framework where it has one; for messages and for inputs and outputs of the model.
    package var name: String
    package var type: TensorType
    package var encoding: Encoding
    /// The content of a constant.
    package var constant: Tensor?
    /// What the user's framework calls the axes of an input or output whose extents vary; "" where it says nothing.
    package var axisNames: [String] = []

    package init(name: String, type: TensorType, encoding: Encoding = .plain, constant: Tensor? = nil) {
        self.name = name
        self.type = type
        self.encoding = encoding
        self.constant = constant
    }

    package var dtype: DType { type.dtype }
    package var shape: Shape { type.shape }

    /// The extents; those that vary by the names of their axes.
    package var shapeText: String {
        guard axisNames.count == shape.rank else { return "\(shape)" }
        let extents = zip(shape.dims, axisNames).map { $0 < 0 ? ($1.isEmpty ? "?" : $1) : String($0) }
        return "[" + extents.joined(separator: ",") + "]"
    }
}

package struct Node: Sendable {
    /// The name in the user's framework, or one made from the output's.
    package var name: String
    package var op: Op
    /// nil: an optional input that is not given.
    package var inputs: [ValueID?]
    package var outputs: [ValueID]

    package init(name: String, op: Op, inputs: [ValueID?], outputs: [ValueID]) {
        self.name = name
        self.op = op
        self.inputs = inputs
        self.outputs = outputs
    }
}

/// A neural network: values and the nodes between them, nodes in an order in which they can run.
package struct Graph: Sendable {
    package var name: String
    package var values: [Value] = []
    package var nodes: [Node] = []
    package var inputs: [ValueID] = []
    package var outputs: [ValueID] = []
    /// What the model keeps between runs, as it is before the first one; see `states`.
    package var initialStates: [Tensor] = []

    package init(name: String) { self.name = name }

    package subscript(id: ValueID) -> Value {
        get { values[id.index] }
        set { values[id.index] = newValue }
    }

    /// Adds a value and returns its name in this graph.
    @discardableResult
    package mutating func add(_ value: Value) -> ValueID {
        values.append(value)
        return ValueID(values.count - 1)
    }

    /// Adds a constant.
    package mutating func addConstant(_ tensor: Tensor, name: String, encoding: Encoding = .plain) -> ValueID {
        add(Value(name: name, type: TensorType(tensor.dtype, tensor.shape), encoding: encoding, constant: tensor))
    }

    /// Appends a node with one output whose type follows from shape inference.
    ///
    /// - Throws: `GraphError` when the inputs do not fit the operator; the message names `name`.
    package mutating func append(
        _ op: Op, _ inputs: [ValueID?], name: String, output: String? = nil, encoding: Encoding = .plain
    ) throws(GraphError) -> ValueID {
        let type = try inferType(of: op, inputs: inputs.map { $0.map { self[$0] } }, node: name, encoding: encoding)
        let id = add(Value(name: output ?? name, type: type, encoding: encoding))
        nodes.append(Node(name: name, op: op, inputs: inputs, outputs: [id]))
        return id
    }

    /// For each value, the index in `nodes` of the node that makes it.
    package func producers() -> ValueMap<Int> {
        var producers = ValueMap<Int>(over: self)
        for (index, node) in nodes.enumerated() {
            for output in node.outputs { producers[output] = index }
        }
        return producers
    }

    /// For each value, the indices in `nodes` of the nodes that read it (one entry for each use).
    package func consumers() -> ValueMap<[Int]> {
        var consumers = ValueMap<[Int]>(over: self)
        for (index, node) in nodes.enumerated() {
            for case let input? in node.inputs { consumers[input, default: []].append(index) }
        }
        return consumers
    }

    /// Bytes of all constants that nodes use.
    package var constantBytes: Int {
        let used = Set(nodes.flatMap { $0.inputs.compactMap { $0 } } + outputs)
        return used.reduce(0) { $0 + (self[$1].constant?.byteCount ?? 0) }
    }
}

/// What is wrong with a graph, and where.
package struct GraphError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable { case invalidShape, invalidType, invalidStructure, limit }
    package let code: Code
    /// The node or value concerned, by its name in the user's framework.
    package let location: String
    package let message: String

    package init(_ code: Code, at location: String, _ message: String) {
        self.code = code
        self.location = location
        self.message = message
    }

    package var description: String { "\(location): \(message)" }
}
