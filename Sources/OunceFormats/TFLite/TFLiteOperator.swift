/// An operator of a TFLite model: what it is, what it reads and makes, and its options.
struct TFLiteOperator {
    let name: String
    let isCustom: Bool
    /// The output's name, for messages and for the node.
    var location: String
    /// Indices of tensors; negative: not given.
    var inputs: [Int]
    let outputs: [Int]
    /// Tensors between the parts of a fused operator.
    let intermediates: [Int]
    private let optionTable: FlatTable?
    private let secondOptionTable: FlatTable?

    init(_ table: FlatTable, of model: FlatTable, maximumList: Int) throws(ImportFailure) {
        let code = try model.table(6, Int(try table.integer(4, as: UInt32.self)))
        let number = max(Int(try code.integer(4, as: Int8.self)), try code.int(10))
        let custom = try code.string(6, limit: 256)
        isCustom = number == 32
        name =
            isCustom ? custom : Self.names.indices.contains(number) ? String(Self.names[number]) : "operator \(number)"
        inputs = try table.integers(6, as: Int32.self, limit: maximumList).map { Int($0) }
        outputs = try table.integers(8, as: Int32.self, limit: maximumList).map { Int($0) }
        location = "tensor \(outputs.first ?? -1)"
        intermediates = try table.integers(20, as: Int32.self, limit: maximumList).map { Int($0) }
        optionTable = try table.table(12)
        secondOptionTable = try table.table(28)
    }

    // Options by their place in the table; absent ones have the default.

    func int(_ field: Int, default value: Int32 = 0) throws(ImportFailure) -> Int {
        try optionTable?.int(field, default: value) ?? Int(value)
    }

    func flag(_ field: Int, default value: Bool = false) throws(ImportFailure) -> Bool {
        (try optionTable?.integer(field, as: UInt8.self, default: value ? 1 : 0) ?? (value ? 1 : 0)) != 0
    }
    func code(_ field: Int) throws(ImportFailure) -> Int { Int(try optionTable?.integer(field, as: Int8.self) ?? 0) }
    func float(_ field: Int) throws(ImportFailure) -> Float { try optionTable?.float(field) ?? 0 }
    func ints(_ field: Int) throws(ImportFailure) -> [Int] {
        try optionTable?.integers(field, as: Int32.self, limit: 8).map { Int($0) } ?? []
    }
    func floats(_ field: Int) throws(ImportFailure) -> [Float] {
        try optionTable?.integers(field, as: UInt32.self, limit: 4096).map { Float(bitPattern: $0) } ?? []
    }
    func string(_ field: Int) throws(ImportFailure) -> String { try optionTable?.string(field, limit: 1 << 12) ?? "" }
    func has(_ field: Int) -> Bool { optionTable?.has(field) ?? false }
    /// Newer operators keep their options in a place of their own.
    func secondInt(_ field: Int) throws(ImportFailure) -> Int { try secondOptionTable?.int(field) ?? 0 }

    /// The names of the operators by their numbers.
    private static let names = """
        ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP \
        FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC \
        LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX \
        SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD \
        UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE \
        UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX \
        DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER \
        GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL \
        NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT \
        LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE \
        RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 \
        ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND \
        HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY \
        SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D \
        IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL \
        CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL \
        BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD \
        UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR \
        RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM \
        STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION \
        STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE \
        STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR \
        STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH \
        STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE \
        STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW \
        STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR \
        REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
        """.split(separator: " ")
}
