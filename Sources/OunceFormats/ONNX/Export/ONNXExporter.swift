import OunceGraph

/// Writes graphs as ONNX models: opset 17, quantised values between QuantizeLinear and DequantizeLinear.
///
/// Spatial operators are channels-first as ONNX wants them; a transpose stands only where an input, an output or an
/// operator that is bound to an order of axes needs one. Source: ONNX operator specification, opset 17.
package enum ONNXExporter {
    package static let opset: Int64 = 17
    static let irVersion: Int64 = 8

    /// How quantised values are written.
    package enum Quantization: Sendable, Hashable {
        /// On the grids that they have; biases as int32.
        case asStored
        /// By TensorRT's rules for explicit quantisation: every zero point is 0, biases are float, and a value is
        /// quantised only where an operator reads it that gains from int8.
        case symmetric
    }

    /// The bytes of a model file.
    ///
    /// - Throws: `.unsupported` with the node that ONNX cannot express, `.limit` where the model exceeds 2 GiB.
    package static func serialize(
        _ graph: Graph, quantization: Quantization = .asStored, producerVersion: String = ""
    ) throws(FormatError) -> [UInt8] {
        let source = quantization == .symmetric ? try SymmetricGrids.applied(to: graph) : graph
        var export = ONNXExport(source, isSymmetric: quantization == .symmetric)
        var model = ONNXModelProto()
        model.irVersion = irVersion
        model.producerName = "ounce"
        model.producerVersion = producerVersion
        var version = ONNXOperatorSetIdProto()
        version.version = opset
        model.opsetImport = [version]
        model.graph = try export.run()
        return try model.serializedBytes()
    }
}
