import OunceGraph

/// NumPy broadcasting as numbers of elements.
enum Broadcast {
    /// Strides of an operand of extents `dims` along the axes of `output`, 0 where it repeats.
    static func strides(of dims: [Int], in output: [Int]) -> [Int] {
        let own = Shape(dims).strides
        return output.indices.map { axis in
            let place = axis - (output.count - dims.count)
            return place < 0 || dims[place] == 1 ? 0 : own[place]
        }
    }

    /// For each element of `output`, row-major, the element of the operand.
    static func offsets(of dims: [Int], in output: [Int]) -> [Int] {
        var offsets = [0]
        for (extent, stride) in zip(output, strides(of: dims, in: output)) {
            offsets = offsets.flatMap { base in (0..<extent).map { base + $0 * stride } }
        }
        return offsets
    }
}
