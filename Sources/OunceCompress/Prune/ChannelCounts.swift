/// Counts of channels that kernels like: a panel of 16 output channels and four inputs at once are a step of theirs.
enum ChannelCounts {
    /// What counts of a family of so many channels should be multiples of.
    static func unit(_ width: Int) -> Int { width >= 64 ? 16 : width >= 32 ? 8 : width >= 8 ? 4 : 1 }

    /// The count nearest to `wanted` that kernels like, at least one unit.
    static func near(_ wanted: Double, of width: Int, unit: Int) -> Int {
        let units = max(1, Int((wanted / Double(unit)).rounded()))
        return min(width, units * unit)
    }

    /// Counts below `current` worth looking at, largest first; at most about eight.
    static func steps(below current: Int, unit: Int) -> [Int] {
        let step = max(1, (current + 8 * unit - 1) / (8 * unit)) * unit
        return Array(stride(from: (current - 1) / step * step, to: 0, by: -step))
    }
}
