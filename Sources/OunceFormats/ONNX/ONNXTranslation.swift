import OunceGraph

/// What a name of an ONNX graph stands for while the graph is translated.
enum ONNXBinding {
    case value(ValueID)
    /// Numbers known at import; affine ones are integers that stand for reals.
    case constant(Tensor, Encoding)
    /// A list of extents of which some are not known.
    case extents([ONNXExtent])
    case sequence([ONNXBinding])
    /// Made by a node that is not supported.
    case missing
}

/// An element of a computed shape.
enum ONNXExtent: Hashable {
    case known(Int)
    case axis(Int, of: ValueID)
}

/// Translates one ONNX graph.
struct ONNXTranslation {
    /// Of the node that is being translated: functions may have one of their own.
    private(set) var opset: Int
    private var functions: ONNXFunctions
    var builder: GraphBuilder
    var bindings: [String: ONNXBinding] = [:]
    var materialized: [String: ValueID] = [:]
    /// Outputs of operators that are not made.
    var absentOutputs: Set<String> = []
    /// What is known of the model's inputs.
    let given: InputBindings
    /// Inputs of the model whose values shapes depend on, and which have none.
    var neededInputs: Set<String> = []
    var searches = 0
    /// The node that is being translated, by its name.
    var location = ""
    /// Nodes and names made for operators that are expressed by others.
    var expansions = 0
    /// How deep in bodies of If, Loop and Scan.
    var depth = 0
    /// Rounds of loops so far, and branches taken.
    var rounds = 0

    init(opset: Int, functions: ONNXFunctions, name: String, fileBytes: Int, given: InputBindings) {
        self.opset = opset
        self.functions = functions
        self.given = given
        builder = GraphBuilder(name: name, fileBytes: fileBytes)
    }

    mutating func translate(_ proto: ONNXGraphProto) throws(FormatError) -> Graph {
        guard proto.node.count <= GraphBuilder.maximumNodes, proto.initializer.count <= GraphBuilder.maximumTensors,
            proto.input.count <= GraphBuilder.maximumTensors, proto.output.count <= 1 << 12
        else { throw FormatError(.limit, "the model has over \(GraphBuilder.maximumNodes) nodes, or too many tensors") }
        for initializer in proto.initializer {
            try collecting("initializer", at: initializer.name, outputs: [initializer.name]) {
                (translation) throws(ImportFailure) in
                let labels = initializer.labels()
                let tensor = if let labels { labels } else { try initializer.tensor() }
                translation.bindings[initializer.name] = .constant(tensor, .plain)
            }
        }
        for sparse in proto.sparseInitializer {
            let name = sparse.values.name
            try collecting("initializer", at: name, outputs: [name]) { (translation) throws(ImportFailure) in
                translation.bindings[name] = .constant(try translation.dense(sparse), .plain)
            }
        }
        for input in proto.input where bindings[input.name] == nil {
            try collecting("input", at: input.name, outputs: [input.name]) { (translation) throws(ImportFailure) in
                try translation.addInput(input)
            }
        }
        for node in proto.node { try translate(ONNXNode(node)) }
        for output in proto.output {
            try collecting("output", at: output.name, outputs: []) { (translation) throws(ImportFailure) in
                try translation.addOutput(output)
            }
        }
        do throws(FormatError) {
            return try builder.finish()
        } catch {
            throw error.needing(neededInputs.sorted(), open: openInputs)
        }
    }

    private var openInputs: [OpenInput] {
        builder.graph.inputs.map { OpenInput(name: builder.graph[$0].name, shape: shape($0)) }
            .filter { !$0.shape.isStatic }
    }

    /// Runs `body`; what it does not support goes on the list, and the outputs count as missing.
    private mutating func collecting(
        _ op: String, at location: String, outputs: [String],
        _ body: (inout ONNXTranslation) throws(ImportFailure) -> Void
    ) throws(FormatError) {
        do throws(ImportFailure) {
            try body(&self)
        } catch {
            switch error {
            case .fatal(let error): throw FormatError(error.code, "\(op) '\(location)': \(error.message)")
            case .unsupported(let reason):
                builder.unsupported.add(op: op, at: location, reason)
                for output in outputs { bindings[output] = .missing }
            }
        }
    }

    private mutating func addInput(_ input: ONNXValueInfoProto) throws(ImportFailure) {
        guard input.hasType, input.type.hasTensorType, input.type.tensorType.hasShape else {
            throw .unsupported("it is no tensor with a known number of axes; give its shape on export")
        }
        let type = input.type.tensorType
        guard let dtype = DType(onnx: Int(type.elemType)) else {
            throw .unsupported("element type \(type.elemType) of ONNX; convert it to float32 or an integer type")
        }
        let declared = Shape(type.shape.dim.map(\.extent))
        guard declared.rank <= 8, declared.dims.allSatisfy({ $0 <= Shape.maximumElements }), declared.isBounded else {
            throw .corrupt("the extents \(declared)")
        }
        if let constant = try given.value(of: input.name, dtype, declared) {
            bindings[input.name] = .constant(constant, .plain)
            return
        }
        let shape = try given.shape(of: input.name, declared: declared)
        let id = builder.graph.add(Value(name: input.name, type: TensorType(dtype, shape)))
        builder.graph[id].axisNames = type.shape.dim.map(\.name)
        builder.graph.inputs.append(id)
        bindings[input.name] = .value(id)
    }

    private mutating func addOutput(_ output: ONNXValueInfoProto) throws(ImportFailure) {
        if case .missing = bindings[output.name] { return }
        guard !absentOutputs.contains(output.name) else {
            throw .unsupported("its operator does not make this output here; export the model without it")
        }
        var id = try value(output.name)
        if let extent = builder.runTimeExtents[id] {
            id = try builder.emit(
                .cut(axis: extent.axis), [id, extent.count], name: "\(output.name).cut",
                encoding: builder.graph[id].encoding)
        }
        let (made, encoding) = (type(id), builder.graph[id].encoding)
        if builder.graph[id].name != output.name {
            let isTaken = builder.graph.inputs.contains(id) || builder.graph.outputs.contains(id)
            if isTaken || builder.graph[id].constant != nil {
                let copy = made.shape.dims.indices.map { ReshapeDimension.copy($0) }
                id = try builder.emit(.reshape(copy), [id], name: output.name, output: output.name, encoding: encoding)
            } else {
                builder.graph[id].name = output.name
            }
        }
        if output.hasType, output.type.hasTensorType, let declared = DType(onnx: Int(output.type.tensorType.elemType)),
            declared != made.dtype
        {
            throw .unsupported(
                "it is declared \(declared) and computed as \(made.dtype); export quantised outputs as int8"
            )
        }
        if made.shape.rank == output.type.tensorType.shape.dim.count, !builder.graph.inputs.contains(id) {
            builder.graph[id].axisNames = output.type.tensorType.shape.dim.map(\.name)
        }
        builder.graph.outputs.append(id)
    }

    mutating func translate(_ original: ONNXNode) throws(FormatError) {
        for output in original.proto.output where !output.isEmpty && bindings[output] != nil {
            throw FormatError(.corrupt, "'\(output)' is made twice")
        }
        var node = original
        try collecting(node.op, at: node.name, outputs: node.proto.output) { (translation) throws(ImportFailure) in
            try translation.run(&node)
        }
    }

    /// Translates what a call of one of the model's functions stands for.
    private mutating func call(_ node: ONNXNode) throws(ImportFailure) {
        let (nodes, version) = try functions.enter(node)
        let before = opset
        defer {
            opset = before
            functions.leave()
        }
        if let version {
            guard ONNXImporter.opsets.contains(version) else {
                throw .unsupported("the function is written in opset \(version); export with another")
            }
            opset = version
        }
        for inner in nodes {
            do throws(FormatError) {
                try translate(ONNXNode(inner))
            } catch { throw .fatal(error) }
        }
        for output in node.proto.output
        where !output.isEmpty && bindings[output] == nil && !absentOutputs.contains(output) {
            throw .corrupt("the function makes no '\(output)'")
        }
    }

    /// The dense form, which may take much more than the file.
    mutating func dense(_ sparse: ONNXSparseTensorProto) throws(ImportFailure) -> Tensor {
        let extents = Shape(sparse.dims.map { Int($0) })
        try builder.charge((extents.isStatic ? extents.elementCount ?? 0 : 0) * 8)
        return try sparse.tensor()
    }

    mutating func run(_ node: inout ONNXNode) throws(ImportFailure) {
        try builder.countOperator()
        if functions.contains(node.proto), !node.isStandard || Self.operators[node.proto.opType] == nil {
            return try call(node)
        }
        guard let translate = try translator(of: node) else {
            throw .unsupported(
                node.isStandard
                    ? "the operator is not known to ONNX up to opset \(ONNXImporter.opsets.upperBound); express it by others"
                    : "a custom operator; replace it by standard ones, or export the model without it")
        }
        guard !node.output.isEmpty else { throw .corrupt("the node has no output") }
        var dependsOnMissing = false
        for input in node.proto.input where !input.isEmpty {
            if absentOutputs.contains(input) {
                throw .unsupported("it uses '\(input)', an output that its operator does not make here")
            }
            guard let binding = bindings[input] else {
                throw .corrupt("the input '\(input)' is made by no earlier node")
            }
            if case .missing = binding { dependsOnMissing = true }
        }
        guard !dependsOnMissing else {
            for output in node.proto.output { bindings[output] = .missing }
            return
        }
        location = node.name
        let first = try translate(&self, &node)
        if let name = node.proto.output.first, !name.isEmpty { bindings[name] = first }
        absentOutputs.formUnion(node.proto.output.filter { !$0.isEmpty && bindings[$0] == nil })
        let unknown = node.unknownAttributes
        guard unknown.isEmpty else {
            throw .unsupported("attribute \(unknown.prefix(8).joined(separator: ", ")) is not supported")
        }
    }

    private func translator(of node: ONNXNode) throws(ImportFailure) -> Translate? {
        let op = node.proto.opType
        switch node.proto.domain {
        case "", "ai.onnx": return Self.operators[op] ?? (op == "SimplifiedLayerNormalization" ? Self.contrib[op] : nil)
        case "com.microsoft", "com.ms.internal.nhwc", "com.microsoft.nchwc": return Self.contrib[op]
        case "ai.onnx.ml": return Self.classical[op]
        default: return nil
        }
    }
}
