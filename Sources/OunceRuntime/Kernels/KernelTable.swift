import COunceKernels

/// One line of the kernel table.
package struct Kernel: @unchecked Sendable {
    /// The table is constant and lives as long as the process.
    package let entry: UnsafePointer<ounce_kernel>

    var name: String { String(cString: entry.pointee.name) }
    var isa: ounce_isa { entry.pointee.isa }
}

/// The kernels of this architecture.
package enum KernelTable {
    /// Every kernel, in the order of the table.
    static let all: [Kernel] = {
        var count = 0
        guard let table = ounce_kernels(&count) else { return [] }
        return (0..<count).map { Kernel(entry: table + $0) }
    }()

    private static let families: [[Kernel]] = (0..<OUNCE_FAMILY_COUNT.rawValue).map { family in
        all.filter { $0.entry.pointee.family.rawValue == family }
    }

    /// The kernels that can do this step here, the preferred one last.
    static func candidates(
        _ family: ounce_family, params: UnsafeRawPointer, weights: StepWeights?, isas: InstructionSets
    ) -> [Kernel] {
        // Only kernels of depthwise convolutions look at weights; others may be large.
        if let weights, family == OUNCE_DWCONV_S8 {
            return weights.withPointers { supporting(family, params: params, weights: $0, isas: isas) }
        }
        return supporting(family, params: params, weights: nil, isas: isas)
    }

    package static func supporting(
        _ family: ounce_family, params: UnsafeRawPointer, weights: UnsafePointer<ounce_conv_weights>?,
        isas: InstructionSets
    ) -> [Kernel] {
        families[Int(family.rawValue)].filter { kernel in
            guard isas.contains(kernel.isa) else { return false }
            guard let supports = kernel.entry.pointee.supports else { return true }
            return supports(params, weights)
        }
    }
}
