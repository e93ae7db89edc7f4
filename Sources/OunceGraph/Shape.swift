/// The extents of a tensor, row-major. An extent of -1 is not known yet (a variable batch or length).
package struct Shape: Sendable, Hashable, ExpressibleByArrayLiteral, CustomStringConvertible {
    package static let unknown = -1

    /// No tensor may have more elements than this (2^31), so that every index fits the kernels' arithmetic.
    package static let maximumElements = 1 << 31

    package var dims: [Int]

    package init(_ dims: [Int]) { self.dims = dims }
    package init(arrayLiteral elements: Int...) { dims = elements }

    package var rank: Int { dims.count }
    package var isStatic: Bool { !dims.contains { $0 < 0 } }
    package subscript(axis: Int) -> Int {
        get { dims[axis] }
        set { dims[axis] = newValue }
    }

    /// The number of elements; nil where an extent is unknown or the product exceeds `maximumElements`.
    package var elementCount: Int? {
        var product = 1
        if dims.contains(0) { return isStatic ? 0 : nil }
        for dim in dims {
            guard dim >= 0 else { return nil }
            let (next, overflow) = product.multipliedReportingOverflow(by: dim)
            guard !overflow, next <= Shape.maximumElements else { return nil }
            product = next
        }
        return product
    }

    /// With 1 for each unknown extent.
    package var smallest: Shape { Shape(dims.map { $0 < 0 ? 1 : $0 }) }

    /// Whether the product of the extents that are known and not zero is at most `maximumElements`, so that no product of
    /// any of them overflows.
    package var isBounded: Bool {
        var product = 1
        for dim in dims where dim > 0 {
            let (next, overflow) = product.multipliedReportingOverflow(by: dim)
            guard !overflow, next <= Shape.maximumElements else { return false }
            product = next
        }
        return true
    }

    /// Row-major strides in elements. Meaningful for static shapes only.
    package var strides: [Int] {
        var strides = [Int](repeating: 1, count: rank)
        for axis in stride(from: rank - 2, through: 0, by: -1) {
            strides[axis] = strides[axis + 1] &* Swift.max(dims[axis + 1], 0)
        }
        return strides
    }

    /// Turns a possibly negative axis into one in `0..<rank`; nil where it lies outside.
    package func normalized(axis: Int) -> Int? {
        let shifted = axis < 0 ? axis + rank : axis
        return (0..<rank).contains(shifted) ? shifted : nil
    }

    package var description: String {
        "[" + dims.map { $0 < 0 ? "?" : String($0) }.joined(separator: ",") + "]"
    }
}
