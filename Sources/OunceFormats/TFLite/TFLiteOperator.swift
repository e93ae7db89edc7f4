/// An operator of a TFLite model: what it is, what it reads and makes, and its options.
struct TFLiteOperator {
    let name: String
    /// The output's name, for messages and for the node.
    var location: String
    /// Indices of tensors; negative: not given.
    let inputs: [Int]
    let outputs: [Int]
    private let optionTable: FlatTable?

    init(_ table: FlatTable, of model: FlatTable, maximumList: Int) throws(ImportFailure) {
        let code = try model.table(6, Int(try table.integer(4, as: UInt32.self)))
        let number = max(Int(try code.integer(4, as: Int8.self)), try code.int(10))
        name =
            Self.names.indices.contains(number) && number != 32
            ? String(Self.names[number]) : "\(try code.string(6, limit: 256)) (operator \(number))"
        inputs = try table.integers(6, as: Int32.self, limit: maximumList).map { Int($0) }
        outputs = try table.integers(8, as: Int32.self, limit: maximumList).map { Int($0) }
        location = "tensor \(outputs.first ?? -1)"
        optionTable = try table.table(12)
    }

    // Options by their place in the table; absent ones have the default.

    func int(_ field: Int, default value: Int32 = 0) throws(ImportFailure) -> Int {
        try optionTable?.int(field, default: value) ?? Int(value)
    }

    func flag(_ field: Int) throws(ImportFailure) -> Bool { try optionTable?.flag(field) ?? false }
    func code(_ field: Int) throws(ImportFailure) -> Int { Int(try optionTable?.integer(field, as: Int8.self) ?? 0) }
    func float(_ field: Int) throws(ImportFailure) -> Float { try optionTable?.float(field) ?? 0 }
    func ints(_ field: Int) throws(ImportFailure) -> [Int] {
        try optionTable?.integers(field, as: Int32.self, limit: 8).map { Int($0) } ?? []
    }
    func string(_ field: Int) throws(ImportFailure) -> String { try optionTable?.string(field, limit: 1 << 12) ?? "" }
    func has(_ field: Int) -> Bool { optionTable?.has(field) ?? false }

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
        RIGHT_SHIFT
        """.split(separator: " ")
}
