import ArgumentParser
import OunceCompress
import OunceFormats
import OunceGraph
import OunceRuntime
import OunceSystem

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
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
        /// Bytes of the file that was exported.
        var inputBytes: Int
        /// Activations whose grid had to become symmetric, which loses accuracy.
        var regridded: [String]
        var warnings: [String]
    }

    func run() throws {
        try Failure.reporting {
            let loaded = try inputs.load(file)
            let bytes = try ONNXExporter.serialize(
                loaded.graph, quantization: symmetric ? .symmetric : .asStored, producerVersion: Ounce.version)
            try AtomicFile.write(bytes, to: onnx)
            let regridded = symmetric ? ONNXExporter.asymmetricValues(loaded.graph) : []
            let result = Result(
                output: onnx, bytes: bytes.count, opset: Int(ONNXExporter.opset(of: loaded.graph)),
                symmetric: symmetric, inputBytes: loaded.byteCount, regridded: regridded,
                warnings: regridded.isEmpty ? [] : [Self.warning(regridded)])
            for warning in result.warnings { Failure.say("ounce: \(warning)") }
            if json {
                try JSONOutput.write(result)
            } else {
                print(
                    "\(onnx): ONNX of opset \(result.opset), \(Text.bytes(bytes.count)) "
                        + "(\(file): \(Text.bytes(loaded.byteCount)))")
            }
        }
    }

    private static func warning(_ names: [String]) -> String {
        let some = names.prefix(3).joined(separator: ", ") + (names.count > 3 ? ", …" : "")
        return
            "\(names.count) activations (\(some)) have a zero point and were given coarser symmetric grids: up to one "
            + "bit of eight and some 2 points of accuracy are lost; compress the float model with --symmetric instead, "
            + "which calibrates symmetric grids and exports without loss"
    }
}
