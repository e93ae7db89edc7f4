import OunceGraph
import SwiftProtobuf

/// A tensor alone in a file (`.pb`, ONNX's TensorProto), as test cases of ONNX hold their inputs and outputs.
package enum ONNXTensorFile {
    package static func read(path: String) throws(FormatError) -> Tensor {
        let bytes = try FormatError.content(path, maximumBytes: ONNXImporter.maximumBytes)
        do {
            return try parse(bytes: bytes)
        } catch { throw error.inFile(path) }
    }

    package static func parse(bytes: [UInt8]) throws(FormatError) -> Tensor {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        options.messageDepthLimit = 16
        let proto: ONNXTensorProto
        do {
            proto = try ONNXTensorProto(serializedBytes: bytes, options: options)
        } catch { throw FormatError(.corrupt, "this is no tensor of ONNX (\(error))") }
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
