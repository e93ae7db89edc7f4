import OunceGraph

extension TFLiteTranslation {
    /// The numbers of a constant tensor, whatever way the file packs them.
    mutating func constant(
        _ tensor: TFLiteTensor, _ content: UnsafeRawBufferPointer
    ) throws(ImportFailure) -> Tensor {
        guard let count = tensor.shape.elementCount else { throw .corrupt("'\(tensor.name)' is \(tensor.shape)") }
        let size = tensor.dtype.byteSize
        let constant: Tensor?
        if let sparsity = tensor.sparsity {
            try builder.charge(count * size)
            guard !tensor.isPacked else { throw .unsupported("'\(tensor.name)' is sparse and 4 bits wide") }
            constant = try TFLiteSparsity(sparsity, tensor.shape, tensor.name).dense(content, of: tensor)
        } else if tensor.isPacked {
            try builder.charge(count)
            guard content.count == (count + 1) / 2 else { throw mismatch(tensor, content) }
            let storage = TensorStorage(byteCount: count) { output in
                for index in 0..<count {
                    let byte = content[index / 2]
                    let nibble = index % 2 == 0 ? byte << 4 : byte & 0xF0
                    output[index] = UInt8(bitPattern: Int8(bitPattern: nibble) >> 4)
                }
            }
            constant = Tensor(dtype: .int8, shape: tensor.shape, storage: storage)
        } else {
            guard content.count == count * size else { throw mismatch(tensor, content) }
            if tensor.isShifted { try builder.charge(count) }
            let storage =
                tensor.isShifted
                ? TensorStorage(byteCount: content.count) { output in
                    for index in content.indices { output[index] = content[index] ^ 0x80 }
                } : file.storage(of: content)
            constant = Tensor(dtype: tensor.dtype, shape: tensor.shape, storage: storage)
        }
        guard let constant, tensor.dtype != .bool || constant.bytes.allSatisfy({ $0 <= 1 }) else {
            throw mismatch(tensor, content)
        }
        return constant
    }

    private func mismatch(_ tensor: TFLiteTensor, _ content: UnsafeRawBufferPointer) -> ImportFailure {
        .corrupt("'\(tensor.name)' holds \(content.count) bytes, not \(tensor.dtype) \(tensor.shape)")
    }
}

/// Where the numbers of a sparse tensor belong: a tree of levels, each dense or a list of those children that are there.
///
/// Source: TensorFlow Lite schema, SparsityParameters (the format of TACO, arXiv 1802.10574).
private struct TFLiteSparsity {
    private struct Level {
        /// The number of children; nil where `segments` and `indices` list them.
        var extent: Int?
        var segments: [Int] = []
        var indices: [Int] = []
        /// What one step along the level adds to the element's place.
        var axis: Int
        var step: Int
    }
    private var levels: [Level] = []
    private let shape: Shape
    private let name: String

    init(_ table: FlatTable, _ shape: Shape, _ name: String) throws(ImportFailure) {
        self.shape = shape
        self.name = name
        let order = try table.integers(4, as: Int32.self, limit: 16).map { Int($0) }
        let blocks = try table.integers(6, as: Int32.self, limit: 8).map { Int($0) }
        let count = try table.count(8)
        guard count == order.count, order.sorted() == Array(0..<count), count == shape.rank + blocks.count,
            blocks.allSatisfy({ shape.dims.indices.contains($0) }), Set(blocks).count == blocks.count
        else { throw .corrupt("the sparsity of '\(name)' does not fit \(shape)") }
        // Block axes come after the tensor's own; a step along an axis that has blocks is a whole block.
        var blockExtents = [Int](repeating: 1, count: shape.rank)
        for (place, number) in order.enumerated() where number >= shape.rank {
            blockExtents[blocks[number - shape.rank]] = try table.table(8, place).int(6)
        }
        for (place, number) in order.enumerated() {
            let level = try table.table(8, place)
            let axis = number < shape.rank ? number : blocks[number - shape.rank]
            let step = number < shape.rank ? blockExtents[axis] : 1
            if try level.integer(4, as: Int8.self) == 0 {
                levels.append(Level(extent: try level.int(6), axis: axis, step: step))
            } else {
                levels.append(
                    Level(
                        segments: try Self.list(level, 8, 10), indices: try Self.list(level, 12, 14), axis: axis,
                        step: step))
            }
        }
        guard levels.allSatisfy({ ($0.extent ?? 0) >= 0 && (1...Shape.maximumElements).contains($0.step) }) else {
            throw .corrupt("the sparsity of '\(name)' does not fit \(shape)")
        }
    }

    /// A list of 32-, 16- or 8-bit integers.
    private static func list(_ level: FlatTable, _ kind: Int, _ field: Int) throws(ImportFailure) -> [Int] {
        guard let vector = try level.table(field) else { return [] }
        let limit = 1 << 28
        switch try level.integer(kind, as: UInt8.self) {
        case 1: return try vector.integers(4, as: Int32.self, limit: limit).map { Int($0) }
        case 2: return try vector.integers(4, as: UInt16.self, limit: limit).map { Int($0) }
        case 3: return try vector.integers(4, as: UInt8.self, limit: limit).map { Int($0) }
        default: return []
        }
    }

    func dense(_ content: UnsafeRawBufferPointer, of tensor: TFLiteTensor) throws(ImportFailure) -> Tensor? {
        let size = tensor.dtype.byteSize
        let flip: UInt8 = tensor.isShifted ? 0x80 : 0
        var bytes = [UInt8](repeating: 0, count: (shape.elementCount ?? 0) * size)
        if let zero = tensor.encoding.affine?.zeroPoint, size == 1, tensor.encoding.affine?.isPerTensor == true {
            bytes = bytes.map { _ in UInt8(bitPattern: Int8(clamping: zero)) }
        }
        var next = 0
        var index = [Int](repeating: 0, count: shape.rank)
        try fill(0, parent: 0, &index, &next, content, size, flip, &bytes)
        guard next * size == content.count else { throw .corrupt("'\(name)' holds more numbers than its sparsity") }
        let storage = bytes.withUnsafeBytes { source in
            TensorStorage(byteCount: source.count) { $0.copyMemory(from: source) }
        }
        return Tensor(dtype: tensor.dtype, shape: shape, storage: storage)
    }

    /// - Parameter parent: the number of the node above among all of its level.
    private func fill(
        _ depth: Int, parent: Int, _ index: inout [Int], _ next: inout Int, _ content: UnsafeRawBufferPointer,
        _ size: Int, _ flip: UInt8, _ bytes: inout [UInt8]
    ) throws(ImportFailure) {
        guard depth < levels.count else {
            let place = zip(index, shape.strides).reduce(0) { $0 + $1.0 * $1.1 }
            guard zip(index, shape.dims).allSatisfy({ $0 < $1 }), (next + 1) * size <= content.count else {
                throw .corrupt("the sparsity of '\(name)' leads out of \(shape)")
            }
            for byte in 0..<size { bytes[place * size + byte] = content[next * size + byte] ^ flip }
            next += 1
            return
        }
        let level = levels[depth]
        func visit(_ child: Int, _ number: Int) throws(ImportFailure) {
            let (offset, overflow) = child.multipliedReportingOverflow(by: level.step)
            guard !overflow, child >= 0, offset < shape[level.axis] else {
                throw .corrupt("the sparsity of '\(name)' leads out of \(shape)")
            }
            index[level.axis] += offset
            try fill(depth + 1, parent: number, &index, &next, content, size, flip, &bytes)
            index[level.axis] -= offset
        }
        if let extent = level.extent {
            for child in 0..<extent { try visit(child, parent &* extent &+ child) }
        } else {
            guard parent >= 0, parent < level.segments.count - 1, level.segments[parent] >= 0,
                level.segments[parent] <= level.segments[parent + 1],
                level.segments[parent + 1] <= level.indices.count
            else { throw .corrupt("the sparsity of '\(name)' has a damaged segment") }
            for number in level.segments[parent]..<level.segments[parent + 1] {
                try visit(level.indices[number], number)
            }
        }
    }
}
