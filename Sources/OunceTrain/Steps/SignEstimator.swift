/// What stands for the gradient of a sign, which has none.
package struct SignEstimator: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        /// That of `clip(x, -1, 1)` (arXiv 1602.02830).
        case clipped
        /// That of two parabolas which meet the sign at -1, 0 and 1 (arXiv 1808.00278).
        case approximate
    }
    package var kind: Kind
    /// Sizes beyond which no gradient passes, in place of 1: one, or one for each channel.
    package var widths: [Float]

    package init(_ kind: Kind = .approximate, widths: [Float] = [1]) {
        self.kind = kind
        self.widths = widths
    }

    /// The slope at `x`; over all x it sums to 2, the height of the step.
    @inline(__always)
    func slope(_ x: Float, width: Float) -> Float {
        let u = abs(x) / width
        switch kind {
        case .clipped: return u <= 1 ? 1 / width : 0
        case .approximate: return u < 1 ? 2 * (1 - u) / width : 0
        }
    }

    func width(_ channel: Int) -> Float { max(widths[widths.count == 1 ? 0 : channel], 1e-20) }
}

/// Weights of which only the signs are used, times a learned size for each output channel (arXiv 1603.05279).
package struct BinaryQuantizer: Sendable, Hashable {
    /// The size of the weights of each output channel (first axis).
    package var sizes: [Float]
    package var estimator: SignEstimator
    /// What is learned is a factor of each size.
    package var learnsSizes: Bool

    package init(sizes: [Float], estimator: SignEstimator = SignEstimator(.clipped), learnsSizes: Bool = true) {
        self.sizes = sizes
        self.estimator = estimator
        self.learnsSizes = learnsSizes
    }
}
