import OunceGraph

/// An array of numbers in Double, whatever the element type: what the reference interpreter computes with.
package struct NDArray: Sendable {
    package var dtype: DType
    package var shape: [Int]
    package var values: [Double]

    package init(_ dtype: DType, _ shape: [Int], _ values: [Double]) {
        self.dtype = dtype
        self.shape = shape
        self.values = values
    }

    package init(_ tensor: Tensor) {
        self.init(tensor.dtype, tensor.shape.dims, tensor.doubles())
    }

    /// nil for float16, which no test makes.
    package var tensor: Tensor? {
        let shape = Shape(shape)
        switch dtype {
        case .float32: return Tensor(values.map { Float($0) }, shape: shape)
        case .float64: return Tensor(values, shape: shape)
        case .int8: return Tensor(values.map { Int8($0) }, shape: shape)
        case .uint8: return Tensor(values.map { UInt8($0) }, shape: shape)
        case .int16: return Tensor(values.map { Int16($0) }, shape: shape)
        case .uint16: return Tensor(values.map { UInt16($0) }, shape: shape)
        case .int32: return Tensor(values.map { Int32($0) }, shape: shape)
        case .uint32: return Tensor(values.map { UInt32($0) }, shape: shape)
        case .int64: return Tensor(values.map { Int64($0) }, shape: shape)
        case .uint64: return Tensor(values.map { UInt64($0) }, shape: shape)
        case .bool: return Tensor(values.map { $0 != 0 }, shape: shape)
        case .float16: return nil
        }
    }

    package var rank: Int { shape.count }
    package var count: Int { shape.reduce(1, *) }

    /// Row-major place of an index.
    package func place(_ index: [Int]) -> Int { zip(index, shape).reduce(0) { $0 * $1.1 + $1.0 } }

    package subscript(index: [Int]) -> Double {
        get { values[place(index)] }
        set { values[place(index)] = newValue }
    }

    /// An array of `shape` whose element at each index is `element(index)`.
    package static func make(_ dtype: DType, _ shape: [Int], _ element: ([Int]) throws -> Double) rethrows -> NDArray {
        var values: [Double] = []
        try forEachIndex(of: shape) { values.append(try element($0)) }
        return NDArray(dtype, shape, values)
    }

    /// Calls `body` with every index of `shape` in row-major order.
    package static func forEachIndex(of shape: [Int], _ body: ([Int]) throws -> Void) rethrows {
        guard !shape.contains(0) else { return }
        var index = [Int](repeating: 0, count: shape.count)
        while true {
            try body(index)
            var axis = shape.count - 1
            while axis >= 0 {
                index[axis] += 1
                if index[axis] < shape[axis] { break }
                index[axis] = 0
                axis -= 1
            }
            if axis < 0 { return }
        }
    }
}
