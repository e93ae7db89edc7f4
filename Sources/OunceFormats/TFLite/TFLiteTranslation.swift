import OunceGraph

/// What a tensor of a TFLite model stands for while the model is translated.
enum TFLiteBinding {
    case value(ValueID)
    case constant(Tensor, Encoding)
    /// Constant integers that a DEQUANTIZE makes real; weights use them as they are.
    case dequantized(Tensor, AffineQuantization)
    /// Made by an operator that is not supported.
    case missing
}

/// Translates a subgraph of a TFLite model.
struct TFLiteTranslation {
    /// Lists of an operator's inputs or a tensor's extents are never longer.
    private static let maximumList = 1 << 12

    var builder: GraphBuilder
    private let model: FlatTable
    private let subgraph: FlatTable
    private let tensorCount: Int
    var bindings: [Int: TFLiteBinding] = [:]
    private var materialized: [Int: ValueID] = [:]
    var variables = TFLiteVariables()

    init(_ view: ByteView, name: String) throws(ImportFailure) {
        try self.init(FlatTable(root: view), subgraph: 0, GraphBuilder(name: name, fileBytes: view.count))
    }

    private init(_ model: FlatTable, subgraph index: Int, _ builder: GraphBuilder) throws(ImportFailure) {
        self.builder = builder
        self.model = model
        subgraph = try model.table(8, index)
        tensorCount = try subgraph.count(4)
        guard tensorCount <= GraphBuilder.maximumTensors, try subgraph.count(10) <= GraphBuilder.maximumNodes else {
            throw .fatal(FormatError(.limit, "the model has over \(GraphBuilder.maximumNodes) operators"))
        }
    }

    /// A translation of another subgraph, into a graph of its own but under the same bounds.
    func subtranslation(_ index: Int) throws(ImportFailure) -> TFLiteTranslation {
        var empty = builder
        empty.graph = Graph(name: builder.graph.name)
        return try TFLiteTranslation(model, subgraph: index, empty)
    }

    mutating func translate() throws(ImportFailure) {
        for index in try subgraph.integers(6, as: Int32.self, limit: Self.maximumList) {
            try collecting("input", at: "tensor \(index)", outputs: [Int(index)]) { (t) throws(ImportFailure) in
                let tensor = try t.tensor(Int(index))
                let type = TensorType(tensor.dtype, tensor.shape)
                let id = t.builder.graph.add(Value(name: tensor.name, type: type, encoding: tensor.encoding))
                guard t.bindings.updateValue(.value(id), forKey: Int(index)) == nil else {
                    throw .corrupt("'\(tensor.name)' is an input twice")
                }
                t.builder.graph.inputs.append(id)
            }
        }
        for index in 0..<(try subgraph.count(10)) {
            var op = try TFLiteOperator(try subgraph.table(10, index), of: model, maximumList: Self.maximumList)
            if let output = op.outputs.first { op.location = (try? tensorName(output)) ?? op.location }
            try collecting(op.name, at: op.location, outputs: op.outputs) { (t) throws(ImportFailure) in try t.run(op) }
        }
        for index in try subgraph.integers(8, as: Int32.self, limit: Self.maximumList) {
            try collecting("output", at: "tensor \(index)", outputs: []) { (t) throws(ImportFailure) in
                if case .missing = t.bindings[Int(index)] { return }
                t.builder.graph.outputs.append(try t.value(Int(index)))
            }
        }
        try finishVariables()
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
            for output in outputs { bindings[output] = .missing }
        }
    }

    private mutating func run(_ op: TFLiteOperator) throws(ImportFailure) {
        if try runVariable(op) { return }
        guard let translate = Self.operators[op.name] else {
            throw .unsupported("the operator is not known; convert the model without it")
        }
        var dependsOnMissing = false
        for input in op.inputs where input >= 0 {
            if case .missing = bindings[input] { dependsOnMissing = true }
        }
        guard !dependsOnMissing else {
            for output in op.outputs { bindings[output] = .missing }
            return
        }
        guard op.outputs.count == 1, let output = op.outputs.first, bindings[output] == nil else {
            throw .corrupt("\(op.name) '\(op.location)' does not make one tensor of its own")
        }
        let result = try translate(&self, op)
        if case .value(let id) = result {
            let declared = try tensor(output)
            let made = builder.graph[id]
            guard made.dtype == declared.dtype, made.shape == declared.shape else {
                throw .corrupt(
                    "\(op.name) '\(op.location)' is declared \(declared.dtype) \(declared.shape), computed \(made.dtype) "
                        + "\(made.shape)")
            }
        }
        bindings[output] = result
    }

    // MARK: Tensors

    private func tensorTable(_ index: Int) throws(ImportFailure) -> FlatTable {
        guard (0..<tensorCount).contains(index) else { throw .corrupt("tensor \(index) of \(tensorCount)") }
        return try subgraph.table(4, index)
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
        if let binding = bindings[index] { return binding }
        let tensor = try tensor(index)
        let buffer = try model.table(12, tensor.buffer)
        guard try buffer.integer(6, as: UInt64.self) <= 1 else {
            throw .unsupported("its numbers lie outside the model's buffers; convert to a model below 2 GiB")
        }
        let content = try buffer.vector(4).bytes
        guard !content.isEmpty else { throw .corrupt("tensor '\(tensor.name)' is used before it is made") }
        try builder.charge(content.count)
        let constant = Tensor(
            dtype: tensor.dtype, shape: tensor.shape,
            storage: TensorStorage(byteCount: content.count) { $0.copyMemory(from: content) })
        guard let constant, tensor.dtype != .bool || content.allSatisfy({ $0 <= 1 }) else {
            throw .corrupt("'\(tensor.name)' holds \(content.count) bytes, not \(tensor.dtype) \(tensor.shape)")
        }
        let binding = TFLiteBinding.constant(constant, tensor.encoding)
        bindings[index] = binding
        return binding
    }

    private mutating func value(_ index: Int) throws(ImportFailure) -> ValueID {
        if let id = materialized[index] { return id }
        let id: ValueID
        switch try binding(index) {
        case .value(let id): return id
        case .constant(let tensor, let encoding):
            id = builder.constant(tensor, name: try tensorName(index), encoding: encoding)
        case .dequantized(let tensor, let affine):
            id = builder.constant(try builder.dequantize(tensor, affine), name: try tensorName(index))
        case .missing: throw .corrupt("tensor \(index) is not made")
        }
        materialized[index] = id
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

    /// Appends the node that makes the operator's output, or with `part` one that leads to it on the grid of its input.
    mutating func emit(
        _ op: Op, _ inputs: [ValueID?], _ source: TFLiteOperator, part: String? = nil
    ) throws(ImportFailure) -> ValueID {
        if let part {
            let encoding = inputs.first.flatMap { $0 }.map { builder.graph[$0].encoding } ?? .plain
            return try builder.emit(op, inputs, name: "\(source.location).\(part)", encoding: encoding)
        }
        let output = try tensor(source.outputs.first ?? -1)
        return try builder.emit(op, inputs, name: output.name, encoding: output.encoding)
    }

    mutating func outputType(_ op: TFLiteOperator) throws(ImportFailure) -> DType {
        try tensor(op.outputs.first ?? -1).dtype
    }
}
