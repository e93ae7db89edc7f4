extension Tensor {
    /// The elements at `offset + Σ index · stride` (in elements) for each index of `shape`, whatever the type.
    ///
    /// The caller guarantees that these lie in the tensor. nil where `shape` is too large.
    func gathered(shape: Shape, strides: [Int], offset: Int = 0) -> Tensor? {
        guard let count = shape.elementCount else { return nil }
        let size = dtype.byteSize
        let gathered = TensorStorage(byteCount: count * size) { target in
            storage.withBytes { bytes in
                guard count > 0 else { return }
                var index = [Int](repeating: 0, count: shape.rank)
                var place = offset
                for element in 0..<count {
                    for byte in 0..<size { target[element * size + byte] = bytes[place * size + byte] }
                    for axis in stride(from: shape.rank - 1, through: 0, by: -1) {
                        index[axis] += 1
                        place += strides[axis]
                        if index[axis] < shape[axis] { break }
                        place -= strides[axis] * shape[axis]
                        index[axis] = 0
                    }
                }
            }
        }
        return Tensor(dtype: dtype, shape: shape, storage: gathered)
    }

    /// With axes of extent 1 before the others, so that it has `rank` axes.
    func expanded(toRank rank: Int) -> Tensor? {
        guard rank >= shape.rank else { return nil }
        return reshaped(Shape([Int](repeating: 1, count: rank - shape.rank) + shape.dims))
    }
}

// The rest is for constant folding; shapes are those that shape inference gives.
extension Tensor {
    /// Repeated along axes of extent 1 and new leading axes.
    func broadcast(to shape: Shape) -> Tensor? {
        if shape == self.shape { return self }
        guard let expanded = expanded(toRank: shape.rank) else { return nil }
        let strides = zip(expanded.shape.strides, expanded.shape.dims).map { $1 == 1 ? 0 : $0 }
        return gathered(shape: shape, strides: strides)
    }

    func sliced(_ ranges: [SliceRange], shape: Shape) -> Tensor? {
        let starts = zip(ranges, self.shape.dims).map { $0.bounds(extent: $1).start }
        let offset = zip(starts, self.shape.strides).reduce(0) { $0 + $1.0 * $1.1 }
        return gathered(shape: shape, strides: zip(ranges, self.shape.strides).map { $0.step * $1 }, offset: offset)
    }

    /// With zero bytes around it.
    func zeroPadded(before: [Int], shape: Shape) -> Tensor? {
        Tensor.assembled(TensorType(dtype, shape), [(self, before)])
    }

    static func concatenated(_ parts: [Tensor], axis: Int, type: TensorType) -> Tensor? {
        var place = [Int](repeating: 0, count: type.shape.rank)
        var boxes: [(Tensor, [Int])] = []
        for part in parts {
            boxes.append((part, place))
            place[axis] += part.shape[axis]
        }
        return assembled(type, boxes)
    }

    /// Zeros but for `boxes`, each of which starts at an index.
    private static func assembled(_ type: TensorType, _ boxes: [(part: Tensor, start: [Int])]) -> Tensor? {
        guard let count = type.shape.elementCount else { return nil }
        let size = type.dtype.byteSize
        let strides = type.shape.strides
        let storage = TensorStorage(byteCount: count * size) { target in
            for (part, start) in boxes where part.count > 0 {
                // Rows along the last axis are contiguous in both.
                let row = part.shape.dims.last ?? 1
                part.storage.withBytes { source in
                    for first in stride(from: 0, to: part.count, by: row) {
                        var rest = first
                        var place = 0
                        for axis in part.shape.dims.indices.reversed() {
                            place += (start[axis] + rest % part.shape[axis]) * strides[axis]
                            rest /= part.shape[axis]
                        }
                        let bytes = source[first * size..<(first + row) * size]
                        UnsafeMutableRawBufferPointer(rebasing: target[(place * size)...]).copyBytes(from: bytes)
                    }
                }
            }
        }
        return Tensor(dtype: type.dtype, shape: type.shape, storage: storage)
    }
}
