import OunceGraph

@testable import OunceFormats

/// What TensorRT asks of an ONNX model with explicit quantisation, checked on a written model.
///
/// Source: NVIDIA TensorRT developer guide, "Explicit quantization" (int8, zero point 0; weights per channel along the
/// outputs, activations per tensor) and its advice on where Q/DQ pairs stand (inputs of layers with weights, both sides of
/// a residual addition, none between a layer and its activation, none on a bias).
struct ExplicitQuantizationRules {
    private(set) var violations: [String] = []
    private(set) var int8Layers = 0

    private let initializers: [String: ONNXTensorProto]
    private let producers: [String: ONNXNodeProto]
    private let readers: [String: [ONNXNodeProto]]

    init(_ model: ONNXModelProto) {
        let graph = model.graph
        initializers = Dictionary(graph.initializer.map { ($0.name, $0) }) { first, _ in first }
        producers = Dictionary(graph.node.flatMap { node in node.output.map { ($0, node) } }) { first, _ in first }
        readers = Dictionary(
            grouping: graph.node.flatMap { node in node.input.map { (name: $0, node: node) } }, by: \.name
        ).mapValues { $0.map(\.node) }
        check(model.opsetImport.contains { $0.version >= 13 }, "the opset is below 13")
        for node in graph.node {
            switch node.opType {
            case "QuantizeLinear", "DequantizeLinear": checkPair(node)
            case "Conv", "Gemm", "MatMul": checkLayer(node)
            case "Add": checkAddition(node)
            default: break
            }
        }
    }

    private mutating func check(_ condition: Bool, _ message: String) {
        if !condition { violations.append(message) }
    }

    private func isDequantized(_ name: String) -> Bool { producers[name]?.opType == "DequantizeLinear" }

    /// The initialiser behind the DequantizeLinear that makes `name`.
    private func storedConstant(_ name: String) -> ONNXTensorProto? {
        producers[name].flatMap { isDequantized(name) ? initializers[$0.input[0]] : nil }
    }

    private mutating func checkPair(_ node: ONNXNodeProto) {
        let zero = node.input.count > 2 ? initializers[node.input[2]] : nil
        check(
            zero?.dataType == DType.int8.onnxCode && zero?.rawData.allSatisfy { $0 == 0 } == true,
            "\(node.name): the zero point is no int8 zero")
        let scale = initializers[node.input[1]]
        let isConstant = initializers[node.input[0]] != nil
        check(scale != nil, "\(node.name): the scale is no constant")
        check(isConstant || scale?.dims.isEmpty == true, "\(node.name): an activation with several scales")
        if node.opType == "QuantizeLinear" {
            let next = readers[node.output[0], default: []]
            check(
                !next.isEmpty && next.allSatisfy { $0.opType == "DequantizeLinear" },
                "\(node.name): no DequantizeLinear follows")
        }
    }

    private mutating func checkLayer(_ node: ONNXNodeProto) {
        guard let weights = storedConstant(node.input[1]) else { return }
        let axis = producers[node.input[1]]?.attribute.first { $0.name == "axis" }.map { Int($0.i) }
        let outputs = node.opType == "MatMul" ? weights.dims.count - 1 : 0
        check(axis == nil || axis == outputs, "\(node.name): weights with scales along axis \(axis ?? 0)")
        if node.opType == "MatMul", axis != nil {
            check(weights.dims.count == 2, "\(node.name): a batched product with a scale for each channel")
        }
        if node.input.count > 2 { check(!isDequantized(node.input[2]), "\(node.name): the bias is quantised") }
        guard isDequantized(node.input[0]) else { return }
        int8Layers += 1
        // A pair right behind the layer, before its activation, would break their fusion.
        for next in readers[node.output[0], default: []] where next.opType == "QuantizeLinear" {
            for dequantize in readers[next.output[0], default: []] {
                let after = readers[dequantize.output[0], default: []].map(\.opType)
                check(!after.contains("Relu") && !after.contains("Clip"), "\(node.name): a pair before its activation")
            }
        }
    }

    private mutating func checkAddition(_ node: ONNXNodeProto) {
        let quantized = node.input.filter(isDequantized)
        check(
            quantized.isEmpty || quantized.count == node.input.count, "\(node.name): only one side of it is quantised")
    }
}
