import OunceGraph

/// Losses, and counts of n-grams.
extension ONNXTranslation {
    mutating func negativeLogLikelihood(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        .value(try likelihoodLoss(try value(node, 0), &node))
    }

    mutating func softmaxCrossEntropy(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let logarithms = try logSoftmax(try value(node, 0), axis: 1)
        bind(node, output: 1, .value(logarithms))
        return .value(try likelihoodLoss(logarithms, &node))
    }

    /// Minus the logarithms at the labels, weighted; labels to be ignored weigh nothing.
    private mutating func likelihoodLoss(
        _ logarithms: ValueID, _ node: inout ONNXNode
    ) throws(ImportFailure) -> ValueID {
        let labels = try cast(try value(node, 1), .int64)
        guard rank(logarithms) >= 2, rank(labels) == rank(logarithms) - 1 else {
            throw .corrupt("labels \(shape(labels)) for \(shape(logarithms))")
        }
        let ignored = node.attribute("ignore_index").map { Int($0.i) }
        let isIgnored = try ignored.map { (index) throws(ImportFailure) in
            try make(.compare(.equal), labels, try numbers([Int64(index)], []))
        }
        let zero = try scalar(0, like: logarithms)
        var places = labels
        if let isIgnored { places = try choose(isIgnored, try scalar(0, .int64), labels) }
        var column: [ReshapeDimension] = shape(labels).dims.indices.map { .copy($0) }
        column.insert(.literal(1), at: 1)
        let chosen = try make(.gather(.elements(axis: 1)), logarithms, try reshape(places, column))
        var kept: [ReshapeDimension] = shape(logarithms).dims.indices.map { .copy($0) }
        kept.remove(at: 1)
        var loss = try unary(.negate, try reshape(chosen, kept))
        var weights: ValueID?
        if let given = try optionalValue(node, 2) { weights = try make(.gather(.slices(axis: 0)), given, places) }
        if let isIgnored {
            let one = try scalar(1, like: loss)
            var kept = weights
            if kept == nil { kept = try make(.expand(try known(labels)), one) }
            weights = try kept.map { (kept) throws(ImportFailure) in try choose(isIgnored, zero, kept) }
            loss = try choose(isIgnored, zero, loss)
        }
        if let weights { loss = try multiply(loss, weights) }
        let all = Array(0..<rank(loss))
        switch node.string("reduction", default: "mean") {
        case "none": return loss
        case "sum": return try reduce(.sum, loss, axes: all, keepDims: false)
        case "mean":
            guard let weights else { return try reduce(.mean, loss, axes: all, keepDims: false) }
            let sum = try reduce(.sum, loss, axes: all, keepDims: false)
            return try divide(sum, try reduce(.sum, weights, axes: all, keepDims: false))
        case let name: throw .corrupt("reduction is '\(name)'")
        }
    }

    /// How often each n-gram of a list of integers occurs, also with gaps.
    mutating func ngramCounts(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        guard node.attribute("pool_strings") == nil else { throw .unsupported("n-grams of strings") }
        let original = try cast(try value(node, 0), .int64)
        let x = rank(original) == 1 ? try reshape(original, [.literal(1), .copy(0)]) : original
        guard rank(x) == 2, let starts = node.ints("ngram_counts"), let places = node.ints("ngram_indexes"),
            let pool = node.ints("pool_int64s")
        else { throw .corrupt("n-grams of \(shape(original)) without a pool") }
        let (shortest, longest) = (node.int("min_gram_length", default: 1), node.int("max_gram_length", default: 1))
        let (skips, width) = (node.int("max_skip_count", default: 0), try known(x)[1])
        let mode = node.string("mode", default: "TF")
        let weights = node.attribute("weights")?.floats
        guard (1...16).contains(shortest), (shortest...16).contains(longest), (0...64).contains(skips),
            places.allSatisfy({ (0...1 << 20).contains($0) }), starts.count <= 16,
            ["TF", "IDF", "TFIDF"].contains(mode), weights == nil || weights?.count == places.count
        else { throw .corrupt("the attributes of its n-grams") }
        let outputs = (places.max() ?? -1) + 1
        var total: ValueID?
        var gram = 0
        for length in 1...max(starts.count, 1) where length <= starts.count {
            let (start, end) = (starts[length - 1], length < starts.count ? starts[length] : pool.count)
            guard (0...pool.count).contains(start), (start...pool.count).contains(end), (end - start) % length == 0
            else { throw .corrupt("ngram_counts \(starts)") }
            let count = (end - start) / length
            defer { gram += count }
            guard count > 0, gram + count <= places.count else { continue }
            guard length >= shortest, length <= longest else { continue }
            var occurrences: ValueID?
            for skip in 0...(length == 1 ? 0 : skips) {
                let positions = width - (length - 1) * (skip + 1)
                guard positions > 0 else { continue }
                var match: ValueID?
                for part in 0..<length {
                    let words = (0..<count).map { Int64(pool[start + $0 * length + part]) }
                    let piece = try slice(x, axis: 1, part * (skip + 1), part * (skip + 1) + positions)
                    let equal = try make(
                        .compare(.equal), try reshape(piece, [.copy(0), .copy(1), .literal(1)]), try numbers(words))
                    match = try match.map { (sofar) throws(ImportFailure) in try binary(.and, sofar, equal) } ?? equal
                }
                guard let match else { continue }
                let sum = try reduce(.sum, try cast(match, .float32), axes: [1], keepDims: false)
                occurrences = try occurrences.map { (sofar) throws(ImportFailure) in try add(sofar, sum) } ?? sum
            }
            guard var found = occurrences else { continue }
            if mode == "IDF" { found = try binary(.minimum, found, try scalar(1, like: found)) }
            var matrix = [Float](repeating: 0, count: outputs * count)
            try builder.charge(4 * matrix.count)
            for index in 0..<count {
                matrix[places[gram + index] * count + index] = mode == "TF" ? 1 : weights?[gram + index] ?? 1
            }
            let spread = try make(.fullyConnected(.none), found, try numbers(matrix, [outputs, count]))
            total = try total.map { (sofar) throws(ImportFailure) in try add(sofar, spread) } ?? spread
        }
        if total == nil { total = try make(.expand([try known(x)[0], outputs]), try scalar(0, .float32)) }
        guard let result = total else { throw .corrupt("n-grams of nothing") }
        return .value(rank(original) == 1 ? try reshape(result, [.infer]) : result)
    }
}
