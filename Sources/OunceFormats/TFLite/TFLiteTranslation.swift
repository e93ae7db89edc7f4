import OunceGraph

/// What a tensor of a TFLite model stands for while the model is translated.
enum TFLiteBinding {
    case value(ValueID)
    case constant(Tensor, Encoding)
    /// Constant integers that a DEQUANTIZE makes real; weights use them as they are.
    case dequantized(Tensor, AffineQuantization)
    /// What an operator with more than one output makes.
    case several([TFLiteBinding])
    /// A handle: which variable it names.
    case variable(TFLiteVariables.Key)
    /// Made by an operator that is not supported.
    case missing
}

/// Translates a TFLite model: its first subgraph, with those that its operators call in their places.
struct TFLiteTranslation {
    /// Lists of an operator's inputs or a tensor's extents are never longer.
    private static let maximumList = 1 << 12

    var builder: GraphBuilder
    let file: FileBytes
    private let model: FlatTable
    /// The subgraph that is being translated, and what is known in it.
    private var scope: Scope
    private let given: InputBindings
    /// Inputs of which the file leaves extents open, and for which none are given.
    private(set) var openInputs: [OpenInput] = []
    /// The real numbers of values on grids.
    private var reals: [ValueID: ValueID] = [:]
    private var depth = 0
    var variables = TFLiteVariables()
    /// Operators run so far, those of subgraphs each time that they are called.
    private var work = 0

    private struct Scope {
        let subgraph: FlatTable
        let tensorCount: Int
        var bindings: [Int: TFLiteBinding] = [:]
        var materialized: [Int: ValueID] = [:]

        init(_ subgraph: FlatTable) throws(ImportFailure) {
            self.subgraph = subgraph
            tensorCount = try subgraph.count(4)
            guard tensorCount <= GraphBuilder.maximumTensors, try subgraph.count(10) <= GraphBuilder.maximumNodes else {
                throw .fatal(FormatError(.limit, "the model has over \(GraphBuilder.maximumNodes) operators"))
            }
        }
    }

    init(_ file: FileBytes, name: String, given: InputBindings) throws(ImportFailure) {
        self.file = file
        builder = GraphBuilder(name: name, fileBytes: file.count)
        model = try FlatTable(root: ByteView(file.bytes))
        scope = try Scope(try model.table(8, 0))
        self.given = given
    }

    mutating func translate() throws(ImportFailure) {
        for index in try scope.subgraph.integers(6, as: Int32.self, limit: Self.maximumList) {
            try collecting("input", at: "tensor \(index)", outputs: [Int(index)]) { (t) throws(ImportFailure) in
                try t.addInput(Int(index))
            }
        }
        try runOperators()
        for index in try scope.subgraph.integers(8, as: Int32.self, limit: Self.maximumList) {
            try collecting("output", at: "tensor \(index)", outputs: []) { (t) throws(ImportFailure) in
                if case .missing = t.scope.bindings[Int(index)] { return }
                t.builder.graph.outputs.append(try t.output(Int(index)))
            }
        }
        try finishVariables()
    }

    private mutating func addInput(_ index: Int) throws(ImportFailure) {
        let tensor = try tensor(index)
        let (dtype, encoding) = tensor.stored
        let wanted = try given.shape(of: tensor.name, declared: try tensorTable(index).signature(tensor.shape))
        if !wanted.isStatic { openInputs.append(OpenInput(name: tensor.name, shape: wanted)) }
        let shape = Shape(zip(wanted.dims, tensor.shape.dims).map { $0 < 0 ? $1 : $0 })
        let value = Value(name: tensor.name, type: TensorType(dtype, shape), encoding: encoding)
        var id = builder.graph.add(value)
        builder.graph.inputs.append(id)
        if tensor.isShifted {
            id = try builder.emit(
                .quantizeAs(.int8), [id], name: "\(tensor.name).int8", encoding: tensor.encoding)
        }
        guard scope.bindings.updateValue(.value(id), forKey: index) == nil else {
            throw .corrupt("'\(tensor.name)' is an input twice")
        }
    }

    /// The value of an output in the type and under the name of the file.
    private mutating func output(_ index: Int) throws(ImportFailure) -> ValueID {
        let (id, tensor) = (try value(index), try tensor(index))
        if tensor.isShifted {
            return try builder.emit(
                .quantizeAs(.uint8), [id], name: tensor.name, encoding: tensor.stored.encoding)
        }
        guard builder.graph[id].name != tensor.name else { return id }
        let copies = builder.graph[id].shape.dims.indices.map { ReshapeDimension.copy($0) }
        return try builder.emit(
            .reshape(copies), [id], name: tensor.name, encoding: builder.graph[id].encoding)
    }

    private mutating func runOperators() throws(ImportFailure) {
        // Subgraphs that call one another, and loops, must not unfold without end.
        work += 1 + (try scope.subgraph.count(10))
        guard work <= 2 * GraphBuilder.maximumNodes else {
            throw .fatal(FormatError(.limit, "its subgraphs run over \(GraphBuilder.maximumNodes) operators"))
        }
        for index in 0..<(try scope.subgraph.count(10)) {
            var op = try TFLiteOperator(
                try scope.subgraph.table(10, index), of: model, maximumList: Self.maximumList)
            if let output = op.outputs.first { op.location = (try? tensorName(output)) ?? op.location }
            try collecting(op.name, at: op.location, outputs: op.outputs) { (t) throws(ImportFailure) in try t.run(op) }
        }
    }

    /// The outputs of a subgraph for these inputs, its operators put in the place of the one that calls it.
    mutating func call(subgraph number: Int, _ inputs: [TFLiteBinding]) throws(ImportFailure) -> [TFLiteBinding] {
        guard depth < 16 else { throw .unsupported("subgraphs call one another over 16 deep; convert without") }
        let outer = scope
        scope = try Scope(try model.table(8, number))
        depth += 1
        defer {
            depth -= 1
            scope = outer
        }
        let places = try scope.subgraph.integers(6, as: Int32.self, limit: Self.maximumList)
        guard places.count == inputs.count else {
            throw .corrupt("subgraph \(number) takes \(places.count) inputs, not \(inputs.count)")
        }
        for (place, binding) in zip(places, inputs) { scope.bindings[Int(place)] = binding }
        try runOperators()
        var results: [TFLiteBinding] = []
        for index in try scope.subgraph.integers(8, as: Int32.self, limit: Self.maximumList) {
            results.append(try binding(Int(index)))
        }
        return results
    }

    private mutating func collecting(
        _ op: String, at location: String, outputs: [Int],
        _ body: (inout TFLiteTranslation) throws(ImportFailure) -> Void
    ) throws(ImportFailure) {
        do throws(ImportFailure) {
            try body(&self)
        } catch {
            guard case .unsupported(let reason) = error else { throw error }
            builder.unsupported.add(op: op, at: location, reason)
            for output in outputs { scope.bindings[output] = .missing }
        }
    }

    private mutating func run(_ op: TFLiteOperator) throws(ImportFailure) {
        try builder.countOperator()
        guard !op.isCustom, let translate = Self.operators[op.name] else { throw Self.refusal(of: op) }
        var dependsOnMissing = false
        for input in op.inputs where input >= 0 {
            if case .missing = scope.bindings[input] { dependsOnMissing = true }
        }
        guard !dependsOnMissing else {
            for output in op.outputs { scope.bindings[output] = .missing }
            return
        }
        guard op.outputs.allSatisfy({ scope.bindings[$0] == nil }) else {
            throw .corrupt("\(op.name) '\(op.location)' makes a tensor that is there already")
        }
        let result = try translate(&self, op)
        var results = [result]
        if case .several(let several) = result { results = several }
        guard results.count == op.outputs.count else {
            throw .corrupt("\(op.name) '\(op.location)' makes \(results.count) tensors, not \(op.outputs.count)")
        }
        for (output, result) in zip(op.outputs, results) {
            if case .value(let id) = result, case let declared = try tensor(output).dtype,
                builder.graph[id].dtype != declared
            {
                throw .corrupt(
                    "\(op.name) '\(op.location)' is declared \(declared), computed \(builder.graph[id].dtype)")
            }
            scope.bindings[output] = result
        }
    }

    // MARK: Tensors

    private func tensorTable(_ index: Int) throws(ImportFailure) -> FlatTable {
        guard (0..<scope.tensorCount).contains(index) else { throw .corrupt("tensor \(index) of \(scope.tensorCount)") }
        return try scope.subgraph.table(4, index)
    }

    private func tensorName(_ index: Int) throws(ImportFailure) -> String {
        try tensorTable(index).string(10, limit: 1 << 12)
    }

    mutating func tensor(_ index: Int) throws(ImportFailure) -> TFLiteTensor {
        let tensor = try TFLiteTensor(try tensorTable(index), maximumList: Self.maximumList)
        try builder.charge(16 + tensor.name.utf8.count + 8 * (tensor.encoding.affine?.scales.count ?? 0))
        return tensor
    }

    mutating func binding(_ index: Int) throws(ImportFailure) -> TFLiteBinding {
        if let binding = scope.bindings[index] { return binding }
        let tensor = try tensor(index)
        let buffer = try model.table(12, tensor.buffer)
        guard try buffer.integer(6, as: UInt64.self) <= 1 else {
            throw .unsupported("its numbers lie outside the model's buffers; convert to a model below 2 GiB")
        }
        let content = try buffer.vector(4).bytes
        guard !content.isEmpty || tensor.shape.elementCount == 0 else {
            throw .corrupt("tensor '\(tensor.name)' is used before it is made")
        }
        let binding = TFLiteBinding.constant(try constant(tensor, content), tensor.encoding)
        scope.bindings[index] = binding
        return binding
    }

    mutating func value(_ index: Int) throws(ImportFailure) -> ValueID {
        if let id = scope.materialized[index] { return id }
        let id: ValueID
        switch try binding(index) {
        case .value(let id): return id
        case .constant(let tensor, let encoding):
            id = builder.constant(tensor, name: try tensorName(index), encoding: encoding)
        case .dequantized(let tensor, let affine):
            id = builder.constant(try builder.dequantize(tensor, affine), name: try tensorName(index))
        case .missing, .several, .variable: throw .corrupt("tensor \(index) is not made")
        }
        scope.materialized[index] = id
        return id
    }

    // MARK: What operators ask for

    func input(_ op: TFLiteOperator, _ place: Int) -> Int? {
        op.inputs.indices.contains(place) && op.inputs[place] >= 0 ? op.inputs[place] : nil
    }

    mutating func value(_ op: TFLiteOperator, _ place: Int) throws(ImportFailure) -> ValueID {
        guard let index = input(op, place) else { throw .corrupt("\(op.name): input \(place) is missing") }
        return try value(index)
    }

    mutating func optionalValue(_ op: TFLiteOperator, _ place: Int) throws(ImportFailure) -> ValueID? {
        input(op, place) == nil ? nil : try value(op, place)
    }

    /// A constant input and what its numbers stand for.
    mutating func constant(_ op: TFLiteOperator, _ place: Int) throws(ImportFailure) -> (Tensor, Encoding) {
        guard let index = input(op, place) else { throw .corrupt("\(op.name): input \(place) is missing") }
        switch try binding(index) {
        case .constant(let tensor, let encoding): return (tensor, encoding)
        case .dequantized(let tensor, let affine): return (tensor, .affine(affine))
        case .value(let id):
            if let constant = builder.graph[id].constant { return (constant, builder.graph[id].encoding) }
            throw .unsupported("its input \(place) is not constant; convert with fixed shapes and weights")
        default: throw .unsupported("its input \(place) is not constant; convert with fixed shapes and weights")
        }
    }

    mutating func integers(_ op: TFLiteOperator, _ place: Int) throws(ImportFailure) -> [Int] {
        let (tensor, _) = try constant(op, place)
        guard tensor.count <= Self.maximumList, let integers = tensor.integers() else {
            throw .corrupt("\(op.name): input \(place) is no short list of integers")
        }
        return integers
    }

    func shape(_ id: ValueID) -> Shape { builder.graph[id].shape }

    /// What the file says of an output.
    mutating func declared(_ op: TFLiteOperator, _ place: Int = 0) throws(ImportFailure) -> TFLiteTensor {
        guard op.outputs.indices.contains(place) else { throw .corrupt("\(op.name): output \(place) is missing") }
        return try tensor(op.outputs[place])
    }

    mutating func real(cached id: ValueID, _ make: (inout Self) throws(ImportFailure) -> ValueID)
        throws(ImportFailure) -> ValueID
    {
        if let real = reals[id] { return real }
        let real = try make(&self)
        reals[id] = real
        return real
    }
}
