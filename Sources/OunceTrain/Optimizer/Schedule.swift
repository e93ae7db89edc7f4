import Glibc

/// How the learning rate goes over a run.
package struct Schedule: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case constant
        /// From the full rate to none along half a cosine (arXiv 1608.03983, without restarts).
        case cosine
        /// By `factor` at each of these shares of the run.
        case step(at: [Double], factor: Double)
    }
    package var kind: Kind
    /// The share of the run over which the rate rises from none.
    package var warmup: Double

    package init(_ kind: Kind, warmup: Double = 0) {
        self.kind = kind
        self.warmup = warmup
    }

    /// The factor of the learning rate for step `step` of `total`.
    package func factor(step: Int, of total: Int) -> Double {
        let done = Double(step) / Double(max(total, 1))
        let rising = warmup > 0 ? min(1, Double(step + 1) / max(1, warmup * Double(total))) : 1
        switch kind {
        case .constant: return rising
        case .cosine:
            let share = done <= warmup ? 0 : (done - warmup) / max(1e-9, 1 - warmup)
            return rising * 0.5 * (1 + cos(Double.pi * min(1, share)))
        case .step(let places, let factor):
            return rising * pow(factor, Double(places.count { done >= $0 }))
        }
    }
}
