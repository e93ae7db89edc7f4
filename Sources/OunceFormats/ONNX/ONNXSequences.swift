import OunceGraph

/// Sequences and optionals, as far as their lengths are known on import.
extension ONNXTranslation {
    private func sequence(_ node: ONNXNode, _ index: Int) throws(ImportFailure) -> [ONNXBinding] {
        guard case .sequence(let items) = try binding(node, index) else {
            throw .unsupported("its input \(index) is no sequence that the model itself makes")
        }
        return items
    }

    mutating func makeSequence(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var items: [ONNXBinding] = []
        for index in node.proto.input.indices { items.append(try binding(node, index)) }
        return .sequence(items)
    }

    /// Where in `count` items the index of input `index` points.
    private mutating func place(_ node: ONNXNode, _ index: Int, of count: Int) throws(ImportFailure) -> Int? {
        guard let given = try integers(node, index)?.first else { return nil }
        let place = given < 0 ? given &+ count : given
        guard (0...count).contains(place) else { throw .corrupt("item \(given) of \(count)") }
        return place
    }

    mutating func sequenceItem(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let items = try sequence(node, 0)
        guard let place = try place(node, 1, of: items.count), place < items.count else {
            throw .corrupt("an item that its sequence does not have")
        }
        return items[place]
    }

    mutating func sequenceInsert(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var items = try sequence(node, 0)
        guard items.count < 1 << 16 else { throw .unsupported("a sequence of over \(1 << 16) items") }
        let place = try place(node, 2, of: items.count) ?? items.count
        items.insert(try binding(node, 1), at: place)
        return .sequence(items)
    }

    mutating func sequenceErase(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var items = try sequence(node, 0)
        let place = try place(node, 1, of: items.count) ?? items.count - 1
        guard items.indices.contains(place) else { throw .corrupt("an item that its sequence does not have") }
        items.remove(at: place)
        return .sequence(items)
    }

    mutating func sequenceLength(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        .value(try numbers([Int64(try sequence(node, 0).count)], []))
    }

    mutating func splitToSequence(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let axis = try self.axis(node.int("axis", default: 0), of: x)
        let extent = try known(x)[axis]
        let keepsAxis = node.int("keepdims", default: 1) != 0
        var parts = [Int](repeating: 1, count: extent)
        if let given = try integers(node, 1), case .constant(let tensor, _) = try binding(node, 1) {
            if tensor.shape.rank == 0, let size = given.first {
                guard size > 0 else { throw .corrupt("parts of \(size)") }
                parts = stride(from: 0, to: extent, by: size).map { min(size, extent - $0) }
            } else {
                parts = given
            }
        }
        guard parts.count <= 1 << 16, parts.allSatisfy({ (0...extent).contains($0) }), parts.reduce(0, +) == extent
        else { throw .corrupt("the parts \(parts.prefix(8)) of an extent of \(extent)") }
        var items: [ONNXBinding] = []
        var start = 0
        for part in parts {
            var piece = try slice(x, axis: axis, start, start + part)
            if node.input(1) == nil, !keepsAxis {
                piece = try reshape(piece, shape(x).dims.indices.filter { $0 != axis }.map { .copy($0) })
            }
            items.append(.value(piece))
            start += part
        }
        return .sequence(items)
    }

    mutating func concatSequence(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let items = try sequence(node, 0)
        let isNewAxis = node.int("new_axis", default: 0) != 0
        let given = node.int("axis", default: 0)
        var parts: [ValueID?] = []
        for item in items { parts.append(try identity(item)) }
        guard let first = parts.first.flatMap({ $0 }) else { throw .corrupt("an empty sequence is joined") }
        let axis = try axes([given], rank: rank(first) + (isNewAxis ? 1 : 0))[0]
        if isNewAxis {
            for (place, part) in parts.enumerated() {
                guard let part else { continue }
                var dims = shape(part).dims.indices.map { ReshapeDimension.copy($0) }
                guard axis <= dims.count else { throw .corrupt("items of different ranks") }
                dims.insert(.literal(1), at: axis)
                parts[place] = try reshape(part, dims)
            }
        }
        return .value(try make(.concat(axis: axis), parts))
    }

    /// Optionals hold what they are made of.
    mutating func optional(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        node.ignore("type")
        guard node.input(0) != nil else { throw .unsupported("an optional that is empty") }
        return try binding(node, 0)
    }

    mutating func hasElement(_ node: ONNXNode) throws(ImportFailure) -> ONNXBinding {
        guard let flag = Tensor([node.input(0) != nil], shape: []) else { throw .corrupt("a constant") }
        return .constant(flag, .plain)
    }
}
