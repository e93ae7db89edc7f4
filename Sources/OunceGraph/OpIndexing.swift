package enum Comparison: UInt8, Sendable, Hashable {
    case equal = 0, less = 1, lessOrEqual = 2, greater = 3, greaterOrEqual = 4
}

/// How indices choose from the data.
package enum Gathering: Sendable, Hashable {
    /// Whole slices along an axis.
    case slices(axis: Int)
    /// An element for each index, along an axis.
    case elements(axis: Int)
    /// The last axis of the indices holds tuples; the first axes are shared with the data.
    case tuples(batchAxes: Int)
}

package struct Scattering: Sendable, Hashable {
    package enum Reduction: UInt8, Sendable, Hashable { case none = 0, add = 1, multiply = 2, maximum = 3, minimum = 4 }
    /// nil: the last axis of the indices holds tuples.
    package var axis: Int?
    package var reduction: Reduction

    package init(axis: Int?, reduction: Reduction) {
        self.axis = axis
        self.reduction = reduction
    }
}

package struct ArgReduction: Sendable, Hashable {
    package var isMaximum: Bool
    package var axis: Int
    package var keepDims: Bool
    /// Of equal numbers the last.
    package var selectsLast: Bool

    package init(isMaximum: Bool, axis: Int, keepDims: Bool, selectsLast: Bool) {
        self.isMaximum = isMaximum
        self.axis = axis
        self.keepDims = keepDims
        self.selectsLast = selectsLast
    }
}

package struct TopK: Sendable, Hashable {
    package var axis: Int
    package var k: Int
    package var isLargest: Bool
    /// Places instead of numbers.
    package var givesIndices: Bool

    package init(axis: Int, k: Int, isLargest: Bool, givesIndices: Bool) {
        self.axis = axis
        self.k = k
        self.isLargest = isLargest
        self.givesIndices = givesIndices
    }
}

/// One direction of a recurrent layer, gates in ONNX's order (i o f c; z r h).
///
/// Inputs: x `[T, B, I]`, weights `[G*H, I]`, recurrent weights `[G*H, H]`; then each optional: bias `[2*G*H]`, lengths
/// `[B]` (int32), initial h `[B, H]`, initial c `[B, H]`, peepholes `[3*H]` (i o f). Output: `[T + 1, B, H]`, for an LSTM
/// `[T + 2, B, H]`: h at each time (zero beyond a sequence's length), the last h, the last c.
package struct Recurrent: Sendable, Hashable {
    package enum Kind: UInt8, Sendable, Hashable {
        case rnn = 0, gru = 1, lstm = 2
        package var gates: Int { [1, 3, 4][Int(rawValue)] }
    }
    package enum Function: UInt8, Sendable, Hashable {
        case sigmoid = 0, tanh = 1, relu = 2, affine = 3, leakyRelu = 4, thresholdedRelu = 5, scaledTanh = 6
        case hardSigmoid = 7, elu = 8, softsign = 9, softplus = 10
    }
    package struct GateActivation: Sendable, Hashable {
        package var function: Function
        package var alpha: Float
        package var beta: Float
        package init(_ function: Function, alpha: Float, beta: Float) {
            self.function = function
            self.alpha = alpha
            self.beta = beta
        }
    }
    package var kind: Kind
    package var hidden: Int
    /// Reads each sequence from its end.
    package var isReversed: Bool
    /// f; for a GRU f, g; for an LSTM f, g, h.
    package var activations: [GateActivation]
    /// Gates are clamped to `-clip...clip` before their activation.
    package var clip: Float
    /// LSTM: the forget gate is one minus the input gate.
    package var couplesGates: Bool
    /// GRU: multiply by the recurrent weights before the reset gate.
    package var linearBeforeReset: Bool
    /// LSTM: the cell is clamped to `-cellClip...cellClip` after each step.
    package var cellClip: Float

    package init(
        kind: Kind, hidden: Int, isReversed: Bool, activations: [GateActivation], clip: Float = .infinity,
        couplesGates: Bool = false, linearBeforeReset: Bool = false, cellClip: Float = .infinity
    ) {
        self.kind = kind
        self.hidden = hidden
        self.isReversed = isReversed
        self.activations = activations
        self.clip = clip
        self.couplesGates = couplesGates
        self.linearBeforeReset = linearBeforeReset
        self.cellClip = cellClip
    }
}
