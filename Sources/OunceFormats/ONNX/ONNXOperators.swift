import OunceGraph

extension ONNXTranslation {
    typealias Translate =
        @Sendable (inout ONNXTranslation, inout ONNXNode) throws(ImportFailure) -> ONNXBinding

    /// Every operator that is read, by ONNX's name.
    static let operators: [String: Translate] = [
        arithmetic, reductions, activations, layers, movement, sampling, sequences,
    ].reduce(into: [:]
    ) {
        $0.merge($1) { first, _ in first }
    }

    private static let arithmetic: [String: Translate] = [
        "Abs": { (t, n) throws(ImportFailure) in try t.unary(.abs, n) },
        "Acos": { (t, n) throws(ImportFailure) in try t.elementwise(.acos, n) },
        "Acosh": { (t, n) throws(ImportFailure) in try t.elementwise(.acosh, n) },
        "Add": { (t, n) throws(ImportFailure) in try t.binary(.add, &n) },
        "And": { (t, n) throws(ImportFailure) in try t.logical(.and, &n) },
        "Asin": { (t, n) throws(ImportFailure) in try t.elementwise(.asin, n) },
        "Asinh": { (t, n) throws(ImportFailure) in try t.elementwise(.asinh, n) },
        "Atan": { (t, n) throws(ImportFailure) in try t.elementwise(.atan, n) },
        "Atanh": { (t, n) throws(ImportFailure) in try t.elementwise(.atanh, n) },
        "BitShift": { (t, n) throws(ImportFailure) in try t.shift(&n) },
        "BitwiseAnd": { (t, n) throws(ImportFailure) in try t.logical(.and, &n) },
        "BitwiseNot": { (t, n) throws(ImportFailure) in try t.elementwise(.not, n) },
        "BitwiseOr": { (t, n) throws(ImportFailure) in try t.logical(.or, &n) },
        "BitwiseXor": { (t, n) throws(ImportFailure) in try t.logical(.xor, &n) },
        "Cast": { (t, n) throws(ImportFailure) in try t.cast(&n) },
        "CastLike": { (t, n) throws(ImportFailure) in try t.castLike(&n) },
        "Ceil": { (t, n) throws(ImportFailure) in try t.elementwise(.ceil, n) },
        "Clip": { (t, n) throws(ImportFailure) in try t.clip(&n) },
        "Cos": { (t, n) throws(ImportFailure) in try t.elementwise(.cos, n) },
        "Cosh": { (t, n) throws(ImportFailure) in try t.elementwise(.cosh, n) },
        "Div": { (t, n) throws(ImportFailure) in try t.binary(.divide, &n) },
        "Equal": { (t, n) throws(ImportFailure) in try t.compare(.equal, &n) },
        "Erf": { (t, n) throws(ImportFailure) in try t.elementwise(.erf, n) },
        "Exp": { (t, n) throws(ImportFailure) in try t.unary(.exp, n) },
        "Floor": { (t, n) throws(ImportFailure) in try t.elementwise(.floor, n) },
        "Greater": { (t, n) throws(ImportFailure) in try t.compare(.greater, &n) },
        "GreaterOrEqual": { (t, n) throws(ImportFailure) in try t.compare(.greaterOrEqual, &n) },
        "IsInf": { (t, n) throws(ImportFailure) in try t.isInfinite(&n) },
        "IsNaN": { (t, n) throws(ImportFailure) in try t.isNaN(n) },
        "Less": { (t, n) throws(ImportFailure) in try t.compare(.less, &n) },
        "LessOrEqual": { (t, n) throws(ImportFailure) in try t.compare(.lessOrEqual, &n) },
        "Log": { (t, n) throws(ImportFailure) in try t.unary(.log, n) },
        "Max": { (t, n) throws(ImportFailure) in try t.chain(.maximum, n) },
        "Mean": { (t, n) throws(ImportFailure) in try t.mean(n) },
        "Min": { (t, n) throws(ImportFailure) in try t.chain(.minimum, n) },
        "Mod": { (t, n) throws(ImportFailure) in try t.modulo(&n) },
        "Mul": { (t, n) throws(ImportFailure) in try t.binary(.multiply, &n) },
        "Neg": { (t, n) throws(ImportFailure) in try t.unary(.negate, n) },
        "Not": { (t, n) throws(ImportFailure) in try t.elementwise(.not, n) },
        "Or": { (t, n) throws(ImportFailure) in try t.logical(.or, &n) },
        "Pow": { (t, n) throws(ImportFailure) in try t.power(&n) },
        "Reciprocal": { (t, n) throws(ImportFailure) in try t.reciprocal(n) },
        "Round": { (t, n) throws(ImportFailure) in try t.elementwise(.round, n) },
        "Sign": { (t, n) throws(ImportFailure) in try t.elementwise(.sign, n) },
        "Sin": { (t, n) throws(ImportFailure) in try t.elementwise(.sin, n) },
        "Sinh": { (t, n) throws(ImportFailure) in try t.elementwise(.sinh, n) },
        "Sqrt": { (t, n) throws(ImportFailure) in try t.unary(.sqrt, n) },
        "Sub": { (t, n) throws(ImportFailure) in try t.binary(.subtract, &n) },
        "Sum": { (t, n) throws(ImportFailure) in try t.chain(.add, n) },
        "Tan": { (t, n) throws(ImportFailure) in try t.elementwise(.tan, n) },
        "Where": { (t, n) throws(ImportFailure) in
            .value(try t.choose(try t.value(n, 0), try t.value(n, 1), try t.value(n, 2)))
        },
        "Xor": { (t, n) throws(ImportFailure) in try t.logical(.xor, &n) },
    ]

    private static let layers: [String: Translate] = [
        "Attention": { (t, n) throws(ImportFailure) in try t.attention(&n) },
        "AveragePool": { (t, n) throws(ImportFailure) in try t.pool(.average, &n) },
        "BatchNormalization": { (t, n) throws(ImportFailure) in try t.batchNormalization(&n) },
        "Conv": { (t, n) throws(ImportFailure) in try t.convolution(&n) },
        "ConvInteger": { (t, n) throws(ImportFailure) in try t.convInteger(&n) },
        "ConvTranspose": { (t, n) throws(ImportFailure) in try t.transposedConvolution(&n) },
        "DequantizeLinear": { (t, n) throws(ImportFailure) in try t.dequantizeLinear(&n) },
        "Dropout": { (t, n) throws(ImportFailure) in try t.dropout(&n) },
        "DynamicQuantizeLinear": { (t, n) throws(ImportFailure) in try t.dynamicQuantize(n) },
        "Einsum": { (t, n) throws(ImportFailure) in try t.einsum(&n) },
        "GRU": { (t, n) throws(ImportFailure) in try t.recurrent(.gru, &n) },
        "Gemm": { (t, n) throws(ImportFailure) in try t.gemm(&n) },
        "GlobalAveragePool": { (t, n) throws(ImportFailure) in try t.globalPool(.mean, n) },
        "GlobalLpPool": { (t, n) throws(ImportFailure) in try t.globalNormPool(&n) },
        "GlobalMaxPool": { (t, n) throws(ImportFailure) in try t.globalPool(.max, n) },
        "GroupNormalization": { (t, n) throws(ImportFailure) in try t.groupNormalization(&n) },
        "If": { (t, n) throws(ImportFailure) in try t.branch(&n) },
        "InstanceNormalization": { (t, n) throws(ImportFailure) in try t.instanceNormalization(&n) },
        "LRN": { (t, n) throws(ImportFailure) in try t.localResponseNormalization(&n) },
        "LSTM": { (t, n) throws(ImportFailure) in try t.recurrent(.lstm, &n) },
        "LayerNormalization": { (t, n) throws(ImportFailure) in try t.layerNormalization(&n) },
        "Loop": { (t, n) throws(ImportFailure) in try t.loop(&n) },
        "LpNormalization": { (t, n) throws(ImportFailure) in try t.lpNormalization(&n) },
        "LpPool": { (t, n) throws(ImportFailure) in try t.normPool(&n) },
        "MatMul": { (t, n) throws(ImportFailure) in try t.matMul(n) },
        "MatMulInteger": { (t, n) throws(ImportFailure) in try t.matMulInteger(n) },
        "MaxPool": { (t, n) throws(ImportFailure) in try t.pool(.max, &n) },
        "MeanVarianceNormalization": { (t, n) throws(ImportFailure) in try t.meanVarianceNormalization(&n) },
        "QLinearConv": { (t, n) throws(ImportFailure) in
            try t.isStaticallyQuantized(n, [1, 2, 3, 4, 5, 6, 7, 8])
                ? try t.staticQuantizedConvolution(&n) : try t.quantizedConvolution(&n)
        },
        "QLinearMatMul": { (t, n) throws(ImportFailure) in
            try t.isStaticallyQuantized(n, [1, 2, 4, 5, 6, 7])
                ? try t.staticQuantizedMatMul(n) : try t.quantizedMatMul(n)
        },
        "QuantizeLinear": { (t, n) throws(ImportFailure) in try t.quantizeLinear(&n) },
        "RMSNormalization": { (t, n) throws(ImportFailure) in try t.rootMeanSquareNormalization(&n) },
        "RNN": { (t, n) throws(ImportFailure) in try t.recurrent(.rnn, &n) },
        "Resize": { (t, n) throws(ImportFailure) in try t.resize(&n) },
        "RotaryEmbedding": { (t, n) throws(ImportFailure) in try t.rotaryEmbedding(&n) },
        "Scan": { (t, n) throws(ImportFailure) in try t.scan(&n) },
        "Upsample": { (t, n) throws(ImportFailure) in try t.resize(&n) },
    ]

    private static let activations: [String: Translate] = [
        "Celu": { (t, n) throws(ImportFailure) in try t.celu(&n) },
        "Elu": { (t, n) throws(ImportFailure) in try t.elu(&n) },
        "Gelu": { (t, n) throws(ImportFailure) in try t.gelu(&n) },
        "HardSigmoid": { (t, n) throws(ImportFailure) in
            let (alpha, beta) = (n.float("alpha", default: 0.2), n.float("beta", default: 0.5))
            return try t.unary(.hardSigmoid(alpha: alpha, beta: beta), n)
        },
        "HardSwish": { (t, n) throws(ImportFailure) in try t.unary(.hardSwish, n) },
        "Hardmax": { (t, n) throws(ImportFailure) in
            try t.normalizing(&n) { (t, x, axis) throws(ImportFailure) in try t.hardmax(x, axis: axis) }
        },
        "LeakyRelu": { (t, n) throws(ImportFailure) in
            let alpha = n.float("alpha", default: 0.01)
            return try t.unary(.leakyRelu(alpha), n)
        },
        "LogSoftmax": { (t, n) throws(ImportFailure) in
            try t.normalizing(&n) { (t, x, axis) throws(ImportFailure) in try t.logSoftmax(x, axis: axis) }
        },
        "Mish": { (t, n) throws(ImportFailure) in try t.mish(n) },
        "PRelu": { (t, n) throws(ImportFailure) in try t.parametricRelu(n) },
        "Relu": { (t, n) throws(ImportFailure) in try t.unary(.clip(0, .infinity), n) },
        "Selu": { (t, n) throws(ImportFailure) in try t.selu(&n) },
        "Shrink": { (t, n) throws(ImportFailure) in try t.shrink(&n) },
        "Sigmoid": { (t, n) throws(ImportFailure) in try t.unary(.sigmoid, n) },
        "Softmax": { (t, n) throws(ImportFailure) in
            try t.normalizing(&n) { (t, x, axis) throws(ImportFailure) in try t.make(.softmax(axis: axis), x) }
        },
        "Softplus": { (t, n) throws(ImportFailure) in try t.elementwise(.softplus, n) },
        "Softsign": { (t, n) throws(ImportFailure) in try t.softsign(n) },
        "Swish": { (t, n) throws(ImportFailure) in try t.swish(&n) },
        "Tanh": { (t, n) throws(ImportFailure) in try t.unary(.tanh, n) },
        "ThresholdedRelu": { (t, n) throws(ImportFailure) in try t.thresholdedRelu(&n) },
    ]

    private static let reductions: [String: Translate] = [
        "ArgMax": { (t, n) throws(ImportFailure) in try t.argReduce(isMaximum: true, &n) },
        "ArgMin": { (t, n) throws(ImportFailure) in try t.argReduce(isMaximum: false, &n) },
        "CumSum": { (t, n) throws(ImportFailure) in try t.cumulativeSum(&n) },
        "ReduceL1": { (t, n) throws(ImportFailure) in
            try t.reduce(&n, .sum, before: { (t, x) throws(ImportFailure) in try t.unary(.abs, x) })
        },
        "ReduceL2": { (t, n) throws(ImportFailure) in
            try t.reduce(
                &n, .sum, before: { (t, x) throws(ImportFailure) in try t.square(x) },
                after: { (t, x) throws(ImportFailure) in try t.unary(.sqrt, x) })
        },
        "ReduceLogSum": { (t, n) throws(ImportFailure) in
            try t.reduce(&n, .sum, after: { (t, x) throws(ImportFailure) in try t.unary(.log, x) })
        },
        "ReduceLogSumExp": { (t, n) throws(ImportFailure) in try t.logSumExp(&n) },
        "ReduceMax": { (t, n) throws(ImportFailure) in try t.reduce(&n, .max) },
        "ReduceMean": { (t, n) throws(ImportFailure) in try t.reduce(&n, .mean) },
        "ReduceMin": { (t, n) throws(ImportFailure) in try t.reduce(&n, .min) },
        "ReduceProd": { (t, n) throws(ImportFailure) in try t.reduce(&n, .product) },
        "ReduceSum": { (t, n) throws(ImportFailure) in try t.reduce(&n, axesAreInputFrom: 13, .sum) },
        "ReduceSumSquare": { (t, n) throws(ImportFailure) in
            try t.reduce(&n, .sum, before: { (t, x) throws(ImportFailure) in try t.square(x) })
        },
        "TopK": { (t, n) throws(ImportFailure) in try t.topK(&n) },
    ]

    private static let movement: [String: Translate] = [
        "Compress": { (t, n) throws(ImportFailure) in try t.compress(&n) },
        "Concat": { (t, n) throws(ImportFailure) in try t.concat(&n) },
        "Constant": { (t, n) throws(ImportFailure) in try t.constant(&n) },
        "ConstantOfShape": { (t, n) throws(ImportFailure) in try t.constantOfShape(&n) },
        "DepthToSpace": { (t, n) throws(ImportFailure) in try t.depthToSpace(&n) },
        "Expand": { (t, n) throws(ImportFailure) in try t.expand(n) },
        "EyeLike": { (t, n) throws(ImportFailure) in try t.eyeLike(&n) },
        "Flatten": { (t, n) throws(ImportFailure) in try t.flatten(&n) },
        "Gather": { (t, n) throws(ImportFailure) in try t.gather(&n) },
        "GatherElements": { (t, n) throws(ImportFailure) in try t.gatherElements(&n) },
        "GatherND": { (t, n) throws(ImportFailure) in try t.gatherTuples(&n) },
        "Identity": { (t, n) throws(ImportFailure) in try t.binding(n, 0) },
        "NonMaxSuppression": { (t, n) throws(ImportFailure) in try t.nonMaxSuppression(&n) },
        "NonZero": { (t, n) throws(ImportFailure) in try t.nonZero(n) },
        "OneHot": { (t, n) throws(ImportFailure) in try t.oneHot(&n) },
        "Pad": { (t, n) throws(ImportFailure) in try t.pad(&n) },
        "Range": { (t, n) throws(ImportFailure) in try t.range(n) },
        "Reshape": { (t, n) throws(ImportFailure) in try t.reshape(&n) },
        "ReverseSequence": { (t, n) throws(ImportFailure) in try t.reverseSequence(&n) },
        "Scatter": { (t, n) throws(ImportFailure) in try t.scatter(&n, byTuples: false) },
        "ScatterElements": { (t, n) throws(ImportFailure) in try t.scatter(&n, byTuples: false) },
        "ScatterND": { (t, n) throws(ImportFailure) in try t.scatter(&n, byTuples: true) },
        "Shape": { (t, n) throws(ImportFailure) in try t.shape(&n) },
        "Size": { (t, n) throws(ImportFailure) in try t.size(n) },
        "Slice": { (t, n) throws(ImportFailure) in try t.slice(&n) },
        "SpaceToDepth": { (t, n) throws(ImportFailure) in try t.spaceToDepth(&n) },
        "Split": { (t, n) throws(ImportFailure) in try t.split(&n) },
        "Squeeze": { (t, n) throws(ImportFailure) in try t.squeeze(&n) },
        "Tile": { (t, n) throws(ImportFailure) in try t.tile(n) },
        "Transpose": { (t, n) throws(ImportFailure) in try t.transpose(&n) },
        "Trilu": { (t, n) throws(ImportFailure) in try t.triangle(&n) },
        "Unsqueeze": { (t, n) throws(ImportFailure) in try t.unsqueeze(&n) },
    ]

    private static let sampling: [String: Translate] = [
        "AffineGrid": { (t, n) throws(ImportFailure) in try t.affineGrid(&n) },
        "Bernoulli": { (t, _) throws(ImportFailure) in try t.refusesRandomness() },
        "BlackmanWindow": { (t, n) throws(ImportFailure) in try t.signalWindow(.blackman, &n) },
        "CenterCropPad": { (t, n) throws(ImportFailure) in try t.centerCropPad(&n) },
        "Col2Im": { (t, n) throws(ImportFailure) in try t.columnsToImage(&n) },
        "DFT": { (t, n) throws(ImportFailure) in try t.discreteFourier(&n) },
        "DeformConv": { (t, n) throws(ImportFailure) in try t.deformableConvolution(&n) },
        "Det": { (t, n) throws(ImportFailure) in .value(try t.make(.determinant, try t.value(n, 0))) },
        "GridSample": { (t, n) throws(ImportFailure) in try t.gridSample(&n) },
        "HammingWindow": { (t, n) throws(ImportFailure) in try t.signalWindow(.hamming, &n) },
        "HannWindow": { (t, n) throws(ImportFailure) in try t.signalWindow(.hann, &n) },
        "MaxUnpool": { (t, n) throws(ImportFailure) in try t.maxUnpool(&n) },
        "MelWeightMatrix": { (t, n) throws(ImportFailure) in try t.melWeights(&n) },
        "Multinomial": { (t, _) throws(ImportFailure) in try t.refusesRandomness() },
        "NegativeLogLikelihoodLoss": { (t, n) throws(ImportFailure) in try t.negativeLogLikelihood(&n) },
        "RandomNormal": { (t, _) throws(ImportFailure) in try t.refusesRandomness() },
        "RandomNormalLike": { (t, _) throws(ImportFailure) in try t.refusesRandomness() },
        "RandomUniform": { (t, _) throws(ImportFailure) in try t.refusesRandomness() },
        "RandomUniformLike": { (t, _) throws(ImportFailure) in try t.refusesRandomness() },
        "RoiAlign": { (t, n) throws(ImportFailure) in try t.roiAlign(&n) },
        "STFT": { (t, n) throws(ImportFailure) in try t.shortTimeFourier(&n) },
        "SoftmaxCrossEntropyLoss": { (t, n) throws(ImportFailure) in try t.softmaxCrossEntropy(&n) },
        "TensorScatter": { (t, n) throws(ImportFailure) in try t.tensorScatter(&n) },
        "TfIdfVectorizer": { (t, n) throws(ImportFailure) in try t.ngramCounts(&n) },
        "Unique": { (t, n) throws(ImportFailure) in try t.distinct(&n) },
    ]

    private static let sequences: [String: Translate] = [
        "ConcatFromSequence": { (t, n) throws(ImportFailure) in try t.concatSequence(&n) },
        "Optional": { (t, n) throws(ImportFailure) in try t.optional(&n) },
        "OptionalGetElement": { (t, n) throws(ImportFailure) in try t.binding(n, 0) },
        "OptionalHasElement": { (t, n) throws(ImportFailure) in try t.hasElement(n) },
        "SequenceAt": { (t, n) throws(ImportFailure) in try t.sequenceItem(n) },
        "SequenceConstruct": { (t, n) throws(ImportFailure) in try t.makeSequence(n) },
        "SequenceEmpty": { (_, n) throws(ImportFailure) in
            n.ignore("dtype")
            return .sequence([])
        },
        "SequenceErase": { (t, n) throws(ImportFailure) in try t.sequenceErase(n) },
        "SequenceInsert": { (t, n) throws(ImportFailure) in try t.sequenceInsert(n) },
        "SequenceLength": { (t, n) throws(ImportFailure) in try t.sequenceLength(n) },
        "SplitToSequence": { (t, n) throws(ImportFailure) in try t.splitToSequence(&n) },
    ]
}
