import COunceKernels
import OunceRuntime

/// The C loops that a training program calls, for the best instruction set that it may use.
struct TrainingKernels {
    let isas: InstructionSets
    /// Every entry is there.
    let c: UnsafePointer<ounce_training_kernels>

    init(isas: InstructionSets) {
        self.isas = isas
        var best = OUNCE_ISA_SCALAR
        for isa in 0..<OUNCE_ISA_COUNT.rawValue where isas.contains(ounce_isa(isa)) {
            if ounce_training(ounce_isa(isa)).pointee.isa.rawValue == isa { best = ounce_isa(isa) }
        }
        c = ounce_training(best)
    }

    /// "avx512vnni" or the like.
    var name: String { String(cString: ounce_isa_name(c.pointee.isa)) }

    /// c (+)= a · b for rows `first..<last`.
    @inline(__always)
    func gemm(_ g: ounce_gemm, rows: Range<Int>) {
        withUnsafePointer(to: g) { c.pointee.gemm($0, Int64(rows.lowerBound), Int64(rows.upperBound)) }
    }
}
