import COunceKernels
import Synchronization

/// What one core of this machine can do at most, measured when it is asked for: the roofline that kernels stay under
/// (Williams, Waterman and Patterson 2009, "Roofline").
///
/// Each figure is the best of many bursts, so that other programs matter little.
package enum MachineLimits {
    private struct Key: Hashable {
        var isa: UInt32
        var isFloat: Bool
    }
    private struct State {
        var gops: [Key: Double] = [:]
        var bandwidth: [Int: Double] = [:]
    }
    private static let state = Mutex(State())
    private static let bursts = 20

    /// Billions of operations a second, two for each multiply-accumulate, with the instructions of `isa`; nil: not known.
    static func gops(_ isa: ounce_isa, isFloat: Bool) -> Double? {
        let key = Key(isa: isa.rawValue, isFloat: isFloat)
        if let known = state.withLock({ $0.gops[key] }) { return known }
        guard ounce_peak_macs(isa, isFloat ? 1 : 0, 1) > 0 else { return nil }
        var best = 0.0
        for _ in 0..<bursts {
            let begin = Model.now()
            let macs = ounce_peak_macs(isa, isFloat ? 1 : 0, 20_000)
            best = max(best, Double(2 * macs) / (Model.now() - begin) / 1e9)
        }
        state.withLock { $0.gops[key] = best }
        return best
    }

    /// Billions of bytes a second that one core reads again and again from as many as `byteCount`: the speed of the cache that
    /// holds them, or of memory.
    package static func readGigabytesPerSecond(of byteCount: Int) -> Double {
        // A power of two, so that similar models share a figure.
        let size = 1 << (Int.bitWidth - 1 - min(max(byteCount, 1 << 14), 1 << 28).leadingZeroBitCount)
        if let known = state.withLock({ $0.bandwidth[size] }) { return known }
        let words = [UInt64](repeating: 1, count: size / 8)
        let repeats = max(1, (1 << 20) / size)
        var best = 0.0
        for _ in 0..<(size > 1 << 24 ? 3 : bursts) {
            let begin = Model.now()
            for _ in 0..<repeats { _ = ounce_read_words(words, Int64(words.count)) }
            best = max(best, Double(repeats * size) / (Model.now() - begin) / 1e9)
        }
        state.withLock { $0.bandwidth[size] = best }
        return best
    }
}
