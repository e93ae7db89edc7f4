import OunceGraph

/// The data section of an artifact while it is written: tensors, each on a 64-byte boundary.
struct DataSection {
    private(set) var bytes: [UInt8] = []

    /// Appends a tensor's bytes and returns where they start.
    mutating func append(_ content: some Collection<UInt8>) -> Int {
        let padding = (64 - bytes.count % 64) % 64
        bytes.append(contentsOf: [UInt8](repeating: 0, count: padding))
        bytes.append(contentsOf: content)
        return bytes.count - content.count
    }

    /// Room for kernels to read past the last tensor.
    mutating func finish() { bytes.append(contentsOf: [UInt8](repeating: 0, count: TensorStorage.slack)) }
}

/// A mapped data section that tensors refer into.
struct MappedData {
    let bytes: UnsafeRawBufferPointer
    let owner: MappedFile
}

/// A graph and its tensors as bytes.
enum GraphCoding {
    static func encode(_ graph: Graph, data: inout DataSection) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(graph.name)
        writer.put(UInt32(graph.values.count))
        for value in graph.values {
            writer.put(value.name)
            writer.put(value.dtype.rawValue)
            writer.put(value.shape.dims)
            encode(value.encoding, to: &writer)
            writer.put(value.constant != nil)
            if let constant = value.constant { encode(constant, to: &writer, data: &data) }
        }
        writer.putList(graph.nodes) { writer, node in
            writer.put(node.name)
            OpCoding.encode(node.op, to: &writer)
            writer.put(node.inputs.map { $0?.index ?? -1 })
            writer.put(node.outputs.map(\.index))
        }
        writer.put(graph.inputs.map(\.index))
        writer.put(graph.outputs.map(\.index))
        writer.putList(graph.initialStates) { encode($1, to: &$0, data: &data) }
        return writer.bytes
    }

    static func decode(_ bytes: UnsafeRawBufferPointer, data: MappedData) throws(RuntimeError) -> Graph {
        var reader = ByteReader(bytes, what: "the graph")
        var graph = Graph(name: try reader.string())
        graph.values = try reader.list(width: 15) { (reader: inout ByteReader) throws(RuntimeError) -> Value in
            let name = try reader.string()
            let dtype = try self.dtype(&reader)
            let shape = try self.shape(&reader)
            let encoding = try self.encoding(&reader)
            let constant = try reader.bool() ? try tensor(&reader, data: data) : nil
            return Value(name: name, type: TensorType(dtype, shape), encoding: encoding, constant: constant)
        }
        let count = graph.values.count
        func id(_ index: Int, _ reader: ByteReader) throws(RuntimeError) -> ValueID {
            guard (0..<count).contains(index) else { throw reader.damaged("value \(index) does not exist") }
            return ValueID(index)
        }
        graph.nodes = try reader.list(width: 13) { (reader: inout ByteReader) throws(RuntimeError) -> Node in
            let name = try reader.string()
            let op = try OpCoding.decode(&reader)
            var inputs: [ValueID?] = []
            for index in try reader.ints() { inputs.append(index == -1 ? nil : try id(index, reader)) }
            var outputs: [ValueID] = []
            for index in try reader.ints() { outputs.append(try id(index, reader)) }
            return Node(name: name, op: op, inputs: inputs, outputs: outputs)
        }
        for index in try reader.ints() { graph.inputs.append(try id(index, reader)) }
        for index in try reader.ints() { graph.outputs.append(try id(index, reader)) }
        graph.initialStates = try reader.list(width: 22) { (reader: inout ByteReader) throws(RuntimeError) in
            try tensor(&reader, data: data)
        }
        guard reader.isAtEnd else { throw reader.damaged("there is more than the graph") }
        do {
            try graph.validate()
        } catch {
            throw reader.damaged(error.description)
        }
        return graph
    }

    // MARK: Parts

    static func encode(_ tensor: Tensor, to writer: inout ByteWriter, data: inout DataSection) {
        writer.put(tensor.dtype.rawValue)
        writer.put(tensor.shape.dims)
        let packed = TensorPacking.pack(tensor)
        writer.put((packed?.packing ?? .raw).rawValue)
        writer.put(packed?.bytes.count ?? tensor.byteCount)
        writer.put(packed.map { data.append($0.bytes) } ?? tensor.storage.withBytes { data.append($0) })
    }

    static func tensor(_ reader: inout ByteReader, data: MappedData) throws(RuntimeError) -> Tensor {
        let dtype = try dtype(&reader)
        let shape = try shape(&reader)
        let packing = try OpCoding.raw(TensorPacking.self, &reader)
        let (length, offset) = (try reader.int(), try reader.int())
        guard let count = shape.elementCount, offset >= 0, offset <= data.bytes.count, offset % 64 == 0, length >= 0,
            length <= data.bytes.count - offset - TensorStorage.slack,
            packing != .raw || length == count * dtype.byteSize
        else { throw reader.damaged("a tensor of \(dtype) \(shape) at \(offset) lies outside the file") }
        let bytes = UnsafeRawBufferPointer(rebasing: data.bytes[offset..<(offset + length)])
        let stored = TensorStorage(
            referring: bytes, owner: data.owner, isPadded: UInt(bitPattern: bytes.baseAddress) % 64 == 0)
        guard let storage = packing == .raw ? stored : packing.unpacked(stored, dtype: dtype, shape: shape) else {
            throw reader.damaged("a tensor of \(dtype) \(shape) at \(offset) is not packed as it says")
        }
        guard let tensor = Tensor(dtype: dtype, shape: shape, storage: storage) else {
            throw reader.damaged("a tensor of \(dtype) \(shape)")
        }
        return tensor
    }

    private static func dtype(_ reader: inout ByteReader) throws(RuntimeError) -> DType {
        let number = try reader.integer(UInt8.self)
        guard let dtype = DType(rawValue: number) else { throw reader.damaged("element type \(number)") }
        return dtype
    }

    private static func shape(_ reader: inout ByteReader) throws(RuntimeError) -> Shape {
        let dims = try reader.ints()
        guard dims.count <= 8, dims.allSatisfy({ $0 >= -1 && $0 <= Shape.maximumElements }) else {
            throw reader.damaged("a shape \(dims)")
        }
        return Shape(dims)
    }

    private static func encode(_ encoding: Encoding, to writer: inout ByteWriter) {
        switch encoding {
        case .plain: writer.put(UInt8(0))
        case .affine(let affine):
            writer.put(UInt8(1))
            writer.putList(affine.scales) { $0.put($1) }
            writer.putList(affine.zeroPoints) { $0.put($1) }
            writer.put(affine.axis ?? -1)
        }
    }

    private static func encoding(_ reader: inout ByteReader) throws(RuntimeError) -> Encoding {
        let tag = try reader.integer(UInt8.self)
        switch tag {
        case 0: return .plain
        case 1:
            let scales = try reader.list(width: 4) { (reader: inout ByteReader) throws(RuntimeError) in
                try reader.float()
            }
            let zeros = try reader.list(width: 4) { (reader: inout ByteReader) throws(RuntimeError) in
                try reader.integer(Int32.self)
            }
            let axis = try reader.int()
            return .affine(AffineQuantization(scales: scales, zeroPoints: zeros, axis: axis < 0 ? nil : axis))
        default: throw reader.damaged("encoding \(tag)")
        }
    }
}
