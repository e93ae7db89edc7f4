import OunceGraph

/// A tensor alone in a file (`.pb`, ONNX's TensorProto), as test cases of ONNX hold their inputs and outputs.
package enum ONNXTensorFile {
    package static func read(path: String) throws(FormatError) -> Tensor {
        let file = try FormatError.mapping(path, maximumBytes: ONNXImporter.maximumBytes)
        do {
            return try parse(FileBytes(file))
        } catch { throw error.inFile(path) }
    }

    package static func parse(bytes: [UInt8]) throws(FormatError) -> Tensor { try parse(FileBytes(bytes)) }

    private static func parse(_ content: FileBytes) throws(FormatError) -> Tensor {
        var reader = ONNXReader()
        let proto = try reader.tensor(content)
        do throws(ImportFailure) {
            return try proto.tensor()
        } catch {
            switch error {
            case .fatal(let error): throw error
            case .unsupported(let reason): throw FormatError(.unsupported, reason)
            }
        }
    }
}
