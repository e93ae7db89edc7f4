import OunceGraph

/// Operators of the domain `com.microsoft`, which ONNX Runtime's tools write.
extension ONNXTranslation {
    mutating func fusedActivation(
        _ x: String, _ node: inout ONNXNode, parameters: [Float]
    ) throws(ImportFailure) -> ONNXBinding {
        let name = node.string("activation", default: "")
        let keys: [String]
        switch name {
        case "": return try result(named: x)
        case "Relu", "Sigmoid", "Tanh", "HardSwish", "Softplus", "Softsign": keys = []
        case "LeakyRelu", "Elu", "ThresholdedRelu": keys = ["alpha"]
        case "HardSigmoid": keys = ["alpha", "beta"]
        case "Clip":
            let bounds = [parameters.first ?? -.infinity, parameters.count > 1 ? parameters[1] : .infinity]
            guard bounds.allSatisfy({ !$0.isNaN }) else { throw .corrupt("a bound is no number") }
            return .value(try unary(.clip(bounds[0], bounds[1]), try value(x)))
        default: throw .unsupported("activation '\(name)'")
        }
        let attributes = zip(keys, parameters).map { attribute($0, $1) }
        return try result(named: try run(name, [x], attributes, for: node))
    }

    mutating func fusedConvolution(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let parameters = node.attribute("activation_params")?.floats ?? []
        let inputs = try [0, 1].map { (index) throws(ImportFailure) in try name(node, index) } + [node.input(2) ?? ""]
        var y = try run("Conv", inputs, attributes(&node, but: "activation", "activation_params"), for: node)
        if let addend = node.input(3) { y = try run("Add", [y, addend], for: node) }
        return try fusedActivation(y, &node, parameters: parameters)
    }

    mutating func fusedGemm(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let parameters = ["activation_alpha", "activation_beta", "activation_gamma"].compactMap {
            node.attribute($0)?.f
        }
        let kept = attributes(
            &node, but: "activation", "activation_alpha", "activation_beta", "activation_gamma")
        return try fusedActivation(try run("Gemm", node.proto.input, kept, for: node), &node, parameters: parameters)
    }

    mutating func fusedMatMul(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        try node.require("transBatchA", 0)
        try node.require("transBatchB", 0)
        var inputs: [String] = []
        for (index, flag) in ["transA", "transB"].enumerated() {
            var input = try name(node, index)
            if node.int(flag, default: 0) != 0 {
                let x = try value(input)
                guard rank(x) >= 2 else { throw .corrupt("the transpose of \(shape(x))") }
                var order = Array(0..<rank(x))
                order.swapAt(rank(x) - 1, rank(x) - 2)
                input = named(try transpose(x, order))
            }
            inputs.append(input)
        }
        let product = try run("MatMul", inputs, for: node)
        let alpha = node.float("alpha", default: 1)
        guard alpha != 1 else { return try result(named: product) }
        let y = try value(product)
        return .value(try multiply(y, try scalar(Double(alpha), like: y)))
    }

    // MARK: Activations

    mutating func biasedGelu(_ node: inout ONNXNode, isFast: Bool) throws(ImportFailure) -> ONNXBinding {
        var x = try value(node, 0)
        if let bias = try optionalValue(node, 1) { x = try add(x, bias) }
        return .value(try gelu(x, isTanh: isFast))
    }

    mutating func quickGelu(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let scaled = try multiply(x, try scalar(Double(node.float("alpha", default: 1.702)), like: x))
        return .value(try multiply(x, try unary(.sigmoid, scaled)))
    }

    // MARK: Normalisation

    /// Input, skip, scale, then (unless simplified) bias, then a bias of the sum.
    mutating func skipNormalization(_ node: inout ONNXNode, isSimplified: Bool) throws(ImportFailure) -> ONNXBinding {
        var sum = try add(try value(node, 0), try value(node, 1))
        if let bias = try optionalValue(node, isSimplified ? 3 : 4) { sum = try add(sum, bias) }
        bind(node, output: 3, .value(sum))
        let epsilon = Double(node.float("epsilon", default: isSimplified ? 1e-5 : 1e-12))
        let beta = isSimplified ? nil : try optionalValue(node, 3)
        return .value(try normalizedRows(sum, try value(node, 2), beta, epsilon: epsilon, isCentred: !isSimplified))
    }

    mutating func simplifiedNormalization(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("stash_type")
        let x = try value(node, 0)
        guard try axis(node.int("axis", default: -1), of: x) == rank(x) - 1 else {
            throw .unsupported("normalisation over other axes than the last")
        }
        let epsilon = Double(node.float("epsilon", default: 1e-5))
        return .value(try normalizedRows(x, try value(node, 1), nil, epsilon: epsilon, isCentred: false))
    }

    private mutating func normalizedRows(
        _ x: ValueID, _ gamma: ValueID, _ beta: ValueID?, epsilon: Double, isCentred: Bool
    ) throws(ImportFailure) -> ValueID {
        let extents = Shape([shape(x)[rank(x) - 1]])
        if isCentred, type(x).dtype == .float32, extents.isStatic, shape(gamma) == extents,
            beta.map({ shape($0) == extents }) ?? true
        {
            return try make(.layerNormalization(axes: 1, epsilon: Float(epsilon)), [x, gamma, beta])
        }
        let axes = [rank(x) - 1]
        let centred = isCentred ? try subtract(x, try reduce(.mean, x, axes: axes)) : x
        let variance = try reduce(.mean, try square(centred), axes: axes)
        let deviation = try unary(.sqrt, try add(variance, try scalar(epsilon, like: x)))
        let scaled = try multiply(try divide(centred, deviation), gamma)
        guard let beta else { return scaled }
        return try add(scaled, beta)
    }

    mutating func embeddingNormalization(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("mask_index_type")
        let ids = try cast(try value(node, 0), .int64)
        guard rank(ids) == 2, shape(ids)[1] >= 0 else {
            throw .unsupported("tokens \(shape(ids)); export with a fixed length")
        }
        var sum = try make(.gather(.slices(axis: 0)), try value(node, 2), ids)
        let positions = try value(node, 3)
        if let places = try optionalValue(node, 8) {
            sum = try add(sum, try make(.gather(.slices(axis: 0)), positions, try cast(places, .int64)))
        } else {
            sum = try add(sum, try slice(positions, axis: 0, 0, shape(ids)[1]))
        }
        if let segments = try optionalValue(node, 1), let table = try optionalValue(node, 4) {
            sum = try add(sum, try make(.gather(.slices(axis: 0)), table, try cast(segments, .int64)))
        }
        bind(node, output: 2, .value(sum))
        if wants(node, output: 1) {
            let mask = try optionalValue(node, 7)
            let counts =
                if let mask {
                    try reduce(.sum, try cast(mask, .int32), axes: [1], keepDims: false)
                } else { try make(.expand([max(shape(ids)[0], 1)]), try scalar(0, .int32)) }
            bind(node, output: 1, .value(counts))
        }
        let epsilon = Double(node.float("epsilon", default: 1e-12))
        return .value(
            try normalizedRows(sum, try value(node, 5), try value(node, 6), epsilon: epsilon, isCentred: true))
    }

    // MARK: Attention

    /// One product for queries, keys and values of the same input.
    mutating func packedAttention(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let heads = node.int("num_heads", default: 0)
        try node.require("do_rotary", 0)
        guard node.input(4) == nil else { throw .unsupported("it has past keys; export without a cache") }
        let product = try run("MatMul", [try name(node, 0), try name(node, 1)], for: node)
        var all = try value(product)
        if let bias = try optionalValue(node, 2) { all = try add(all, bias) }
        let width = shape(all)[2]
        let sizes = node.ints("qkv_hidden_sizes") ?? [width / 3, width / 3, width / 3]
        guard rank(x) == 3, heads > 0, sizes.count == 3, sizes.reduce(0, +) == width,
            sizes.allSatisfy({ $0 > 0 && $0 % heads == 0 })
        else { throw .corrupt("\(heads) heads over \(shape(all))") }
        let query = try slice(all, axis: 2, 0, sizes[0])
        let key = try slice(all, axis: 2, sizes[0], sizes[0] + sizes[1])
        let value = try slice(all, axis: 2, sizes[0] + sizes[1], nil)
        return .value(
            try multiHead(
                query, key, value, heads, mask: try optionalValue(node, 3), bias: try optionalValue(node, 5), &node))
    }

    mutating func multiHeadAttention(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let heads = node.int("num_heads", default: 0)
        guard [6, 7].allSatisfy({ node.input($0) == nil }), node.input(1) != nil, node.input(2) != nil else {
            throw .unsupported("it has past keys or packed inputs; export without a cache")
        }
        var parts = [try value(node, 0), try value(node, 1), try value(node, 2)]
        guard parts.allSatisfy({ rank($0) == 3 || rank($0) == 4 }) else { throw .unsupported("packed inputs") }
        if let bias = try optionalValue(node, 3) {
            var start = 0
            for index in 0..<3 {
                let width = shape(parts[index])[2]
                parts[index] = try add(parts[index], try slice(bias, axis: 0, start, start + width))
                start += width
            }
        }
        return .value(
            try multiHead(
                parts[0], parts[1], parts[2], heads, mask: try optionalValue(node, 4), bias: try optionalValue(node, 5),
                &node))
    }

    /// - Parameter mask: lengths `[B]`, or 1 for what may be attended to: `[B, keys]`, `[B, queries, keys]`.
    private mutating func multiHead(
        _ query: ValueID, _ key: ValueID, _ value: ValueID, _ heads: Int, mask: ValueID?, bias: ValueID?,
        _ node: inout ONNXNode
    ) throws(ImportFailure) -> ValueID {
        let (q, k, v) = (try splitHeads(query, heads), try splitHeads(key, heads), try splitHeads(value, heads))
        let given = Double(node.float("scale", default: 0))
        let factor = given == 0 ? 1 / Double(max(shape(q)[3], 1)).squareRoot() : given
        let keys = try transpose(k, [0, 1, 3, 2])
        var scores = try make(.matMul, try multiply(q, try scalar(factor, like: q)), keys)
        if let bias { scores = try add(scores, bias) }
        let never = try scalar(Double(node.float("mask_filter_value", default: -10000)), like: scores)
        let zero = try scalar(0, like: scores)
        if let mask {
            let one = try scalar(0, like: mask)
            var dims: [ReshapeDimension]
            var isSeen: ValueID
            switch rank(mask) {
            case 1:
                guard shape(mask)[0] == shape(scores)[0] else { throw .unsupported("a mask \(shape(mask))") }
                let lengths = try reshape(try cast(mask, .int64), [.copy(0), .literal(1), .literal(1), .literal(1)])
                isSeen = try make(.compare(.less), try places(of: scores, along: 3), lengths)
            case 2, 3:
                dims = [.copy(0), .literal(1)] + (rank(mask) == 2 ? [.literal(1), .copy(1)] : [.copy(1), .copy(2)])
                isSeen = try make(.compare(.greater), try reshape(mask, dims), one)
            default: throw .unsupported("a mask \(shape(mask))")
            }
            scores = try add(scores, try choose(isSeen, zero, never))
        }
        if node.int("unidirectional", default: 0) != 0 {
            let isSeen = try make(
                .compare(.greaterOrEqual), try places(of: scores, along: 2), try places(of: scores, along: 3))
            scores = try choose(isSeen, scores, try scalar(-.infinity, like: scores))
        }
        let y = try transpose(try make(.matMul, try make(.softmax(axis: 3), scores), v), [0, 2, 1, 3])
        return try reshape(y, [.copy(0), .copy(1), .literal(heads * shape(v)[3])])
    }

    mutating func channelsLastMaxPool(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = named(try channelsFirst(try value(node, 0)))
        let y = try run("MaxPool", [x], attributes(&node), for: node)
        return .value(try channelsLast(try value(y)))
    }

    static let contrib = own.merging(same) { own, _ in own }

    private static let own: [String: Translate] = [
        "Attention": { (t, n) throws(ImportFailure) in try t.packedAttention(&n) },
        "BiasGelu": { (t, n) throws(ImportFailure) in try t.biasedGelu(&n, isFast: false) },
        "DynamicQuantizeLSTM": { (t, n) throws(ImportFailure) in try t.quantizedLSTM(&n) },
        "DynamicQuantizeMatMul": { (t, n) throws(ImportFailure) in try t.dynamicQuantizedMatMul(&n) },
        "EmbedLayerNormalization": { (t, n) throws(ImportFailure) in try t.embeddingNormalization(&n) },
        "FastGelu": { (t, n) throws(ImportFailure) in try t.biasedGelu(&n, isFast: true) },
        "FusedConv": { (t, n) throws(ImportFailure) in try t.fusedConvolution(&n) },
        "FusedGemm": { (t, n) throws(ImportFailure) in try t.fusedGemm(&n) },
        "FusedMatMul": { (t, n) throws(ImportFailure) in try t.fusedMatMul(&n) },
        "MatMulIntegerToFloat": { (t, n) throws(ImportFailure) in try t.integerMatMulToFloat(&n) },
        "MatMulNBits": { (t, n) throws(ImportFailure) in try t.blockQuantizedMatMul(&n) },
        "MultiHeadAttention": { (t, n) throws(ImportFailure) in try t.multiHeadAttention(&n) },
        "NhwcMaxPool": { (t, n) throws(ImportFailure) in try t.channelsLastMaxPool(&n) },
        "QGemm": { (t, n) throws(ImportFailure) in try t.quantizedGemm(&n) },
        "QLinearConcat": { (t, n) throws(ImportFailure) in try t.quantizedConcat(&n) },
        "QLinearWhere": { (t, n) throws(ImportFailure) in try t.quantizedWhere(&n) },
        "QuickGelu": { (t, n) throws(ImportFailure) in try t.quickGelu(&n) },
        "SimplifiedLayerNormalization": { (t, n) throws(ImportFailure) in try t.simplifiedNormalization(&n) },
        "SkipLayerNormalization": { (t, n) throws(ImportFailure) in
            try t.skipNormalization(&n, isSimplified: false)
        },
        "SkipSimplifiedLayerNormalization": { (t, n) throws(ImportFailure) in
            try t.skipNormalization(&n, isSimplified: true)
        },
        "QLinearAdd": { (t, n) throws(ImportFailure) in try t.quantizedBinary("Add", &n) },
        "QLinearMul": { (t, n) throws(ImportFailure) in try t.quantizedBinary("Mul", &n) },
        "QLinearAveragePool": { (t, n) throws(ImportFailure) in try t.quantizedUnary("AveragePool", &n) },
        "QLinearGlobalAveragePool": { (t, n) throws(ImportFailure) in try t.quantizedUnary("GlobalAveragePool", &n) },
        "QLinearLeakyRelu": { (t, n) throws(ImportFailure) in try t.quantizedUnary("LeakyRelu", &n) },
        "QLinearSigmoid": { (t, n) throws(ImportFailure) in try t.quantizedUnary("Sigmoid", &n) },
        "QLinearSoftmax": { (t, n) throws(ImportFailure) in try t.quantizedUnary("Softmax", &n) },
        "QLinearReduceMean": { (t, n) throws(ImportFailure) in try t.quantizedUnary("ReduceMean", &n) },
    ]

    /// What means the same as ONNX's own of that name.
    private static let same = operators.filter {
        [
            "LayerNormalization", "Gelu", "QuantizeLinear", "DequantizeLinear", "QLinearConv", "Trilu", "GridSample",
            "Unique",
        ].contains($0.key)
    }
}
