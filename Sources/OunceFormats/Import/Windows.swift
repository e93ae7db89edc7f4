/// Padding of sliding windows along one axis, in explicit numbers.
struct WindowPadding: Hashable {
    var before: Int
    var after: Int

    /// The padding with which `ceil(extent / stride)` windows fit; the odd one goes after, or before for `isLower`.
    ///
    /// - Parameter extent: negative where it is not known; then only a stride of 1 has a fixed padding.
    /// - Returns: nil where the padding depends on an unknown extent.
    static func same(extent: Int, kernel: Int, stride: Int, dilation: Int, isLower: Bool = false) -> WindowPadding? {
        guard extent >= 0 || stride == 1 else { return nil }
        let reach = (kernel - 1) * dilation + 1
        let count = extent < 0 ? 1 : (extent + stride - 1) / stride
        let total = max((count - 1) * stride + reach - (extent < 0 ? 1 : extent), 0)
        return isLower
            ? WindowPadding(before: total - total / 2, after: total / 2)
            : WindowPadding(before: total / 2, after: total - total / 2)
    }

    /// What to add after the axis so that a last window that is only partly filled counts as well.
    ///
    /// A window that would start beyond the input and its front padding does not count.
    func extraForPartialWindow(extent: Int, kernel: Int, stride: Int, dilation: Int) -> Int {
        let reach = (kernel - 1) * dilation + 1
        let room = extent + before + after - reach
        guard room > 0, room % stride != 0 else { return 0 }
        let start = (room / stride + 1) * stride
        return start < extent + before ? start - room : 0
    }
}
