/// What a node computes: a small closed core. Importers bring the many operators of ONNX and TFLite down to it.
///
/// Images and sequences lie channels-last: `[N, spatial..., C]`, with one spatial axis (1-D) or two (2-D, height then
/// width). An operator is float or int8 by the types of its values: with int8 values, the encodings of inputs and
/// outputs (`Value.encoding`) say what the numbers stand for, as in TFLite.
package enum Op: Sendable, Hashable {
    /// Inputs: x `[N, spatial..., I]`, weights `[O, kernel..., I/groups]`, bias `[O]` (optional).
    case conv(Convolution)
    /// `y = x · Wᵀ + b` over the last axis. Inputs: x `[..., I]`, weights `[O, I]`, bias `[O]` (optional).
    case fullyConnected(Activation)
    /// Batched matrix product with broadcasting of the leading axes (NumPy's matmul). Inputs: `[..., M, K]`, `[..., K, N]`. Of
    /// int8 numbers on grids it sums integers; a result without a grid is then float32: `Float(sum) * Float(scaleA * scaleB)`.
    case matMul
    /// Input: x `[N, spatial..., C]`.
    case pool(Pooling)
    case reduce(Reduction, axes: [Int], keepDims: Bool)
    /// Elementwise with NumPy broadcasting.
    case binary(BinaryOperator, Activation)
    case unary(UnaryOperator)
    case softmax(axis: Int)
    /// Over the last `axes` axes together: `(x - mean) / sqrt(variance + epsilon) * scale + bias`. Inputs: x, scale and bias
    /// (both optional, of the extents of these axes).
    case layerNormalization(axes: Int, epsilon: Float)
    /// Inputs: x, scale, bias, mean, variance, the last four `[C]` with C the extent of `axis`.
    case batchNormalization(axis: Int, epsilon: Float)
    case reshape([ReshapeDimension])
    /// Output axis `i` is input axis `permutation[i]`.
    case transpose([Int])
    case concat(axis: Int)
    /// One range for each axis of the input.
    case slice([SliceRange])
    /// One entry for each axis. Padding of int8 values is with the quantised `value`.
    case pad(before: [Int], after: [Int], value: Float)
    /// Float or integer to the output's affine encoding (integer input: from its own encoding).
    case quantize
    /// Affine integers to float32.
    case dequantize
    /// Between any two types: to integers towards zero, to bool "is not zero".
    case cast(DType)
    /// Elementwise with NumPy broadcasting; gives bool.
    case compare(Comparison)
    /// Inputs: condition (bool), a, b; elementwise with NumPy broadcasting: a where the condition holds, else b.
    case select
    /// NumPy broadcasting of the input with a tensor of these extents.
    case expand([Int])
    /// The input read backwards along these axes.
    case reverse(axes: [Int])
    /// Inputs: x, lengths `[batch]`. The first `lengths[b]` entries along `timeAxis` backwards, the others as they are.
    case reverseSequence(batchAxis: Int, timeAxis: Int)
    /// The gathering and scattering operators of ONNX. Inputs: data, indices (integers; negative ones count from the end),
    /// updates (scattering only). An index that lies outside reads 0 and writes nothing.
    case gather(Gathering)
    case scatter(Scattering)
    /// The int64 place of the largest or smallest number along an axis.
    case argReduce(ArgReduction)
    /// The `k` largest or smallest numbers along an axis in order, or their int64 places; the lower place first.
    case topK(TopK)
    case cumulativeSum(axis: Int, exclusive: Bool, reverse: Bool)
    /// Where max pooling found its numbers: int64 indices into the input as `[N, C, spatial...]` (`columnMajor`: with the
    /// spatial axes in reverse order).
    case poolIndices(Pooling, columnMajor: Bool)
    /// Inputs: x, places (int64) and weights (float32), both `[outputs, taps]`: along `axis`, output `o` is the sum over
    /// taps of `weights[o, t] * x[places[o, t]]`. Resizing by any interpolation.
    case resample(axis: Int)
    case recurrent(Recurrent)
    /// To the output's affine encoding in this type, from floats or from integers with an encoding of their own. `quantize`
    /// is the form for int8 that has kernels.
    case quantizeAs(DType)
    /// float32 numbers moved to the nearest places of an 8-bit grid that fits them, one grid for each index of the first
    /// axes: what layers with quantised weights and float activations do to their input.
    case roundToDynamicGrid(DynamicGrid)
    case integerLSTM(IntegerLSTM)
    /// Inputs: x `[N, C, spatial...]`, places `[N, out..., D]` in pixels, the last spatial axis first. Output: `[N, C, out...]`.
    case sampleAt(GridSampling)
    /// Inputs: x `[N, C, H, W]`, regions `[R, 4]` (left, top, right, bottom), images `[R]` (int64). Output: `[R, C, h, w]`.
    case roiAlign(RoiAlignment)
    /// Of the matrices in the last two axes.
    case determinant
    case treeEnsemble(TreeEnsemble)
    /// Inputs: boxes `[N, B, 4]`, scores `[N, classes, B]`. Output: int64 `[N * classes * min(limit, B), 3]`: image, class and
    /// box of each that remains, then rows of -1.
    case nonMaxSuppression(NonMaxSuppression)
    /// int64 `[rank, elements]`: the places of the numbers that are not zero, then columns of -1.
    case nonZero
    /// int64, one for each slice along the axis.
    case distinct(Distinct)
    /// Inputs: x, count (int64, one number). The first `count` slices along the axis: an output of the model whose extent is
    /// known only when it has run. Its extent here is the largest possible. Outputs of the model alone may be cut.
    case cut(axis: Int)
}

package struct Convolution: Sendable, Hashable {
    /// One entry for each spatial axis.
    package var strides: [Int]
    package var dilations: [Int]
    package var padBefore: [Int]
    package var padAfter: [Int]
    package var groups: Int
    package var activation: Activation

    package init(
        strides: [Int], dilations: [Int], padBefore: [Int], padAfter: [Int], groups: Int = 1,
        activation: Activation = .none
    ) {
        self.strides = strides
        self.dilations = dilations
        self.padBefore = padBefore
        self.padAfter = padAfter
        self.groups = groups
        self.activation = activation
    }
}

package struct Pooling: Sendable, Hashable {
    package enum Kind: UInt8, Sendable, Hashable { case max = 0, average = 1 }
    package var kind: Kind
    /// One entry for each spatial axis.
    package var kernel: [Int]
    package var strides: [Int]
    package var dilations: [Int]
    package var padBefore: [Int]
    package var padAfter: [Int]
    /// Average only: whether padded places count in the divisor.
    package var countIncludesPadding: Bool
    /// Average of int8 on one grid: halves go away from zero, as TFLite's do; else to the even number.
    package var roundsHalvesAway = false
    package var activation: Activation

    package init(
        kind: Kind, kernel: [Int], strides: [Int], dilations: [Int], padBefore: [Int], padAfter: [Int],
        countIncludesPadding: Bool = false, activation: Activation = .none
    ) {
        self.kind = kind
        self.kernel = kernel
        self.strides = strides
        self.dilations = dilations
        self.padBefore = padBefore
        self.padAfter = padAfter
        self.countIncludesPadding = countIncludesPadding
        self.activation = activation
    }
}

/// A clamp that an operator applies to its result before it stores it.
package enum Activation: Sendable, Hashable {
    case none
    case relu
    case relu6
    case clip(Float, Float)

    /// Real bounds; infinite where there is none.
    package var bounds: (low: Float, high: Float) {
        switch self {
        case .none: (-.infinity, .infinity)
        case .relu: (0, .infinity)
        case .relu6: (0, 6)
        case .clip(let low, let high): (low, high)
        }
    }
}

package enum Reduction: UInt8, Sendable, Hashable { case mean = 0, sum = 1, max = 2, min = 3, product = 4 }

package enum BinaryOperator: UInt8, Sendable, Hashable, CaseIterable {
    case add = 0, subtract = 1, multiply = 2, divide = 3, minimum = 4, maximum = 5
    /// `modulo` has the sign of the divisor, `remainder` that of the dividend.
    case power = 6, modulo = 7, remainder = 8
    /// Bit by bit on integers.
    case and = 9, or = 10, xor = 11, shiftLeft = 12, shiftRight = 13

    /// Whether the float kernels have it.
    package var isArithmetic: Bool { rawValue <= BinaryOperator.maximum.rawValue }
}

package enum UnaryOperator: Sendable, Hashable {
    case clip(Float, Float)
    case leakyRelu(Float)
    case sigmoid, tanh, exp, log, sqrt, negate, abs
    case hardSwish
    /// `max(0, min(1, alpha * x + beta))`
    case hardSigmoid(alpha: Float, beta: Float)
    /// Plain functions without parameters, most of which no kernel computes.
    case function(ElementFunction)
}

/// Raw values are part of the artifact format.
package enum ElementFunction: UInt8, Sendable, Hashable, CaseIterable {
    case not = 0, sign = 1, floor = 2, ceil = 3
    /// To the nearest integer, halves to the even one.
    case round = 4
    case erf = 5, softplus = 6, expMinusOne = 7
    case sin = 8, cos = 9, tan = 10, asin = 11, acos = 12, atan = 13
    case sinh = 14, cosh = 15, asinh = 16, acosh = 17, atanh = 18
    /// `x` times the normal distribution's share below it; `geluTanh`: by its approximation with tanh.
    case gelu = 19, geluTanh = 20
}

package enum ReshapeDimension: Sendable, Hashable {
    case literal(Int)
    /// The extent of this axis of the input.
    case copy(Int)
    /// Whatever is left; at most one.
    case infer
}

/// `start, start + step, …` before `end` (NumPy's meaning, `start` and `end` already within `0...extent` or, where the
/// extent is not known, negative from the end). `end` nil is the end of the axis. A negative step is not allowed here.
package struct SliceRange: Sendable, Hashable {
    package var start: Int
    package var end: Int?
    package var step: Int
    package init(start: Int = 0, end: Int? = nil, step: Int = 1) {
        self.start = start
        self.end = end
        self.step = step
    }
    package static let all = SliceRange()
    package var isAll: Bool { start == 0 && end == nil && step == 1 }
}
