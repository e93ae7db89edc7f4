/// Makes explicit padding part of the convolution or pooling that reads it.
struct MergePads: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard let pad = sweep.producer(node, 0), case .pad(let before, let after, let value) = pad.op,
            let x = sweep.input(pad, 0), x.encoding == sweep.input(node, 0)?.encoding,
            (before + after).allSatisfy({ (0...1 << 19).contains($0) })
        else { return nil }
        var inputs = node.inputs
        inputs[0] = pad.inputs[0]
        if case .pad(let outerBefore, let outerAfter, value) = node.op,
            (outerBefore + outerAfter).allSatisfy({ (0...1 << 19).contains($0) })
        {
            let op = Op.pad(
                before: zip(before, outerBefore).map { $0 + $1 }, after: zip(after, outerAfter).map { $0 + $1 },
                value: value)
            return .node(op, inputs, for: node)
        }
        guard before.count >= 3, [before.first, before.last, after.first, after.last].allSatisfy({ $0 == 0 }) else {
            return nil
        }
        let (top, bottom) = (before.dropFirst().dropLast(), after.dropFirst().dropLast())
        switch node.op {
        case .conv(var conv) where value == 0:
            guard let start = add(conv.padBefore, top), let end = add(conv.padAfter, bottom) else { return nil }
            (conv.padBefore, conv.padAfter) = (start, end)
            return .node(.conv(conv), inputs, for: node)
        case .pool(var pool):
            switch pool.kind {
            case .average:
                guard value == 0, pool.countIncludesPadding || (pool.padBefore + pool.padAfter).allSatisfy({ $0 == 0 })
                else { return nil }
                pool.countIncludesPadding = true
            case .max: guard value == -.infinity, x.dtype == .float32 else { return nil }
            }
            guard let start = add(pool.padBefore, top), let end = add(pool.padAfter, bottom) else { return nil }
            (pool.padBefore, pool.padAfter) = (start, end)
            return .node(.pool(pool), inputs, for: node)
        default: return nil
        }
    }

    private func add(_ a: [Int], _ b: ArraySlice<Int>) -> [Int]? {
        let sums = zip(a, b).map { $0 + $1 }
        return sums.allSatisfy { $0 <= 1 << 20 } ? sums : nil
    }
}
