/// Reads messages of one file; bounds how many parts they have, since a part of two bytes takes hundreds in memory.
struct ONNXReader {
    private static let maximumParts = 1 << 20
    /// Graphs within graphs.
    private static let maximumDepth = 16
    /// Entries of one list of an attribute.
    private static let maximumList = 1 << 24
    private static let maximumRank = 64

    private let folder: ExternalFolder?
    private var parts = 0
    private var depth = 0

    init(folder: ExternalFolder? = nil) { self.folder = folder }

    private mutating func fields(
        _ message: FileBytes, _ body: (inout ONNXReader, WireField) throws(FormatError) -> Void
    ) throws(FormatError) {
        parts += 1
        guard parts <= Self.maximumParts else {
            throw FormatError(.limit, "the model has over \(Self.maximumParts) nodes, tensors, names and attributes")
        }
        var reader = WireReader(message)
        while let field = try reader.next() { try body(&self, field) }
    }

    /// A short text that counts as a part.
    private mutating func name(_ field: WireField) throws(FormatError) -> String {
        parts += 1
        guard parts <= Self.maximumParts else {
            throw FormatError(.limit, "the model has over \(Self.maximumParts) nodes, tensors, names and attributes")
        }
        return try field.string()
    }

    mutating func model(_ message: FileBytes) throws(FormatError) -> ONNXModelProto {
        var model = ONNXModelProto()
        try fields(message) { (reader, field) throws(FormatError) in
            switch field.number {
            case 1: model.irVersion = try field.int64()
            case 2: model.producerName = try field.string()
            case 3: model.producerVersion = try field.string()
            case 7:
                guard !model.hasGraph else { throw WireReader.damaged("it has two graphs") }
                model.graph = try reader.graph(try field.bytes())
            case 8: model.opsetImport.append(try reader.operatorSet(try field.bytes()))
            case 25: model.functions.append(try reader.function(try field.bytes()))
            default: break
            }
        }
        return model
    }

    private mutating func operatorSet(_ message: FileBytes) throws(FormatError) -> ONNXOperatorSetIdProto {
        var set = ONNXOperatorSetIdProto()
        try fields(message) { (reader, field) throws(FormatError) in
            switch field.number {
            case 1: set.domain = try field.string()
            case 2: set.version = try field.int64()
            default: break
            }
        }
        return set
    }

    private mutating func function(_ message: FileBytes) throws(FormatError) -> ONNXFunctionProto {
        var function = ONNXFunctionProto()
        try fields(message) { (reader, field) throws(FormatError) in
            switch field.number {
            case 1: function.name = try field.string()
            case 4: function.input.append(try reader.name(field))
            case 5: function.output.append(try reader.name(field))
            case 6: function.attribute.append(try reader.name(field))
            case 7: function.node.append(try reader.node(try field.bytes()))
            case 9: function.opsetImport.append(try reader.operatorSet(try field.bytes()))
            case 10: function.domain = try field.string()
            case 11: function.attributeProto.append(try reader.attribute(try field.bytes()))
            case 13: function.overload = try field.string()
            default: break
            }
        }
        return function
    }

    private mutating func graph(_ message: FileBytes) throws(FormatError) -> ONNXGraphProto {
        var graph = ONNXGraphProto()
        guard depth < Self.maximumDepth else {
            throw FormatError(.limit, "the model has graphs within over \(Self.maximumDepth) others")
        }
        depth += 1
        defer { depth -= 1 }
        try fields(message) { (reader, field) throws(FormatError) in
            switch field.number {
            case 1: graph.node.append(try reader.node(try field.bytes()))
            case 2: graph.name = try field.string()
            case 5: graph.initializer.append(try reader.tensor(try field.bytes()))
            case 11: graph.input.append(try reader.valueInfo(try field.bytes()))
            case 12: graph.output.append(try reader.valueInfo(try field.bytes()))
            case 15: graph.sparseInitializer.append(try reader.sparseTensor(try field.bytes()))
            default: break
            }
        }
        return graph
    }

    private mutating func node(_ message: FileBytes) throws(FormatError) -> ONNXNodeProto {
        var node = ONNXNodeProto()
        try fields(message) { (reader, field) throws(FormatError) in
            switch field.number {
            case 1: node.input.append(try reader.name(field))
            case 2: node.output.append(try reader.name(field))
            case 3: node.name = try field.string()
            case 4: node.opType = try field.string()
            case 5: node.attribute.append(try reader.attribute(try field.bytes()))
            case 7: node.domain = try field.string()
            case 8: node.overload = try field.string()
            default: break
            }
        }
        return node
    }

    private mutating func attribute(_ message: FileBytes) throws(FormatError) -> ONNXAttributeProto {
        var attribute = ONNXAttributeProto()
        try fields(message) { (reader, field) throws(FormatError) in
            switch field.number {
            case 1: attribute.name = try field.string()
            case 2: attribute.f = try field.float()
            case 3: attribute.i = try field.int64()
            case 4: attribute.s = try field.bytes()
            case 5: attribute.tensors = [try reader.tensor(try field.bytes())]
            case 6: attribute.graphs = [try reader.graph(try field.bytes())]
            case 7: try field.append(to: &attribute.floats, limit: Self.maximumList)
            case 8: try field.append(to: &attribute.ints, limit: Self.maximumList)
            case 9:
                guard attribute.strings.count < Self.maximumList else {
                    throw FormatError(.limit, "an attribute has over \(Self.maximumList) texts")
                }
                attribute.strings.append(try field.bytes())
            case 20: attribute.type = try field.int32()
            case 21: attribute.refAttrName = try field.string()
            case 22: attribute.sparseTensors = [try reader.sparseTensor(try field.bytes())]
            default: break
            }
        }
        return attribute
    }

    mutating func tensor(_ message: FileBytes) throws(FormatError) -> ONNXTensorProto {
        var tensor = ONNXTensorProto()
        tensor.folder = folder
        func append(_ field: WireField, _ kind: WireNumbers.Kind) throws(FormatError) {
            if !tensor.typedData.contains(where: { $0.field == field.number }) {
                tensor.typedData.append(WireNumbers(field: field.number, kind: kind))
            }
            for index in tensor.typedData.indices where tensor.typedData[index].field == field.number {
                try tensor.typedData[index].append(field)
            }
        }
        try fields(message) { (reader, field) throws(FormatError) in
            switch field.number {
            case 1: try field.append(to: &tensor.dims, limit: Self.maximumRank)
            case 2: tensor.dataType = try field.int32()
            case 4: try append(field, .fixed32)
            case 5, 7, 11: try append(field, .varint)
            case 6: tensor.stringCount += 1
            case 8: tensor.name = try field.string()
            case 9: tensor.rawData = try field.bytes()
            case 10: try append(field, .fixed64)
            case 13:
                let entry = try reader.entry(try field.bytes())
                tensor.externalData[entry.key] = entry.value
            case 14: tensor.dataLocation = try field.int32()
            default: break
            }
        }
        return tensor
    }

    private mutating func entry(_ message: FileBytes) throws(FormatError) -> (key: String, value: String) {
        var entry = (key: "", value: "")
        try fields(message) { (reader, field) throws(FormatError) in
            switch field.number {
            case 1: entry.key = try field.string()
            case 2: entry.value = try field.string()
            default: break
            }
        }
        return entry
    }

    private mutating func sparseTensor(_ message: FileBytes) throws(FormatError) -> ONNXSparseTensorProto {
        var sparse = ONNXSparseTensorProto()
        try fields(message) { (reader, field) throws(FormatError) in
            switch field.number {
            case 1: sparse.values = try reader.tensor(try field.bytes())
            case 2: sparse.indices = try reader.tensor(try field.bytes())
            case 3: try field.append(to: &sparse.dims, limit: Self.maximumRank)
            default: break
            }
        }
        return sparse
    }

    private mutating func valueInfo(_ message: FileBytes) throws(FormatError) -> ONNXValueInfoProto {
        var info = ONNXValueInfoProto()
        try fields(message) { (reader, field) throws(FormatError) in
            switch field.number {
            case 1: info.name = try field.string()
            case 2: info.type = try reader.type(try field.bytes())
            default: break
            }
        }
        return info
    }

    private mutating func type(_ message: FileBytes) throws(FormatError) -> ONNXTypeProto {
        var type = ONNXTypeProto()
        try fields(message) { (reader, field) throws(FormatError) in
            guard field.number == 1 else { return }
            var tensor = ONNXTypeProto.Tensor()
            try reader.fields(try field.bytes()) { (reader, field) throws(FormatError) in
                switch field.number {
                case 1: tensor.elemType = try field.int32()
                case 2: tensor.shape = try reader.shape(try field.bytes())
                default: break
                }
            }
            type.tensorType = tensor
        }
        return type
    }

    private mutating func shape(_ message: FileBytes) throws(FormatError) -> ONNXTensorShapeProto {
        var shape = ONNXTensorShapeProto()
        try fields(message) { (reader, field) throws(FormatError) in
            guard field.number == 1 else { return }
            guard shape.dim.count < Self.maximumRank else {
                throw FormatError(.limit, "an input or output has over \(Self.maximumRank) axes")
            }
            var dimension = ONNXTensorShapeProto.Dimension()
            try reader.fields(try field.bytes()) { (reader, field) throws(FormatError) in
                switch field.number {
                case 1: dimension.value = .dimValue(try field.int64())
                case 2: dimension.value = .dimParam(try field.string())
                default: break
                }
            }
            shape.dim.append(dimension)
        }
        return shape
    }
}
