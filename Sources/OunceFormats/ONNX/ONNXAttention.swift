import OunceGraph

extension ONNXTranslation {
    /// `[B, S, heads * D]` as `[B, heads, S, D]`.
    mutating func splitHeads(_ x: ValueID, _ heads: Int) throws(ImportFailure) -> ValueID {
        guard rank(x) == 3 else { return x }
        let width = shape(x)[2]
        guard heads > 0, width >= 0, width % heads == 0 else { throw .corrupt("\(heads) heads of \(shape(x))") }
        let split = try reshape(x, [.copy(0), .copy(1), .literal(heads), .literal(width / heads)])
        return try transpose(split, [0, 2, 1, 3])
    }

    /// Each of the key's or value's heads as often as queries share it.
    private mutating func repeatHeads(_ x: ValueID, _ count: Int) throws(ImportFailure) -> ValueID {
        guard count > 1 else { return x }
        let heads = shape(x)[1]
        let column = try reshape(x, [.copy(0), .copy(1), .literal(1), .copy(2), .copy(3)])
        let repeated = try make(.expand([1, 1, count, 1, 1]), column)
        return try reshape(repeated, [.copy(0), .literal(heads * count), .copy(3), .copy(4)])
    }

    mutating func attention(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let original = try value(node, 0)
        let q = try splitHeads(original, node.int("q_num_heads", default: 0))
        let kvHeads = node.int("kv_num_heads", default: 0)
        var k = try splitHeads(try value(node, 1), kvHeads)
        var v = try splitHeads(try value(node, 2), kvHeads)
        guard [q, k, v].allSatisfy({ rank($0) == 4 }) else { throw .corrupt("its inputs have no 3 or 4 axes") }
        var past = 0
        if let pastKey = try optionalValue(node, 4), let pastValue = try optionalValue(node, 5) {
            guard rank(pastKey) == 4, shape(pastKey)[2] >= 0 else {
                throw .unsupported("past keys \(shape(pastKey)); export with fixed shapes")
            }
            past = shape(pastKey)[2]
            k = try make(.concat(axis: 2), pastKey, k)
            v = try make(.concat(axis: 2), pastValue, v)
        }
        bind(node, output: 1, .value(k))
        bind(node, output: 2, .value(v))
        let (heads, shared) = (shape(q)[1], shape(k)[1])
        guard heads > 0, shared > 0, heads % shared == 0 else { throw .corrupt("\(heads) heads over \(shared)") }
        k = try repeatHeads(k, heads / shared)
        v = try repeatHeads(v, heads / shared)
        guard shape(q)[3] > 0 else { throw .corrupt("heads of \(shape(q))") }
        let given = node.attribute("scale").map { Double($0.f) }
        let root = try scalar((given ?? 1 / Double(shape(q)[3]).squareRoot()).squareRoot(), like: q)
        let keys = try multiply(try transpose(k, [0, 1, 3, 2]), root)
        var scores = try make(.matMul, try multiply(q, root), keys)
        let mode = node.int("qk_matmul_output_mode", default: 0)
        if mode == 0 { bind(node, output: 3, .value(scores)) }
        let cap = Double(node.float("softcap", default: 0))
        let isCausal = node.int("is_causal", default: 0) != 0
        let bias = try attentionBias(node, scores, past: past, isCausal: isCausal)
        // Version 23 of the operator adds the mask before it caps the scores, later ones cap first.
        let capsFirst = opset >= 24
        if capsFirst { scores = try capped(scores, cap) }
        if mode == 1, capsFirst, cap > 0 { bind(node, output: 3, .value(scores)) }
        if let bias { scores = try add(scores, bias) }
        if mode == 1, !(capsFirst && cap > 0) { bind(node, output: 3, .value(scores)) }
        if !capsFirst { scores = try capped(scores, cap) }
        if mode == 2 { bind(node, output: 3, .value(scores)) }
        if let dtype = DType(onnx: node.int("softmax_precision", default: 0)) { scores = try cast(scores, dtype) }
        var weights = try make(.softmax(axis: 3), scores)
        if try attentionMayBeEmpty(node) {
            // A query that may attend to nothing gives zeros.
            let top = try reduce(.max, scores, axes: [3])
            let isEmpty = try make(.compare(.equal), top, try scalar(-.infinity, like: top))
            weights = try choose(isEmpty, try scalar(0, like: weights), weights)
        }
        weights = try cast(weights, type(v).dtype)
        if mode == 3 { bind(node, output: 3, .value(weights)) }
        let y = try make(.matMul, weights, v)
        guard rank(original) == 3 else { return .value(y) }
        let merged = try transpose(y, [0, 2, 1, 3])
        return .value(try reshape(merged, [.copy(0), .copy(1), .literal(heads * shape(y)[3])]))
    }

    private mutating func capped(_ scores: ValueID, _ cap: Double) throws(ImportFailure) -> ValueID {
        guard cap > 0 else { return scores }
        let divisor = try scalar(cap, like: scores)
        return try multiply(try unary(.tanh, try divide(scores, divisor)), divisor)
    }

    private func attentionMayBeEmpty(_ node: ONNXNode) throws(ImportFailure) -> Bool {
        node.input(3) != nil || node.input(6) != nil
    }

    /// Minus infinity where a query may not attend to a key; nil where everything may be attended to.
    private mutating func attentionBias(
        _ node: ONNXNode, _ scores: ValueID, past: Int, isCausal: Bool
    ) throws(ImportFailure) -> ValueID? {
        let keys = shape(scores)[3]
        let (zero, never) = (try scalar(0, like: scores), try scalar(-.infinity, like: scores))
        var bias = try optionalValue(node, 3)
        if let mask = bias {
            var wide = type(mask).dtype == .bool ? try choose(mask, zero, never) : try cast(mask, type(scores).dtype)
            let own = shape(wide).dims.last ?? keys
            let missing = own > 1 ? keys - own : 0
            if missing > 0 {
                let before = [Int](repeating: 0, count: rank(wide))
                let after = Array(before.dropLast()) + [missing]
                wide = try make(.pad(before: before, after: after, value: -.infinity), wide)
            }
            bias = wide
        }
        let lengths = try optionalValue(node, 6)
        if isCausal {
            var row = try places(of: scores, along: 2)
            if past > 0 {
                row = try add(row, try scalar(Double(past), .int64))
            } else if let lengths {
                let offset = try subtract(try cast(lengths, .int64), try scalar(Double(shape(scores)[2]), .int64))
                row = try add(row, try reshape(offset, [.infer, .literal(1), .literal(1), .literal(1)]))
            }
            let isSeen = try make(.compare(.greaterOrEqual), row, try places(of: scores, along: 3))
            let causal = try choose(isSeen, zero, never)
            bias = try bias.map { (sofar) throws(ImportFailure) in try add(sofar, causal) } ?? causal
        }
        if let lengths {
            let column = try reshape(try cast(lengths, .int64), [.infer, .literal(1), .literal(1), .literal(1)])
            let isThere = try make(.compare(.less), try places(of: scores, along: 3), column)
            let padding = try choose(isThere, zero, never)
            bias = try bias.map { (sofar) throws(ImportFailure) in try add(sofar, padding) } ?? padding
        }
        return bias
    }

    mutating func rotaryEmbedding(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let original = try value(node, 0)
        let heads = node.int("num_heads", default: 0)
        // [B, heads, S, D]
        let x = try splitHeads(original, heads)
        guard rank(x) == 4, shape(x)[3] >= 0 else { throw .corrupt("its input is \(shape(original))") }
        let width = shape(x)[3]
        let given = node.int("rotary_embedding_dim", default: 0)
        let turned = given == 0 ? width : given
        guard turned > 0, turned <= width, turned % 2 == 0 else { throw .corrupt("\(turned) of \(width) are turned") }
        var tables: [ValueID] = []
        for index in 1...2 {
            var table = try value(node, index)
            if let places = try optionalValue(node, 3) { table = try make(.gather(.slices(axis: 0)), table, places) }
            // [B, S, D / 2]
            guard rank(table) == 3, shape(table)[2] == turned / 2 else { throw .corrupt("a table \(shape(table))") }
            tables.append(try reshape(table, [.copy(0), .literal(1), .copy(1), .copy(2)]))
        }
        let isInterleaved = node.int("interleaved", default: 0) != 0
        var halves: [ValueID] = []
        for half in 0...1 {
            var ranges = [SliceRange](repeating: .all, count: 4)
            ranges[3] =
                isInterleaved
                ? SliceRange(start: half, end: turned, step: 2)
                : SliceRange(start: half * turned / 2, end: (half + 1) * turned / 2)
            halves.append(try make(.slice(ranges), x))
        }
        let real = try subtract(try multiply(tables[0], halves[0]), try multiply(tables[1], halves[1]))
        let imaginary = try add(try multiply(tables[1], halves[0]), try multiply(tables[0], halves[1]))
        var y: ValueID
        if isInterleaved {
            let column: [ReshapeDimension] = [.copy(0), .copy(1), .copy(2), .copy(3), .literal(1)]
            let pairs = try make(.concat(axis: 4), try reshape(real, column), try reshape(imaginary, column))
            y = try reshape(pairs, [.copy(0), .copy(1), .copy(2), .literal(turned)])
        } else {
            y = try make(.concat(axis: 3), real, imaginary)
        }
        if turned < width { y = try make(.concat(axis: 3), y, try slice(x, axis: 3, turned, nil)) }
        guard rank(original) == 3 else { return .value(y) }
        return .value(try reshape(try transpose(y, [0, 2, 1, 3]), [.copy(0), .copy(1), .literal(heads * width)]))
    }
}
