import OunceGraph

/// Operators of the domain `ai.onnx.ml`, as the converters of scikit-learn and of gradient boosting write them. Classes with
/// names come out as their places among the classes, counted from 0.
extension ONNXTranslation {
    private mutating func floats(_ node: ONNXNode, _ index: Int = 0) throws(ImportFailure) -> ValueID {
        let x = try value(node, index)
        let dtype = type(x).dtype
        return try cast(x, dtype == .float64 ? .float64 : .float32)
    }

    /// Rows of features; one row where there is but a list.
    private mutating func rows(_ node: ONNXNode) throws(ImportFailure) -> ValueID {
        let x = try floats(node)
        let table = rank(x) == 1 ? try reshape(x, [.literal(1), .copy(0)]) : x
        guard rank(table) == 2 else { throw .corrupt("its input is \(shape(x)); rows of features are wanted") }
        return try cast(table, .float32)
    }

    private mutating func transformed(_ x: ValueID, _ node: inout ONNXNode) throws(ImportFailure) -> ValueID {
        switch node.string("post_transform", default: "NONE") {
        case "NONE": return x
        case "LOGISTIC": return try unary(.sigmoid, x)
        case "SOFTMAX": return try make(.softmax(axis: rank(x) - 1), x)
        case "SOFTMAX_ZERO":
            let zero = try scalar(0, like: x)
            let powers = try unary(.exp, try subtract(x, try reduce(.max, x, axes: [rank(x) - 1])))
            let kept = try choose(try make(.compare(.equal), x, zero), zero, powers)
            return try divide(kept, try reduce(.sum, kept, axes: [rank(x) - 1]))
        case let name: throw .unsupported("post_transform \(name)")
        }
    }

    // MARK: Features

    mutating func extractFeatures(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var x = try value(node, 0)
        if rank(x) == 1 { x = try reshape(x, [.literal(1), .copy(0)]) }
        let places = try reshape(try cast(try value(node, 1), .int64), [.infer])
        return .value(try make(.gather(.slices(axis: rank(x) - 1)), x, places))
    }

    mutating func binarize(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let limit = try scalar(Double(node.float("threshold", default: 0)), like: x)
        return .value(try cast(try make(.compare(.greater), x, limit), type(x).dtype))
    }

    mutating func scaleFeatures(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var x = try floats(node)
        if let offset = node.attribute("offset")?.floats, !offset.isEmpty {
            x = try subtract(x, try cast(try numbers(offset), type(x).dtype))
        }
        if let scale = node.attribute("scale")?.floats, !scale.isEmpty {
            x = try multiply(x, try cast(try numbers(scale), type(x).dtype))
        }
        return .value(try cast(x, .float32))
    }

    mutating func normalizeRows(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try cast(try floats(node), .float32)
        let axis = rank(x) - 1
        let norm: ValueID
        switch node.string("norm", default: "MAX") {
        case "MAX": norm = try reduce(.max, x, axes: [axis])
        case "L1": norm = try reduce(.sum, try unary(.abs, x), axes: [axis])
        case "L2": norm = try unary(.sqrt, try reduce(.sum, try square(x), axes: [axis]))
        case let name: throw .corrupt("norm '\(name)'")
        }
        let isZero = try make(.compare(.equal), norm, try scalar(0, like: norm))
        return .value(try divide(x, try choose(isZero, try scalar(1, like: norm), norm)))
    }

    mutating func impute(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let values: ValueID
        let isMissing: ValueID
        if type(x).dtype.isFloat {
            values = try cast(try numbers(node.attribute("imputed_value_floats")?.floats ?? []), type(x).dtype)
            let replaced = node.float("replaced_value_float", default: 0)
            isMissing =
                replaced.isNaN
                ? try unary(.function(.not), try make(.compare(.equal), x, x))
                : try make(.compare(.equal), x, try scalar(Double(replaced), like: x))
        } else {
            values = try cast(try numbers((node.ints("imputed_value_int64s") ?? []).map { Int64($0) }), type(x).dtype)
            let replaced = try numbers([Int64(node.int("replaced_value_int64", default: 0))], [])
            isMissing = try make(.compare(.equal), x, try cast(replaced, type(x).dtype))
        }
        guard shape(values)[0] > 0 else { throw .corrupt("it has no values to put in") }
        return .value(try choose(isMissing, values, x))
    }

    mutating func joinFeatures(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("inputdimensions")
        var parts: [ValueID?] = []
        for index in node.proto.input.indices { parts.append(try cast(try value(node, index), .float32)) }
        return .value(try make(.concat(axis: 1), parts))
    }

    mutating func encodeOneHot(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("zeros")
        guard let classes = node.ints("cats_int64s") else { throw .unsupported("categories that are strings") }
        let x = try cast(try value(node, 0), .int64)
        let column = try reshape(x, shape(x).dims.indices.map { .copy($0) } + [.literal(1)])
        let isHot = try make(.compare(.equal), column, try numbers(classes.map { Int64($0) }))
        return .value(try cast(isHot, .float32))
    }

    mutating func encodeLabels(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        func list(_ name: String) throws(ImportFailure) -> (numbers: [Double], dtype: DType)? {
            if let ints = node.ints("\(name)_int64s") { return (ints.map { Double($0) }, .int64) }
            if let floats = node.attribute("\(name)_floats")?.floats { return (floats.map { Double($0) }, .float32) }
            if let tensor = node.attribute("\(name)_tensor") {
                let tensor = try tensor.t.tensor()
                return (tensor.doubles(), tensor.dtype)
            }
            return nil
        }
        guard let keys = try list("keys"), !keys.numbers.isEmpty else { throw .unsupported("keys that are strings") }
        var results = try list("values")
        if results == nil, let names = node.attribute("values_strings")?.strings {
            results = ((0..<names.count).map { Double($0) }, .int64)
        }
        guard let results, results.numbers.count == keys.numbers.count else {
            throw .corrupt("keys and values differ in number")
        }
        node.ignore("default_string")
        var absent =
            results.dtype.isFloat
            ? Double(node.float("default_float", default: 0)) : Double(node.int("default_int64", default: -1))
        if let tensor = node.attribute("default_tensor") { absent = try tensor.t.tensor().doubles().first ?? absent }
        let x = try cast(try value(node, 0), .float64)
        let column = try reshape(x, shape(x).dims.indices.map { .copy($0) } + [.literal(1)])
        let table = try numbers(keys.numbers)
        var isKey = try make(.compare(.equal), column, table)
        if keys.numbers.contains(where: \.isNaN) {
            let isNaN = try unary(.function(.not), try make(.compare(.equal), column, column))
            isKey = try binary(.or, isKey, try binary(.and, isNaN, try numbers(keys.numbers.map(\.isNaN))))
        }
        let marks = try cast(isKey, .uint8)
        let op = Op.argReduce(ArgReduction(isMaximum: true, axis: rank(marks) - 1, keepDims: false, selectsLast: false))
        let found = try make(.gather(.slices(axis: 0)), try numbers(results.numbers), try make(op, marks))
        let isKnown = try cast(try reduce(.max, marks, axes: [rank(marks) - 1], keepDims: false), .bool)
        return .value(try cast(try choose(isKnown, found, try scalar(absent, .float64)), results.dtype))
    }

    // MARK: Models

    mutating func linearRegression(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try rows(node)
        let targets = node.int("targets", default: 1)
        let scores = try linear(
            x, node.attribute("coefficients")?.floats, node.attribute("intercepts")?.floats, targets)
        return .value(try transformed(scores, &node))
    }

    private mutating func linear(
        _ x: ValueID, _ weights: [Float]?, _ bias: [Float]?, _ outputs: Int
    ) throws(ImportFailure) -> ValueID {
        guard let weights, outputs > 0, weights.count % outputs == 0 else { throw .corrupt("its coefficients") }
        let matrix = try numbers(weights, [outputs, weights.count / outputs])
        guard let bias, !bias.isEmpty else { return try make(.fullyConnected(.none), x, matrix) }
        guard bias.count == outputs else { throw .corrupt("\(bias.count) intercepts for \(outputs) results") }
        return try make(.fullyConnected(.none), x, matrix, try numbers(bias))
    }

    /// The number of classes, and their labels where these are integers.
    private func classes(_ node: inout ONNXNode, _ suffix: String = "int64s") -> (count: Int, labels: [Int64]) {
        let names = node.attribute("classlabels_strings")?.strings.count ?? 0
        let labels = node.ints("classlabels_\(suffix)") ?? []
        return labels.isEmpty ? (names, (0..<names).map { Int64($0) }) : (labels.count, labels.map { Int64($0) })
    }

    /// The label of the largest score of each row.
    private mutating func label(_ scores: ValueID, _ labels: [Int64]) throws(ImportFailure) -> ValueID {
        let op = ArgReduction(isMaximum: true, axis: 1, keepDims: false, selectsLast: false)
        return try make(.gather(.slices(axis: 0)), try numbers(labels), try make(.argReduce(op), scores))
    }

    mutating func linearClassification(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("multi_class")
        let x = try rows(node)
        let (count, labels) = classes(&node, "ints")
        let (weights, bias) = (node.attribute("coefficients")?.floats, node.attribute("intercepts")?.floats)
        let outputs = max(bias?.count ?? count, 1)
        let scores = try linear(x, weights, bias, outputs)
        guard outputs == 1, count == 2 else {
            guard count == outputs else { throw .corrupt("\(outputs) scores for \(count) classes") }
            bind(node, output: 1, .value(try transformed(scores, &node)))
            return .value(try label(scores, labels))
        }
        return .value(try twoClasses(scores, labels, isProbability: false, &node))
    }

    /// Two classes of which only the second has a score; the first has the rest.
    private mutating func twoClasses(
        _ score: ValueID, _ labels: [Int64], isProbability: Bool, _ node: inout ONNXNode
    ) throws(ImportFailure) -> ValueID {
        let post = node.string("post_transform", default: "NONE")
        var second = score
        var first: ValueID
        if isProbability || post == "LOGISTIC" {
            if post == "LOGISTIC" { second = try unary(.sigmoid, score) }
            first = try subtract(try scalar(1, like: second), second)
        } else {
            first = try unary(.negate, score)
        }
        var both = try make(.concat(axis: 1), first, second)
        if post == "SOFTMAX" || post == "SOFTMAX_ZERO" { both = try transformed(both, &node) }
        bind(node, output: 1, .value(both))
        let limit = try scalar(isProbability && post != "LOGISTIC" ? 0.5 : 0, like: score)
        let isSecond = try reshape(try make(.compare(.greater), score, limit), [.copy(0)])
        return try choose(isSecond, try numbers([labels[1]], []), try numbers([labels[0]], []))
    }

    private mutating func aggregate(_ node: inout ONNXNode) throws(ImportFailure) -> TreeEnsemble.Aggregate {
        switch node.string("aggregate_function", default: "SUM") {
        case "SUM": return .sum
        case "AVERAGE": return .average
        case "MIN": return .minimum
        case "MAX": return .maximum
        case let name: throw .corrupt("aggregate_function '\(name)'")
        }
    }

    private mutating func withBase(_ scores: ValueID, _ node: inout ONNXNode) throws(ImportFailure) -> ValueID {
        let base = try TreeTables.reals(&node, "base_values")
        guard !base.isEmpty else { return scores }
        return try add(scores, try cast(try numbers(base), .float32))
    }

    mutating func treeRegression(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try treeInput(node)
        let ensemble = TreeEnsemble(aggregate: try aggregate(&node), targets: node.int("n_targets", default: 1))
        let tables = try TreeTables(&node, prefix: "target")
        let scores = try withBase(try tables.emit(x, ensemble, in: &self), &node)
        return .value(try transformed(scores, &node))
    }

    private mutating func treeInput(_ node: ONNXNode) throws(ImportFailure) -> ValueID {
        let x = try floats(node)
        return rank(x) == 1 ? try reshape(x, [.literal(1), .copy(0)]) : x
    }

    mutating func treeClassification(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try treeInput(node)
        let (count, labels) = classes(&node)
        guard count > 0, count <= 1 << 16 else { throw .corrupt("\(count) classes") }
        let tables = try TreeTables(&node, prefix: "class")
        let speaksOfOne = count == 2 && tables.leafTargets.count == 1
        let ensemble = TreeEnsemble(aggregate: .sum, targets: count)
        var scores = try tables.emit(x, ensemble, in: &self)
        if speaksOfOne, let target = tables.leafTargets.first, (0...1).contains(target) {
            let score = try withBase(try slice(scores, axis: 1, Int(target), Int(target) + 1), &node)
            return .value(try twoClasses(score, labels, isProbability: !tables.hasNegativeWeight, &node))
        }
        scores = try withBase(scores, &node)
        bind(node, output: 1, .value(try transformed(scores, &node)))
        return .value(try label(scores, labels))
    }

    mutating func treeEnsemble(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let original = try value(node, 0)
        let x = try treeInput(node)
        let kinds: [TreeEnsemble.Aggregate] = [.average, .sum, .minimum, .maximum]
        let kind = node.int("aggregate_function", default: 1)
        guard kinds.indices.contains(kind) else { throw .corrupt("aggregate_function \(kind)") }
        try node.require("post_transform", 0)
        let ensemble = TreeEnsemble(aggregate: kinds[kind], targets: node.int("n_targets", default: 1))
        let tables = try TreeTables(&node)
        return .value(try cast(try tables.emit(x, ensemble, in: &self), type(original).dtype))
    }

    mutating func supportVectorRegression(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try rows(node)
        guard let coefficients = node.attribute("coefficients")?.floats, let rho = node.attribute("rho")?.floats.first
        else { throw .corrupt("its coefficients") }
        let supports = node.int("n_supports", default: 0)
        let parameters = node.attribute("kernel_params")?.floats ?? []
        let (gamma, coef, degree) =
            parameters.count == 3 ? (parameters[0], parameters[1], parameters[2]) : (0, 0, 0)
        let kernel = node.string("kernel_type", default: "LINEAR")
        var scores: ValueID
        if supports == 0 {
            scores = try linear(x, coefficients, nil, 1)
        } else {
            guard let vectors = node.attribute("support_vectors")?.floats, vectors.count % supports == 0,
                coefficients.count == supports
            else { throw .corrupt("its support vectors") }
            let width = vectors.count / supports
            let matrix = try numbers(vectors, [supports, width])
            let products = try make(.fullyConnected(.none), x, matrix)
            func scalarOf(_ number: Float) throws(ImportFailure) -> ValueID { try scalar(Double(number), like: x) }
            var values: ValueID
            switch kernel {
            case "LINEAR": values = products
            case "POLY":
                let shifted = try add(try multiply(products, try scalarOf(gamma)), try scalarOf(coef))
                values = try binary(.power, shifted, try scalarOf(degree))
            case "SIGMOID":
                values = try unary(.tanh, try add(try multiply(products, try scalarOf(gamma)), try scalarOf(coef)))
            case "RBF":
                let column = try reshape(x, [.copy(0), .literal(1), .copy(1)])
                let distance = try reduce(.sum, try square(try subtract(column, matrix)), axes: [2], keepDims: false)
                values = try unary(.exp, try multiply(distance, try scalarOf(-gamma)))
            case let name: throw .corrupt("kernel '\(name)'")
            }
            values = try make(.fullyConnected(.none), values, try numbers(coefficients, [1, supports]))
            scores = values
        }
        scores = try add(scores, try scalar(Double(rho), like: scores))
        if node.int("one_class", default: 0) != 0 {
            let isInside = try make(.compare(.greater), scores, try scalar(0, like: scores))
            scores = try choose(isInside, try scalar(1, like: scores), try scalar(-1, like: scores))
        }
        return .value(try transformed(scores, &node))
    }

    static let classical: [String: Translate] = [
        "ArrayFeatureExtractor": { (t, n) throws(ImportFailure) in try t.extractFeatures(n) },
        "Binarizer": { (t, n) throws(ImportFailure) in try t.binarize(&n) },
        "FeatureVectorizer": { (t, n) throws(ImportFailure) in try t.joinFeatures(&n) },
        "Imputer": { (t, n) throws(ImportFailure) in try t.impute(&n) },
        "LabelEncoder": { (t, n) throws(ImportFailure) in try t.encodeLabels(&n) },
        "LinearClassifier": { (t, n) throws(ImportFailure) in try t.linearClassification(&n) },
        "LinearRegressor": { (t, n) throws(ImportFailure) in try t.linearRegression(&n) },
        "Normalizer": { (t, n) throws(ImportFailure) in try t.normalizeRows(&n) },
        "OneHotEncoder": { (t, n) throws(ImportFailure) in try t.encodeOneHot(&n) },
        "SVMRegressor": { (t, n) throws(ImportFailure) in try t.supportVectorRegression(&n) },
        "Scaler": { (t, n) throws(ImportFailure) in try t.scaleFeatures(&n) },
        "TreeEnsemble": { (t, n) throws(ImportFailure) in try t.treeEnsemble(&n) },
        "TreeEnsembleClassifier": { (t, n) throws(ImportFailure) in try t.treeClassification(&n) },
        "TreeEnsembleRegressor": { (t, n) throws(ImportFailure) in try t.treeRegression(&n) },
        // A list of maps from class to probability elsewhere; here the table of probabilities itself.
        "ZipMap": { (t, n) throws(ImportFailure) in
            n.ignore("classlabels_int64s", "classlabels_strings")
            return try t.binding(n, 0)
        },
    ]
}
