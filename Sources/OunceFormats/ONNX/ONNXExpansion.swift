import OunceGraph

/// Operators of other domains told in standard ones: each becomes a few nodes of ONNX, which are translated in its place.
extension ONNXTranslation {
    /// Translates one standard node on values of these names; its first output goes by `output`, or by a name of its own.
    @discardableResult
    mutating func run(
        _ op: String, _ inputs: [String], _ attributes: [ONNXAttributeProto] = [], for node: ONNXNode,
        outputs: [String]? = nil
    ) throws(ImportFailure) -> String {
        expansions += 1
        var proto = ONNXNodeProto()
        proto.opType = op
        proto.name = "\(node.name).\(op)"
        proto.input = inputs
        proto.output = outputs ?? ["\(node.name).\(op).\(expansions)"]
        proto.attribute = attributes
        var part = ONNXNode(proto)
        try run(&part)
        guard let first = proto.output.first, let made = bindings[first] else {
            throw .corrupt("its part \(op) gives no result")
        }
        if case .missing = made { throw .unsupported("its part \(op) cannot be translated") }
        return first
    }

    /// A name for a constant of the model's own making.
    mutating func named(_ tensor: Tensor) -> String {
        expansions += 1
        let name = "\(location).constant.\(expansions)"
        bindings[name] = .constant(tensor, .plain)
        return name
    }

    mutating func named(_ id: ValueID) -> String {
        expansions += 1
        let name = "\(location).value.\(expansions)"
        bindings[name] = .value(id)
        return name
    }

    /// Mutating, so that what its argument translates is seen.
    mutating func result(named name: String) throws(ImportFailure) -> ONNXBinding {
        guard let binding = bindings[name] else { throw .corrupt("'\(name)' is made by no node") }
        return binding
    }

    /// The name of an input that must be given.
    func name(_ node: ONNXNode, _ index: Int) throws(ImportFailure) -> String {
        guard let name = node.input(index) else { throw .corrupt("input \(index) is missing") }
        return name
    }

    /// The node's attributes but these.
    func attributes(_ node: inout ONNXNode, but dropped: String...) -> [ONNXAttributeProto] {
        let kept = node.proto.attribute.filter { !dropped.contains($0.name) }
        for attribute in node.proto.attribute { node.ignore(attribute.name) }
        return kept
    }

    func attribute(_ name: String, _ value: Int) -> ONNXAttributeProto {
        var attribute = ONNXAttributeProto()
        attribute.name = name
        attribute.i = Int64(value)
        return attribute
    }

    func attribute(_ name: String, _ value: Float) -> ONNXAttributeProto {
        var attribute = ONNXAttributeProto()
        attribute.name = name
        attribute.f = value
        return attribute
    }

    // MARK: Quantised operators

    /// The reals that integers with a scale and zero point stand for.
    mutating func dequantized(
        _ node: ONNXNode, _ x: Int, _ scale: Int, _ zero: Int, axis: Int = 1
    ) throws(ImportFailure) -> String {
        try run(
            "DequantizeLinear", [try name(node, x), try name(node, scale), node.input(zero) ?? ""],
            [attribute("axis", axis)], for: node)
    }

    mutating func quantized(
        _ real: String, _ node: ONNXNode, _ scale: Int, _ zero: Int
    ) throws(ImportFailure) -> ONNXBinding {
        try result(
            named: try run("QuantizeLinear", [real, try name(node, scale), node.input(zero) ?? ""], for: node))
    }

    /// `op` between dequantised inputs and a quantised output; `x` and `y` are where the numbers and the scales stand.
    mutating func quantizedUnary(_ op: String, _ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let isChannelsLast = node.int("channels_last", default: 0) != 0
        node.ignore("opset")
        let attributes = attributes(&node, but: "channels_last", "opset")
        var x = try dequantized(node, 0, 1, 2)
        if isChannelsLast { x = named(try channelsFirst(try value(x))) }
        var y = try run(op, [x], attributes, for: node)
        if isChannelsLast { y = named(try channelsLast(try value(y))) }
        return try quantized(y, node, 3, 4)
    }

    mutating func quantizedBinary(_ op: String, _ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (a, b) = (try dequantized(node, 0, 1, 2), try dequantized(node, 3, 4, 5))
        return try quantized(try run(op, [a, b], for: node), node, 6, 7)
    }

    mutating func quantizedConcat(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var parts: [String] = []
        for index in stride(from: 2, to: node.proto.input.count - 1, by: 3) {
            parts.append(try dequantized(node, index, index + 1, index + 2))
        }
        let joined = try run("Concat", parts, attributes(&node), for: node)
        return try quantized(joined, node, 0, 1)
    }

    mutating func quantizedWhere(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (a, b) = (try dequantized(node, 1, 2, 3), try dequantized(node, 4, 5, 6))
        return try quantized(try run("Where", [try name(node, 0), a, b], for: node), node, 7, 8)
    }

    /// Whether weights, scales and zero points are known, so that int8 inference can do it.
    mutating func isStaticallyQuantized(_ node: ONNXNode, _ indices: [Int]) throws(ImportFailure) -> Bool {
        for index in indices where node.input(index) != nil {
            guard case .constant = try binding(node, index) else { return false }
        }
        return true
    }

    /// int32 numbers whose scale is the product of two others and a factor.
    mutating func dequantizedSum(
        _ node: ONNXNode, _ index: Int, scales: (Int, Int), factor: Float = 1
    ) throws(ImportFailure) -> String? {
        guard node.input(index) != nil else { return nil }
        guard let a = try constant(node, scales.0)?.floats(), let b = try constant(node, scales.1)?.floats(),
            let first = a.first, let sum = try constant(node, index)?.doubles(), !b.isEmpty
        else { throw .unsupported("its bias or scales are no constants") }
        guard b.count == 1 || b.count == sum.count else { throw .corrupt("\(b.count) scales for \(sum.count) numbers") }
        let reals = sum.enumerated().map { Float($1) * first * b[b.count == 1 ? 0 : $0] * factor }
        return named(Tensor(reals))
    }

    mutating func staticQuantizedConvolution(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let isChannelsLast = node.int("channels_last", default: 0) != 0
        let attributes = attributes(&node, but: "channels_last")
        var x = try dequantized(node, 0, 1, 2)
        if isChannelsLast { x = named(try channelsFirst(try value(x))) }
        let weights = try dequantized(node, 3, 4, 5, axis: 0)
        let bias = try dequantizedSum(node, 8, scales: (1, 4))
        var y = try run("Conv", [x, weights] + (bias.map { [$0] } ?? []), attributes, for: node)
        if isChannelsLast { y = named(try channelsLast(try value(y))) }
        return try quantized(y, node, 6, 7)
    }

    mutating func staticQuantizedMatMul(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (a, b) = (try dequantized(node, 0, 1, 2), try dequantized(node, 3, 4, 5))
        return try quantized(try run("MatMul", [a, b], for: node), node, 6, 7)
    }

    mutating func quantizedGemm(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let alpha = node.float("alpha", default: 1)
        let isTransposed = node.int("transB", default: 0) != 0
        let (a, b) = (try dequantized(node, 0, 1, 2), try dequantized(node, 3, 4, 5, axis: isTransposed ? 0 : 1))
        let bias = try dequantizedSum(node, 6, scales: (1, 4), factor: 1)
        let product = try run("Gemm", [a, b] + (bias.map { [$0] } ?? []), attributes(&node), for: node)
        guard alpha == 1 || bias == nil else { throw .unsupported("alpha = \(alpha) with a bias") }
        guard node.input(7) != nil else { return try result(named: product) }
        return try quantized(product, node, 7, 8)
    }

    /// `a` on the grid of its own range, times integer weights.
    mutating func dynamicQuantizedMatMul(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let weights = try run(
            "DequantizeLinear", [try name(node, 1), try name(node, 2), node.input(3) ?? ""], [attribute("axis", 1)],
            for: node)
        return try biased(try run("MatMul", [try name(node, 0), weights], for: node), node, 4)
    }

    mutating func integerMatMulToFloat(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let (a, b) = (try dequantized(node, 0, 2, 4), try dequantized(node, 1, 3, 5))
        return try biased(try run("MatMul", [a, b], for: node), node, 6)
    }

    private mutating func biased(_ x: String, _ node: ONNXNode, _ index: Int) throws(ImportFailure) -> ONNXBinding {
        guard let bias = node.input(index) else { return try result(named: x) }
        return try result(named: try run("Add", [x, bias], for: node))
    }

    /// An LSTM with int8 weights `[directions, inputs, 4 * hidden]`; here they become the reals that they mean.
    mutating func quantizedLSTM(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var inputs = try (0..<8).map { (index) throws(ImportFailure) in node.input(index) ?? "" }
        for (index, scale) in [(1, 8), (2, 10)] {
            var x = try cast(try value(node, index), .float32)
            if let zero = try optionalValue(node, scale + 1) {
                x = try subtract(x, try cast(try perDirection(zero), .float32))
            }
            x = try multiply(x, try perDirection(try value(node, scale)))
            inputs[index] = named(try transpose(x, [0, 2, 1]))
        }
        let lstm = try run("LSTM", inputs, attributes(&node), for: node, outputs: node.proto.output)
        return try result(named: lstm)
    }

    private mutating func perDirection(_ x: ValueID) throws(ImportFailure) -> ValueID {
        rank(x) == 2
            ? try reshape(x, [.copy(0), .literal(1), .copy(1)]) : try reshape(x, [.copy(0), .literal(1), .literal(1)])
    }

    /// Weights of a few bits in blocks, as large language models have them: unpacked on import.
    mutating func blockQuantizedMatMul(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("accuracy_level")
        let (k, n) = (node.int("K", default: 0), node.int("N", default: 0))
        let (bits, block) = (node.int("bits", default: 4), node.int("block_size", default: 0))
        guard let packed = try constant(node, 1), packed.dtype == .uint8, let scales = try constant(node, 2)?.floats(),
            [2, 4, 8].contains(bits), (1...1 << 20).contains(k), (1...1 << 20).contains(n), block >= 16,
            node.input(4) == nil
        else { throw .unsupported("weights that are no constants of 2, 4 or 8 bits, or that are reordered") }
        let blocks = (k + block - 1) / block
        let perByte = 8 / bits
        let (blob, zeroRow) = ((block + perByte - 1) / perByte, (blocks + perByte - 1) / perByte)
        guard packed.count == n * blocks * blob, scales.count == n * blocks else { throw .corrupt("its weights") }
        let zeros = try constant(node, 3)
        let zeroBytes = zeros?.dtype == .uint8 ? zeros?.elements(UInt8.self) : nil
        guard zeros == nil || zeroBytes?.count == n * zeroRow else { throw .unsupported("its zero points") }
        func number(_ byte: UInt8, _ place: Int) -> Int { Int(byte >> UInt8(place % perByte * bits)) & (1 << bits - 1) }
        try builder.charge(4 * k * n)
        var weights = [Float](repeating: 0, count: n * k)
        for row in 0..<n {
            for column in 0..<k {
                let (part, inner) = (column / block, column % block)
                let byte = packed.bytes[(row * blocks + part) * blob + inner / perByte]
                let zero = zeroBytes.map { number($0[row * zeroRow + part / perByte], part) } ?? 1 << (bits - 1)
                weights[row * k + column] = Float(number(byte, inner) - zero) * scales[row * blocks + part]
            }
        }
        let y = try make(.fullyConnected(.none), try value(node, 0), try numbers(weights, [n, k]))
        guard let bias = try optionalValue(node, 5) else { return .value(y) }
        return .value(try add(y, bias))
    }
}
