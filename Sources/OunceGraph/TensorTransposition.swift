extension Tensor {
    /// Smaller tensors are transposed at once.
    private static let deferredBytes = 1 << 16
    /// How much of a mapped file is read before its pages are given back.
    private static let windowBytes = 1 << 21

    /// The tensor whose axis `i` is axis `permutation[i]` of this one; nil where that is no permutation of the axes. Large
    /// ones are not made before they are read.
    package func transposed(_ permutation: [Int]) -> Tensor? {
        guard permutation.sorted() == Array(0..<shape.rank) else { return nil }
        guard permutation != Array(0..<shape.rank), count > 0 else { return self }
        let target = Shape(permutation.map { shape[$0] })
        let row = byteCount / target[0]
        let source = self
        let storage = TensorStorage(byteCount: byteCount, unit: row) { range, output in
            source.transpose(permutation, rows: range.lowerBound / row..<range.upperBound / row, to: output)
        }
        guard byteCount >= Self.deferredBytes else {
            let made = TensorStorage(byteCount: byteCount) { output in
                transpose(permutation, rows: 0..<target[0], to: output)
            }
            return Tensor(dtype: dtype, shape: target, storage: made)
        }
        return Tensor(dtype: dtype, shape: target, storage: storage)
    }

    /// Writes rows (along the first axis of the result) in the order in which their numbers lie in this tensor.
    private func transpose(_ permutation: [Int], rows: Range<Int>, to output: UnsafeMutableRawBufferPointer) {
        // The part of this tensor that the rows come from, and for each of its axes the step in the output.
        let first = permutation[0]
        var extents = shape.dims
        extents[first] = rows.count
        let inner = Shape([rows.count] + permutation.dropFirst().map { shape[$0] }).strides
        var steps = [Int](repeating: 0, count: shape.rank)
        for (place, axis) in permutation.enumerated() { steps[axis] = inner[place] }
        let strides = shape.strides
        // Blocks along the first axis of this tensor, so that of a file only a window is in memory at a time.
        let block = max(1, Self.windowBytes / max(byteCount / max(shape[0], 1), 1))
        let outer = first == 0 ? rows : 0..<shape[0]
        for start in stride(from: outer.lowerBound, to: outer.upperBound, by: block) {
            let end = min(start + block, outer.upperBound)
            let size = dtype.byteSize
            storage.withBytes(start * strides[0] * size..<end * strides[0] * size) { bytes in
                extents[0] = end - start
                let from = first == 0 ? 0 : rows.lowerBound * strides[first]
                let to = (start - outer.lowerBound) * steps[0]
                switch size {
                case 1: Self.move(bytes, from, strides, output, to, steps, extents, as: UInt8.self)
                case 2: Self.move(bytes, from, strides, output, to, steps, extents, as: UInt16.self)
                case 4: Self.move(bytes, from, strides, output, to, steps, extents, as: UInt32.self)
                default: Self.move(bytes, from, strides, output, to, steps, extents, as: UInt64.self)
                }
            }
        }
    }

    private static func move<T: FixedWidthInteger & BitwiseCopyable>(
        _ input: UnsafeRawBufferPointer, _ from: Int, _ strides: [Int], _ output: UnsafeMutableRawBufferPointer,
        _ to: Int,
        _ steps: [Int], _ extents: [Int], as type: T.Type
    ) {
        let size = MemoryLayout<T>.size
        let last = extents.count - 1
        let (count, step, stride) = (extents[last], steps[last], strides[last])
        var index = [Int](repeating: 0, count: extents.count)
        var (source, target) = (from, to)
        while true {
            var (read, write) = (source * size, target * size)
            for _ in 0..<count {
                output.storeBytes(
                    of: input.loadUnaligned(fromByteOffset: read, as: T.self), toByteOffset: write, as: T.self)
                read += stride * size
                write += step * size
            }
            var axis = last - 1
            while axis >= 0 {
                index[axis] += 1
                source += strides[axis]
                target += steps[axis]
                if index[axis] < extents[axis] { break }
                source -= strides[axis] * extents[axis]
                target -= steps[axis] * extents[axis]
                index[axis] = 0
                axis -= 1
            }
            if axis < 0 { return }
        }
    }

    /// The same shape with every number changed by itself; large tensors are not made before they are read.
    ///
    /// - Parameter convert: gets rows along the first axis, the bytes of these and where to write as many numbers of `dtype`.
    package func mappedRows(
        as dtype: DType,
        _ convert: @escaping @Sendable (Range<Int>, UnsafeRawBufferPointer, UnsafeMutableRawBufferPointer) -> Void
    ) -> Tensor? {
        let rows = shape.rank == 0 ? 1 : shape[0]
        guard count > 0 else {
            return Tensor(dtype: dtype, shape: shape, storage: TensorStorage(byteCount: 0) { _ in })
        }
        let (before, after) = (byteCount / rows, count * dtype.byteSize / rows)
        let source = storage
        let make: TensorStorage.Maker = { range, output in
            let rows = range.lowerBound / after..<range.upperBound / after
            // In pieces, so that of a file only a window is in memory at a time.
            let block = max(1, Self.windowBytes / before)
            for start in stride(from: rows.lowerBound, to: rows.upperBound, by: block) {
                let part = start..<min(start + block, rows.upperBound)
                let target = (part.lowerBound - rows.lowerBound) * after..<(part.upperBound - rows.lowerBound) * after
                source.withBytes(part.lowerBound * before..<part.upperBound * before) { bytes in
                    convert(part, bytes, UnsafeMutableRawBufferPointer(rebasing: output[target]))
                }
            }
        }
        if max(byteCount, rows * after) >= Self.deferredBytes {
            let storage = TensorStorage(byteCount: rows * after, unit: after, deferring: make)
            return Tensor(dtype: dtype, shape: shape, storage: storage)
        }
        let storage = TensorStorage(byteCount: rows * after) { make(0..<rows * after, $0) }
        return Tensor(dtype: dtype, shape: shape, storage: storage)
    }
}
