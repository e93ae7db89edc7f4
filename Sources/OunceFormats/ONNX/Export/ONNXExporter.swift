import OunceGraph

/// Writes graphs as ONNX models: opset 17, or a later one where an operator needs it, quantised values between QuantizeLinear and DequantizeLinear.
///
/// Spatial operators are channels-first as ONNX wants them; a transpose stands only where an input, an output or an
/// operator that is bound to an order of axes needs one. Source: ONNX operator specification.
package enum ONNXExporter {
    /// The lowest opset that has every operator of the graph; engines of some years ago read 17.
    package static func opset(of graph: Graph) -> Int64 {
        graph.nodes.reduce(17) { lowest, node in
            let dtype = node.inputs.first.flatMap { $0 }.map { graph[$0].dtype }
            let needed: Int64 =
                switch node.op {
                case .binary(.and, _), .binary(.or, _), .binary(.xor, _), .unary(.function(.not)):
                    dtype == .bool ? 17 : 18
                case .scatter(let scattering): [.maximum, .minimum].contains(scattering.reduction) ? 18 : 17
                case .pool(let pool) where pool.kind == .average: pool.dilations.allSatisfy { $0 == 1 } ? 17 : 19
                default: 17
                }
            return max(lowest, needed)
        }
    }

    /// Names of the quantised activations whose grids `.symmetric` has to replace, in the order of the graph.
    package static func asymmetricValues(_ graph: Graph) -> [String] {
        (graph.inputs + graph.nodes.flatMap(\.outputs)).filter { id in
            [.int8, .uint8].contains(graph[id].dtype)
                && graph[id].encoding.affine?.zeroPoints.contains { $0 != 0 } ?? false
        }.map { graph[$0].name }
    }

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
    /// - Throws: `.unsupported` with every node that ONNX cannot express, `.limit` where the model exceeds 2 GiB.
    package static func serialize(
        _ graph: Graph, quantization: Quantization = .asStored, producerVersion: String = ""
    ) throws(FormatError) -> [UInt8] {
        let source = quantization == .symmetric ? try SymmetricGrids.applied(to: graph) : graph
        var export = ONNXExport(source, isSymmetric: quantization == .symmetric, opset: opset(of: source))
        var model = ONNXModelProto()
        model.irVersion = irVersion
        model.producerName = "ounce"
        model.producerVersion = producerVersion
        var version = ONNXOperatorSetIdProto()
        version.version = export.opset
        model.opsetImport = [version]
        model.graph = try export.run()
        return try model.serializedBytes()
    }
}
