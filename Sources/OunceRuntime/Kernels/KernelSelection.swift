/// How a step gets its kernel where several can do it. All give the same bits: only the time differs.
package enum KernelSelection: Sendable, Hashable {
    /// The last of the kernel table that takes the step: the same choice on every run.
    case tableOrder
    /// The fastest of those measured on this device. When `seconds` for the model are used up, the table's order decides
    /// about the rest. With a folder, what was measured is kept there and measured only once.
    case measured(seconds: Double, cacheDirectory: String?)
    /// For tests: the last kernel whose name ends in this ("sparse", "xnor", "w4"), else the table's order.
    case variant(String)

    /// A second for each model, nothing kept.
    package static let measured = KernelSelection.measured(seconds: 1, cacheDirectory: nil)

    /// For plans that are made while others wait, for inputs of another shape: measures for a moment only.
    var whileServing: KernelSelection {
        guard case .measured(let seconds, let directory) = self else { return self }
        return .measured(seconds: min(seconds, 0.02), cacheDirectory: directory)
    }
}

/// What one kernel took for a step.
package struct KernelTiming: Sendable, Hashable, Codable {
    package var kernel: String
    package var microseconds: Double

    package init(kernel: String, microseconds: Double) {
        self.kernel = kernel
        self.microseconds = microseconds
    }
}
