import OunceGraph

extension Tensor {
    /// The tensor whose axis `i` is axis `permutation[i]` of this one; nil where that is no permutation of the axes.
    func permuted(_ permutation: [Int]) -> Tensor? {
        guard permutation.sorted() == Array(0..<shape.rank) else { return nil }
        let target = Shape(permutation.map { shape[$0] })
        let strides = shape.strides
        let steps = permutation.map { strides[$0] * dtype.byteSize }
        let size = dtype.byteSize
        let storage = TensorStorage(byteCount: byteCount) { output in
            guard byteCount > 0 else { return }
            var index = [Int](repeating: 0, count: target.rank)
            var source = 0
            for place in 0..<count {
                for byte in 0..<size { output[place * size + byte] = bytes[source + byte] }
                for axis in stride(from: target.rank - 1, through: 0, by: -1) {
                    index[axis] += 1
                    source += steps[axis]
                    if index[axis] < target[axis] { break }
                    source -= steps[axis] * target[axis]
                    index[axis] = 0
                }
            }
        }
        return Tensor(dtype: dtype, shape: target, storage: storage)
    }
}
