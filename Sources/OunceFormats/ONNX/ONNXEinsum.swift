import OunceGraph

/// Sums of products in Einstein's notation, brought down to transpositions, multiplications and matrix products.
extension ONNXTranslation {
    mutating func einsum(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let equation = node.string("equation", default: "").filter { $0 != " " }
        let sides = equation.split(separator: ">", omittingEmptySubsequences: false)
        let left = sides[0].hasSuffix("-") ? String(sides[0].dropLast()) : String(sides[0])
        let terms = left.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard terms.count == node.proto.input.count, sides.count <= 2, equation.utf8.count <= 256 else {
            throw .corrupt("the equation '\(equation.prefix(64))' for \(node.proto.input.count) inputs")
        }
        var operands: [(id: ValueID, labels: [Character])] = []
        var ellipsis: [Character] = []
        for (index, term) in terms.enumerated() {
            let x = try value(node, index)
            var labels = try self.labels(term, rank: rank(x))
            let own = labels.filter(\.isNumber)
            if own.count > ellipsis.count { ellipsis = own }
            let diagonal = try withoutRepeats(x, &labels)
            operands.append((diagonal, labels))
        }
        let output: [Character]
        if sides.count == 2 {
            output = try self.labels(String(sides[1]), rank: nil, ellipsis: ellipsis)
        } else {
            let all = operands.flatMap(\.labels).filter { !$0.isNumber }
            let counts = Dictionary(left.map { ($0, 1) }, uniquingKeysWith: +)
            output = ellipsis + Set(all).filter { counts[$0] == 1 }.sorted()
        }
        guard Set(output).count == output.count else { throw .corrupt("an output label is repeated") }
        var (x, labels) = operands[0]
        for index in operands.indices.dropFirst() {
            let later = Set(operands[(index + 1)...].flatMap(\.labels) + output)
            (x, labels) = try product((x, labels), operands[index], kept: later)
        }
        let summed = labels.indices.filter { !output.contains(labels[$0]) }
        x = try reduce(.sum, x, axes: summed, keepDims: false)
        labels = labels.filter { output.contains($0) }
        guard Set(labels) == Set(output) else { throw .corrupt("an output label occurs in no input") }
        return .value(try transpose(x, output.compactMap { labels.firstIndex(of: $0) }))
    }

    /// One label for each axis; those of an ellipsis are digits, the last axis 0.
    private func labels(
        _ term: String, rank: Int?, ellipsis: [Character] = []
    ) throws(ImportFailure) -> [Character] {
        let characters = Array(term)
        guard characters.allSatisfy({ $0.isLetter || $0 == "." }) else { throw .corrupt("the term '\(term)'") }
        guard let place = characters.firstIndex(of: ".") else {
            guard rank == nil || rank == characters.count else { throw .corrupt("'\(term)' for \(rank ?? 0) axes") }
            return characters
        }
        guard characters[place...].starts(with: "...") else { throw .corrupt("the term '\(term)'") }
        let (before, after) = (characters[..<place], characters[(place + 3)...])
        let hidden = rank.map { $0 - before.count - after.count } ?? ellipsis.count
        guard (0...8).contains(hidden), !after.contains(".") else { throw .corrupt("'\(term)' for \(rank ?? 0) axes") }
        return Array(before) + (0..<hidden).reversed().map { Character("\($0)") } + Array(after)
    }

    /// The diagonal where a label is repeated.
    private mutating func withoutRepeats(
        _ x: ValueID, _ labels: inout [Character]
    ) throws(ImportFailure) -> ValueID {
        var x = x
        while let second = labels.indices.first(where: { labels[..<$0].contains(labels[$0]) }),
            let first = labels.firstIndex(of: labels[second])
        {
            let isDiagonal = try make(
                .compare(.equal), try places(of: x, along: first), try places(of: x, along: second))
            x = try choose(isDiagonal, x, try scalar(0, like: x))
            x = try reduce(.sum, x, axes: [second], keepDims: false)
            labels.remove(at: second)
        }
        return x
    }

    /// Labels that are `kept` or in both stay; those that only meet here are summed by a matrix product.
    private mutating func product(
        _ a: (id: ValueID, labels: [Character]), _ b: (id: ValueID, labels: [Character]), kept: Set<Character>
    ) throws(ImportFailure) -> (ValueID, [Character]) {
        let shared = a.labels.filter { b.labels.contains($0) }
        let batch = shared.filter { kept.contains($0) }
        let summed = shared.filter { !kept.contains($0) }
        let rows = a.labels.filter { !shared.contains($0) }
        let columns = b.labels.filter { !shared.contains($0) }
        func extents(_ labels: [Character], _ from: (id: ValueID, labels: [Character])) -> [Int] {
            labels.map { label in from.labels.firstIndex(of: label).map { shape(from.id)[$0] } ?? 1 }
        }
        func order(_ labels: [Character], _ from: [Character]) -> [Int] {
            labels.compactMap { from.firstIndex(of: $0) }
        }
        let (batchA, batchB) = (extents(batch, a), extents(batch, b))
        let (m, n) = (extents(rows, a), extents(columns, b))
        let (kA, kB) = (extents(summed, a), extents(summed, b))
        guard kA == kB, (batchA + batchB + m + n + kA).allSatisfy({ $0 >= 0 }) else {
            throw .unsupported("labels over unknown or broadcast extents; export with fixed shapes")
        }
        let (rowCount, columnCount, sumCount) = (m.reduce(1, *), n.reduce(1, *), kA.reduce(1, *))
        let left = try reshape(
            try transpose(a.id, order(batch + rows + summed, a.labels)), to: batchA + [rowCount, sumCount])
        let right = try reshape(
            try transpose(b.id, order(batch + summed + columns, b.labels)), to: batchB + [sumCount, columnCount])
        let product = try make(.matMul, left, right)
        let batchDims = zip(batchA, batchB).map { max($0, $1) }
        return (try reshape(product, to: batchDims + m + n), batch + rows + columns)
    }
}
