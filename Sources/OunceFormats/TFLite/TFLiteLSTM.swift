import OunceGraph

/// Where the tensors of one direction of an LSTM stand among the operator's inputs; gates i f c o.
struct TFLiteLSTMPlaces {
    let input: [Int]
    let recurrent: [Int]
    /// i f o.
    let peepholes: [Int]
    let biases: [Int]
    let projection: Int
    let projectionBias: Int
    let state: Int
    let cell: Int
    let normalization: [Int]

    init(first: Int, state: Int, normalization: Int?) {
        input = Array(first..<first + 4)
        recurrent = Array(first + 4..<first + 8)
        peepholes = Array(first + 8..<first + 11)
        biases = Array(first + 11..<first + 15)
        (projection, projectionBias) = (first + 15, first + 16)
        (self.state, cell) = (state, state + 1)
        self.normalization = normalization.map { Array($0..<$0 + 4) } ?? []
    }
}

/// What an LSTM is asked to do.
struct TFLiteLSTMOptions {
    var cellClip: Float
    var projectionClip: Float
    var isTimeMajor: Bool
    var roundsSymmetrically: Bool
    var activation: Int
}

extension TFLiteTranslation {
    mutating func sequenceLSTM(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        guard try !op.flag(14) else { throw .unsupported("diagonal recurrent weights; convert with full ones") }
        let places = TFLiteLSTMPlaces(first: 1, state: 18, normalization: 20)
        let options = TFLiteLSTMOptions(
            cellClip: try op.float(6), projectionClip: try op.float(8), isTimeMajor: try op.flag(10),
            roundsSymmetrically: try !op.flag(12), activation: try op.code(4))
        let x = try value(op, 0)
        if builder.graph[x].dtype == .int8 { return .value(try integerLSTM(op, x, places, options)) }
        return .value(try finish(try floatLSTM(op, try real(x), places, options, isReversed: false), op))
    }

    /// One step from a state of zeros.
    mutating func singleLSTM(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        guard try op.code(10) == 0, op.inputs.count >= 20, op.outputs.count == 1 else {
            throw .unsupported("the basic kernel; convert with a newer TensorFlow")
        }
        let places = TFLiteLSTMPlaces(first: 1, state: 18, normalization: 20)
        let options = TFLiteLSTMOptions(
            cellClip: try op.float(6), projectionClip: try op.float(8), isTimeMajor: true,
            roundsSymmetrically: try !op.flag(12), activation: try op.code(4))
        let x = try value(op, 0)
        guard shape(x).rank == 2 else { throw .corrupt("LSTM over \(shape(x))") }
        let sequence = try reshaped(x, [1] + shape(x).dims, op)
        let quantized = builder.graph[x].dtype == .int8
        let y =
            quantized
            ? try integerLSTM(op, sequence, places, options, name: "\(op.location).sequence")
            : try floatLSTM(op, try real(sequence), places, options, isReversed: false)
        return .value(try finish(try reshaped(y, Array(shape(y).dims.dropFirst()), op), op))
    }

    mutating func bidirectionalLSTM(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let options = TFLiteLSTMOptions(
            cellClip: try op.float(6), projectionClip: try op.float(8), isTimeMajor: try op.flag(12, default: true),
            roundsSymmetrically: try !op.flag(14), activation: try op.code(4))
        guard (40..<48).allSatisfy({ input(op, $0) == nil }) else {
            throw .unsupported("weights for a second input; convert each direction as a layer of its own")
        }
        let x = try real(op, 0)
        let second = try optionalValue(op, 39).map { (id) throws(ImportFailure) in try real(id) } ?? x
        let forward = TFLiteLSTMPlaces(first: 1, state: 35, normalization: nil)
        let backward = TFLiteLSTMPlaces(first: 18, state: 37, normalization: nil)
        let a = try floatLSTM(op, x, forward, options, isReversed: false)
        let b = try floatLSTM(op, second, backward, options, isReversed: true)
        return try directions(op, a, b, areMerged: try op.flag(10))
    }

    /// Both directions side by side, or as an output each.
    mutating func directions(
        _ op: TFLiteOperator, _ a: ValueID, _ b: ValueID, areMerged: Bool
    ) throws(ImportFailure) -> TFLiteBinding {
        guard areMerged else { return .several([.value(try finish(a, op)), .value(try finish(b, op, at: 1))]) }
        let merged = try node(.concat(axis: 2), [a, b], name: "\(op.location).merged")
        return .value(try finish(merged, op))
    }

    // MARK: On floats

    /// - Parameter x: `[B, T, I]`, or time-major as the options say.
    /// - Returns: real numbers, lying as x does.
    private mutating func floatLSTM(
        _ op: TFLiteOperator, _ x: ValueID, _ places: TFLiteLSTMPlaces, _ options: TFLiteLSTMOptions,
        isReversed: Bool
    ) throws(ImportFailure) -> ValueID {
        guard shape(x).rank == 3, shape(x).isStatic, !shape(x).dims.contains(0) else {
            throw .corrupt("\(op.name) over \(shape(x))")
        }
        guard options.activation == 4 else {
            throw .unsupported("activation \(options.activation) of an LSTM; only tanh is supported")
        }
        let sequence = options.isTimeMajor ? x : try transposed(x, [1, 0, 2], op)
        var cell = try TFLiteLSTMCell(&self, op, places, options)
        let isPlain = cell.projection == nil && cell.normalization.isEmpty && !cell.isRounded
        let y =
            isPlain
            ? try cell.whole(&self, op, sequence, isReversed: isReversed)
            : try cell.unrolled(&self, op, sequence, isReversed: isReversed)
        return options.isTimeMajor ? y : try transposed(y, [1, 0, 2], op)
    }

    // MARK: In integers

    /// Source: TensorFlow Lite, `PopulateQuantizedLstmParams8x8_16`.
    private mutating func integerLSTM(
        _ op: TFLiteOperator, _ x: ValueID, _ places: TFLiteLSTMPlaces, _ options: TFLiteLSTMOptions,
        name: String? = nil
    ) throws(ImportFailure) -> ValueID {
        guard let state = input(op, places.state), let cell = input(op, places.cell),
            let output = try tensor(state).encoding.affine, let grid = try tensor(cell).encoding.affine,
            let source = builder.graph[x].encoding.affine, try tensor(cell).dtype == .int16,
            grid.scale.significand == 1, (-15...(-9)).contains(Int(grid.scale.exponent))
        else { throw .unsupported("its state has no int16 cell with a power of two as scale; convert to int8 anew") }
        guard [0, 5].contains(op.intermediates.count) || op.intermediates.count == 1 else {
            throw .unsupported("an 8-bit cell; convert with a newer TensorFlow")
        }
        let parts = try TFLiteIntegerLSTM(
            &self, op, places, options, source: source, output: output, cellExponent: Int(grid.scale.exponent))
        let inputs = [x] + parts.constants.map { builder.constant($0, name: "\(op.location).weights") }
        let encoding = Encoding.affine(output)
        let declaredName = try declared(op).name
        let y = try node(.integerLSTM(parts.layer), inputs, name: name ?? declaredName, encoding: encoding)
        guard try declared(op).encoding != encoding, name == nil else { return y }
        return try finish(y, op)
    }
}
