import COunceKernels
import Glibc

/// A set of instruction sets that kernels may use.
package struct InstructionSets: Sendable, Hashable {
    private var mask: UInt32

    /// What this CPU and operating system can run.
    package static let available = InstructionSets(mask: ounce_cpu_isas())

    private init(mask: UInt32) { self.mask = mask }

    /// All names, lowest first.
    package static let allNames: [String] = (0..<OUNCE_ISA_COUNT.rawValue).map {
        String(cString: ounce_isa_name(ounce_isa($0)))
    }

    package var names: [String] { Self.allNames.enumerated().filter { mask & 1 << $0.offset != 0 }.map(\.element) }

    var sets: [ounce_isa] { (0..<OUNCE_ISA_COUNT.rawValue).filter { mask & 1 << $0 != 0 }.map { ounce_isa($0) } }

    package func contains(_ isa: ounce_isa) -> Bool { mask & 1 << isa.rawValue != 0 }

    /// The widest vector in bits that these sets use.
    package var width: Int {
        (0..<OUNCE_ISA_COUNT.rawValue).filter { mask & 1 << $0 != 0 }
            .map { Int(ounce_isa_width(ounce_isa($0))) }.max() ?? 0
    }

    /// What may run here: the CPU's, limited to `allowed` (nil: no limit) and to the environment's `OUNCE_ISA`.
    ///
    /// `OUNCE_ISA` names one set; the sets below it of the same architecture stay allowed.
    /// - Throws: `.unsupported` where `OUNCE_ISA` names no set or one that this CPU does not have.
    package static func permitted(allowed: Set<String>?) throws(RuntimeError) -> InstructionSets {
        var mask = available.mask
        if let allowed {
            for (index, name) in allNames.enumerated() where index > 0 && !allowed.contains(name) {
                mask &= ~(1 << UInt32(index))
            }
        }
        guard let limit = getenv("OUNCE_ISA").map({ String(cString: $0) }), !limit.isEmpty else {
            return InstructionSets(mask: mask)
        }
        guard let index = allNames.firstIndex(of: limit) else {
            throw RuntimeError(
                .unsupported, "OUNCE_ISA is '\(limit)'; it may be one of \(allNames.joined(separator: ", "))")
        }
        guard available.mask & 1 << UInt32(index) != 0 else {
            throw RuntimeError(
                .unsupported,
                "OUNCE_ISA is '\(limit)', which this CPU lacks; it has "
                    + available.names.joined(separator: ", "))
        }
        return InstructionSets(mask: mask & ((1 << UInt32(index + 1)) &- 1))
    }
}
