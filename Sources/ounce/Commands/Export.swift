import ArgumentParser
import OunceCompress
import OunceFormats
import OunceGraph
import OunceRuntime
import OunceSystem

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes a model or artifact as standard ONNX, quantised layers between Q/DQ pairs.")

    @Argument(help: "A model (.onnx, .tflite) or an artifact (.ounce).")
    var file: String
    @Option(help: "Where the model goes (.onnx).")
    var onnx: String
    @Flag(help: "Obey TensorRT's rules for explicit quantisation: zero point 0 everywhere, float biases.")
    var symmetric = false
    @OptionGroup var inputs: InputOptions
    @Flag(help: "Print JSON.")
    var json = false

    struct Result: Encodable {
        var output: String
        var bytes: Int
        var opset: Int
        var symmetric: Bool
    }

    func run() throws {
        try Failure.reporting {
            let loaded = try LoadedModel(path: file, given: inputs.bindings())
            let bytes = try ONNXExporter.serialize(
                loaded.graph, quantization: symmetric ? .symmetric : .asStored, producerVersion: Ounce.version)
            try AtomicFile.write(bytes, to: onnx)
            let result = Result(
                output: onnx, bytes: bytes.count, opset: Int(ONNXExporter.opset), symmetric: symmetric)
            if json {
                try JSONOutput.write(result)
            } else {
                print("\(onnx): ONNX of opset \(result.opset), \(Text.bytes(bytes.count))")
            }
        }
    }
}
