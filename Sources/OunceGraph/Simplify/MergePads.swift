/// Makes explicit padding part of the convolution, pooling or padding that reads it, also through a transpose.
struct MergePads: Rule {
    private struct Pad {
        var before: [Int]
        var after: [Int]
        let value: Float
        /// Small enough that two of them fit the bounds of shape inference.
        var isSmall: Bool { (before + after).allSatisfy { (0...1 << 19).contains($0) } }
        /// Whether it leaves the first and the last axis alone.
        var isSpatial: Bool {
            before.count >= 3 && [before.first, before.last, after.first, after.last].allSatisfy { $0 == 0 }
        }
    }

    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard let producer = sweep.producer(node, 0), let encoding = sweep.input(node, 0)?.encoding else { return nil }
        let permutation = producer.permutation
        guard let padding = permutation == nil ? producer : sweep.producer(producer, 0),
            case .pad(let before, let after, let value) = padding.op, let source = padding.inputs[0],
            sweep[source].encoding == encoding, sweep.output(padding)?.encoding == encoding
        else { return nil }
        var pad = Pad(before: before, after: after, value: value)
        if let permutation {
            pad.before = permutation.map { before[$0] }
            pad.after = permutation.map { after[$0] }
        }
        guard pad.isSmall, let op = merge(pad, into: node.op, isFloat: sweep[source].dtype == .float32) else {
            return nil
        }
        guard let permutation else {
            return .node(op, [source] + node.inputs.dropFirst(), for: node)
        }
        let (turn, turned) = try sweep.makeNode(
            .transpose(permutation), [source], name: producer.name, encoding: encoding)
        let inputs = [turned] + node.inputs.dropFirst()
        return .nodes([turn, Node(name: node.name, op: op, inputs: inputs, outputs: node.outputs)])
    }

    private func merge(_ pad: Pad, into op: Op, isFloat: Bool) -> Op? {
        let (top, bottom) = (pad.before.dropFirst().dropLast(), pad.after.dropFirst().dropLast())
        switch op {
        case .pad(let before, let after, let value) where value == pad.value:
            guard Pad(before: before, after: after, value: value).isSmall else { return nil }
            return .pad(before: add(before, pad.before[...]), after: add(after, pad.after[...]), value: value)
        case .conv(var conv) where pad.isSpatial && pad.value == 0:
            (conv.padBefore, conv.padAfter) = (add(conv.padBefore, top), add(conv.padAfter, bottom))
            return fits(conv.padBefore + conv.padAfter) ? .conv(conv) : nil
        case .pool(var pool) where pad.isSpatial:
            switch pool.kind {
            case .average:
                guard pad.value == 0,
                    pool.countIncludesPadding || (pool.padBefore + pool.padAfter).allSatisfy({ $0 == 0 })
                else { return nil }
                pool.countIncludesPadding = true
            case .max: guard isFloat, pad.value == -.infinity else { return nil }
            }
            (pool.padBefore, pool.padAfter) = (add(pool.padBefore, top), add(pool.padAfter, bottom))
            return fits(pool.padBefore + pool.padAfter) ? .pool(pool) : nil
        default: return nil
        }
    }

    private func fits(_ paddings: [Int]) -> Bool { paddings.allSatisfy { $0 <= 1 << 20 } }

    private func add(_ a: [Int], _ b: ArraySlice<Int>) -> [Int] { zip(a, b).map { $0 + $1 } }
}
