import NIOCore
import OunceGraph

/// How a client wants its outputs: in the JSON, or as bytes behind it.
package struct OutputFormat {
    var binaryByDefault = false
    var binaryByName: [String: Bool] = [:]

    func isBinary(_ name: String) -> Bool { binaryByName[name] ?? binaryByDefault }
}

/// Decodes the body of an infer request: JSON, with tensors inside it or in the bytes behind it.
///
/// Source: KServe Open Inference Protocol version 2; its binary tensor data extension.
package struct InferRequestDecoder {
    static let maxRank = 32
    static let maxTensors = 256
    static let maxSequenceBytes = 128

    /// - Parameter jsonLength: of the header `Inference-Header-Content-Length`; nil: the body is JSON alone.
    package static func decode(
        _ body: ByteBuffer, jsonLength: Int?
    ) throws(ServiceError) -> (request: InferenceRequest, format: OutputFormat) {
        let length = jsonLength ?? body.readableBytes
        guard (0...body.readableBytes).contains(length) else {
            throw ServiceError(
                .invalid,
                "Inference-Header-Content-Length is \(length), but the body has \(body.readableBytes) bytes")
        }
        let result: Result<(InferenceRequest, OutputFormat), ServiceError> = body.withUnsafeReadableBytes { bytes in
            var decoder = InferRequestDecoder(
                json: UnsafeRawBufferPointer(rebasing: bytes[..<length]),
                binary: UnsafeRawBufferPointer(rebasing: bytes[length...]))
            do throws(ServiceError) {
                return .success(try decoder.decode())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private struct Input {
        var name: String?
        var datatype: String?
        var shape: [Int]?
        var data: Range<Int>?
        var parameters = Parameters()
    }

    private struct Parameters {
        var binarySize: Int?
        var isBinary: Bool?
        var binaryByDefault: Bool?
        var unsupported: String?
        var sequence: SequenceID?
        var isStart = false
        var isEnd = false
    }

    private let json: UnsafeRawBufferPointer
    private let binary: UnsafeRawBufferPointer
    private var binaryOffset = 0
    private var id: String?
    private var inputs: [Input] = []
    private var outputs: [String]?
    private var format = OutputFormat()
    private var sequence: SequenceControl?

    private init(json: UnsafeRawBufferPointer, binary: UnsafeRawBufferPointer) {
        self.json = json
        self.binary = binary
    }

    private mutating func decode() throws(ServiceError) -> (InferenceRequest, OutputFormat) {
        do throws(JSONError) {
            try parse()
        } catch {
            throw ServiceError(.invalid, "the request's JSON is wrong at byte \(error.offset): \(error.message)")
        }
        var tensors: [InferenceRequest.Input] = []
        tensors.reserveCapacity(inputs.count)
        for input in inputs { tensors.append(try tensor(input)) }
        guard binaryOffset == binary.count else {
            throw ServiceError(
                .invalid,
                "\(binary.count) bytes follow the JSON, but the inputs' binary_data_size add up to \(binaryOffset)")
        }
        return (InferenceRequest(id: id, inputs: tensors, outputs: outputs, sequence: sequence), format)
    }

    // MARK: JSON

    private mutating func parse() throws(JSONError) {
        var reader = JSONReader(json)
        try reader.beginObject()
        var first = true
        while let name = try reader.nextMember(&first) {
            switch name {
            case "id": id = try reader.string()
            case "parameters":
                let parameters = try Self.parameters(&reader)
                format.binaryByDefault = parameters.binaryByDefault ?? false
                sequence = try Self.sequence(parameters, reader)
            case "inputs":
                try Self.array(&reader, limit: Self.maxTensors) { reader throws(JSONError) in
                    inputs.append(try Self.input(&reader))
                }
            case "outputs": try parseOutputs(&reader)
            default: try reader.skipValue()
            }
        }
        try reader.finish()
    }

    private static func sequence(
        _ parameters: Parameters, _ reader: JSONReader
    ) throws(JSONError) -> SequenceControl? {
        if let id = parameters.sequence {
            return SequenceControl(id: id, isStart: parameters.isStart, isEnd: parameters.isEnd)
        }
        guard !parameters.isStart, !parameters.isEnd else {
            throw reader.error("sequence_start or sequence_end without a sequence_id other than 0")
        }
        return nil
    }

    /// A number or a text; 0 and the empty text are none.
    private static func sequenceID(_ reader: inout JSONReader) throws(JSONError) -> SequenceID? {
        guard try reader.peek() == .number else {
            let text = try reader.string()
            guard text.utf8.count <= maxSequenceBytes else {
                throw reader.error("a sequence_id of more than \(maxSequenceBytes) bytes")
            }
            return text.isEmpty ? nil : .text(text)
        }
        let number = try reader.number()
        guard let id = JSONNumber.integer(number.text, isInteger: number.isInteger, as: UInt64.self) else {
            throw reader.error("a sequence_id that is no whole number from 0 to 2^64 - 1")
        }
        return id == 0 ? nil : .number(id)
    }

    private mutating func parseOutputs(_ reader: inout JSONReader) throws(JSONError) {
        var names: [String] = []
        try Self.array(&reader, limit: Self.maxTensors) { reader throws(JSONError) in
            var name: String?
            var parameters = Parameters()
            try reader.beginObject()
            var first = true
            while let member = try reader.nextMember(&first) {
                switch member {
                case "name": name = try reader.string()
                case "parameters": parameters = try Self.parameters(&reader)
                default: try reader.skipValue()
                }
            }
            guard let name else { throw reader.error("an output without a name") }
            if let unsupported = parameters.unsupported { throw reader.error("'\(unsupported)' is not served") }
            names.append(name)
            if let isBinary = parameters.isBinary { format.binaryByName[name] = isBinary }
        }
        // An empty list asks for all, as no list does.
        outputs = names.isEmpty ? nil : names
    }

    private static func input(_ reader: inout JSONReader) throws(JSONError) -> Input {
        var input = Input()
        try reader.beginObject()
        var first = true
        while let member = try reader.nextMember(&first) {
            switch member {
            case "name": input.name = try reader.string()
            case "datatype": input.datatype = try reader.string()
            case "shape": input.shape = try shape(&reader)
            // The type may come after the data: note where they are and read them later.
            case "data": input.data = try reader.skipValue()
            case "parameters": input.parameters = try parameters(&reader)
            default: try reader.skipValue()
            }
        }
        return input
    }

    private static func shape(_ reader: inout JSONReader) throws(JSONError) -> [Int] {
        var dims: [Int] = []
        try array(&reader, limit: maxRank) { reader throws(JSONError) in
            let number = try reader.number()
            guard let dim = JSONNumber.integer(number.text, isInteger: number.isInteger, as: Int.self), dim >= 0 else {
                throw reader.error("an extent that is no number from 0")
            }
            dims.append(dim)
        }
        return dims
    }

    /// Parameters that are not known are passed over.
    private static func parameters(_ reader: inout JSONReader) throws(JSONError) -> Parameters {
        var parameters = Parameters()
        try reader.beginObject()
        var first = true
        while let name = try reader.nextMember(&first) {
            switch name {
            case "binary_data_size":
                let number = try reader.number()
                guard let size = JSONNumber.integer(number.text, isInteger: number.isInteger, as: Int.self), size >= 0
                else { throw reader.error("a binary_data_size that is no number from 0") }
                parameters.binarySize = size
            case "binary_data": parameters.isBinary = try reader.bool()
            case "binary_data_output": parameters.binaryByDefault = try reader.bool()
            case "sequence_id": parameters.sequence = try sequenceID(&reader)
            case "sequence_start": parameters.isStart = try reader.bool()
            case "sequence_end": parameters.isEnd = try reader.bool()
            case "shared_memory_region", "classification":
                parameters.unsupported = name
                try reader.skipValue()
            default: try reader.skipValue()
            }
        }
        return parameters
    }

    private static func array(
        _ reader: inout JSONReader, limit: Int, _ element: (inout JSONReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        try reader.beginArray()
        var first = true
        var count = 0
        while try reader.nextElement(&first) {
            count += 1
            guard count <= limit else { throw reader.error("a list of more than \(limit) elements") }
            try element(&reader)
        }
    }

    // MARK: Tensors

    private mutating func tensor(_ input: Input) throws(ServiceError) -> InferenceRequest.Input {
        guard let name = input.name else { throw ServiceError(.invalid, "an input has no 'name'") }
        let label = "input '\(excerpt(name))'"
        if let unsupported = input.parameters.unsupported {
            throw ServiceError(.unsupported, "\(label): '\(unsupported)' is not served; send the data in the request")
        }
        guard let datatype = input.datatype else { throw ServiceError(.invalid, "\(label) has no 'datatype'") }
        guard let known = Datatype(rawValue: datatype) else {
            let names = Datatype.allCases.map(\.rawValue).joined(separator: ", ")
            throw ServiceError(.invalid, "\(label): there is no datatype '\(excerpt(datatype))'; use one of \(names)")
        }
        guard let dtype = known.dtype else {
            throw ServiceError(.unsupported, "\(label): no model here takes \(datatype)")
        }
        guard let dims = input.shape else { throw ServiceError(.invalid, "\(label) has no 'shape'") }
        let shape = Shape(dims)
        guard let count = shape.elementCount else {
            throw ServiceError(.invalid, "\(label): shape \(shape) has more than \(Shape.maximumElements) elements")
        }
        if let size = input.parameters.binarySize {
            guard input.data == nil else {
                throw ServiceError(.invalid, "\(label) has both 'data' and 'binary_data_size'; give one")
            }
            return .init(name: name, tensor: try binaryTensor(label, dtype, shape, size: size))
        }
        guard let range = input.data else {
            throw ServiceError(.invalid, "\(label) has neither 'data' nor 'binary_data_size'")
        }
        // Each element takes a digit and a comma at least, so what is allocated is bounded by what was sent.
        guard count <= range.count / 2 + 1 else {
            throw ServiceError(.invalid, "\(label): shape \(shape) wants \(count) elements; 'data' has fewer")
        }
        let data = UnsafeRawBufferPointer(rebasing: json[range])
        return .init(name: name, tensor: try TensorText.decode(data, dtype: dtype, shape: shape, label: label))
    }

    private mutating func binaryTensor(
        _ label: String, _ dtype: DType, _ shape: Shape, size: Int
    ) throws(ServiceError) -> Tensor {
        let wanted = (shape.elementCount ?? 0) * dtype.byteSize
        guard size == wanted else {
            throw ServiceError(
                .invalid,
                "\(label): binary_data_size is \(size), but \(Datatype(dtype).rawValue) \(shape) takes \(wanted) bytes")
        }
        guard size <= binary.count - binaryOffset else {
            throw ServiceError(
                .invalid,
                "\(label): binary_data_size is \(size), but only \(binary.count - binaryOffset) bytes are left")
        }
        let source = UnsafeRawBufferPointer(rebasing: binary[binaryOffset..<binaryOffset + size])
        binaryOffset += size
        // Any other byte than 0 and 1 is no Bool that Swift may load.
        if dtype == .bool, source.contains(where: { $0 > 1 }) {
            throw ServiceError(.invalid, "\(label): a BOOL is one byte, 0 or 1")
        }
        let storage = TensorStorage(byteCount: size) { $0.copyMemory(from: source) }
        guard let tensor = Tensor(dtype: dtype, shape: shape, storage: storage) else {
            throw ServiceError(.internal, "\(label) cannot be stored")
        }
        return tensor
    }
}
