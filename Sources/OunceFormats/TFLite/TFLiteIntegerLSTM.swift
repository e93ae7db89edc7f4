import OunceGraph

/// The constants of an integer LSTM: factors between the grids of its parts, and biases into which zero points are worked.
struct TFLiteIntegerLSTM {
    private(set) var layer: IntegerLSTM
    /// The operator's inputs but the first.
    let constants: [Tensor]

    init(
        _ t: inout TFLiteTranslation, _ op: TFLiteOperator, _ places: TFLiteLSTMPlaces, _ options: TFLiteLSTMOptions,
        source: AffineQuantization, output: AffineQuantization, cellExponent: Int
    ) throws(ImportFailure) {
        func matrix(_ place: Int) throws(ImportFailure) -> (Tensor, Float) {
            let (tensor, encoding) = try t.constant(op, place)
            guard tensor.dtype == .int8, tensor.shape.rank == 2, let affine = encoding.affine, affine.isPerTensor,
                affine.zeroPoint == 0
            else { throw .unsupported("its input \(place) is no int8 matrix with one scale; convert to int8 anew") }
            return (tensor, affine.scale)
        }
        func vector(_ place: Int, _ dtype: DType, _ count: Int) throws(ImportFailure) -> (Tensor, Float)? {
            guard t.input(op, place) != nil else { return nil }
            let (tensor, encoding) = try t.constant(op, place)
            guard tensor.dtype == dtype, tensor.count == count else {
                throw .corrupt("\(op.name): input \(place) is \(tensor.dtype) \(tensor.shape)")
            }
            return (tensor, encoding.affine?.scale ?? 1)
        }
        func factor(_ real: Double) throws(ImportFailure) -> FixedPointFactor {
            guard let factor = FixedPointFactor(real) else {
                throw .corrupt("\(op.name): the scales are too far apart")
            }
            return factor
        }
        /// Each row's sum of weights times minus the zero point, on the bias.
        func bias(_ weights: Tensor, _ zero: Int32, _ bias: Tensor?) -> [Int32] {
            let (rows, width) = (weights.shape[0], weights.shape[1])
            let (numbers, start) = (weights.elements(Int8.self) ?? [], bias?.elements(Int32.self) ?? [])
            return (0..<rows).map { row in
                let sum = numbers[row * width..<(row + 1) * width].reduce(Int32(0)) { $0 &+ Int32($1) }
                return (row < start.count ? start[row] : 0) &- zero &* sum
            }
        }
        let forget = try matrix(places.input[1]).0
        let projection = t.input(op, places.projection) != nil ? try matrix(places.projection) : nil
        let (hidden, width) = (forget.shape[0], forget.shape[1])
        let outputs = projection?.0.shape[0] ?? hidden
        guard [hidden, width, outputs].allSatisfy({ (1...1 << 16).contains($0) }) else {
            throw .corrupt("\(op.name): \(width) inputs, \(hidden) cells, \(outputs) outputs")
        }
        try t.builder.charge(4 * hidden * (width + outputs + 16))
        layer = IntegerLSTM(hidden: hidden, outputs: outputs, cellExponent: cellExponent)
        layer.isTimeMajor = options.isTimeMajor
        layer.couplesGates = t.input(op, places.input[0]) == nil
        layer.hasPeepholes = t.input(op, places.peepholes[1]) != nil
        layer.isNormalized = places.normalization.count == 4 && t.input(op, places.normalization[1]) != nil
        layer.hasProjection = projection != nil
        layer.outputZero = output.zeroPoint
        var hiddenGrid = output
        if op.intermediates.count == 5 {
            hiddenGrid = try t.tensor(op.intermediates[4]).encoding.affine ?? output
        }
        layer.hiddenZero = hiddenGrid.zeroPoint
        layer.hiddenFactor = try factor(Double(Float(0x1p-15 / Double(hiddenGrid.scale) * 0x1p-15)))
        if let clip = try Self.places(options.cellClip, Float(sign: .plus, exponent: cellExponent, significand: 1)) {
            layer.cellClip = min(clip, 32767)
        }
        if let clip = try Self.places(options.projectionClip, output.scale) { layer.projectionClip = min(clip, 127) }
        var (inputs, recurrents, peepholes, norms): ([Int8], [Int8], [Int16], [Int16]) = ([], [], [], [])
        var (inputBiases, recurrentBiases, normBiases): ([Int32], [Int32], [Int32]) = ([], [], [])
        for gate in 0..<4 {
            var scale: Float = 0x1p-12
            if layer.isNormalized {
                let isAbsent = gate == 0 && layer.couplesGates
                guard op.intermediates.count == 5,
                    let grid = isAbsent ? output : try t.tensor(op.intermediates[gate]).encoding.affine
                else { throw .unsupported("its layer normalisation has no intermediate scales; convert to int8 anew") }
                scale = grid.scale
            }
            let peephole = [0, 1, -1, 2][gate]
            guard gate > 0 || !layer.couplesGates else {
                inputs += [Int8](repeating: 0, count: hidden * width)
                recurrents += [Int8](repeating: 0, count: hidden * outputs)
                inputBiases += [Int32](repeating: 0, count: hidden)
                recurrentBiases += [Int32](repeating: 0, count: hidden)
                normBiases += [Int32](repeating: 0, count: hidden)
                norms += [Int16](repeating: 0, count: layer.isNormalized ? hidden : 0)
                peepholes += [Int16](repeating: 0, count: layer.hasPeepholes ? hidden : 0)
                continue
            }
            let (w, r) = (try matrix(places.input[gate]), try matrix(places.recurrent[gate]))
            guard w.0.shape == [hidden, width], r.0.shape == [hidden, outputs] else {
                throw .corrupt("\(op.name): weights \(w.0.shape) and \(r.0.shape)")
            }
            let given = try vector(places.biases[gate], .int32, hidden)?.0
            layer.gates[gate].input = try factor(Double(w.1 * source.scale / scale))
            layer.gates[gate].recurrent = try factor(Double(r.1 * output.scale / scale))
            inputs += w.0.elements(Int8.self) ?? []
            recurrents += r.0.elements(Int8.self) ?? []
            inputBiases += bias(w.0, source.zeroPoint, layer.isNormalized ? nil : given)
            recurrentBiases += bias(r.0, output.zeroPoint, nil)
            normBiases += given?.elements(Int32.self) ?? [Int32](repeating: 0, count: hidden)
            if layer.hasPeepholes, peephole >= 0 {
                guard let weights = try vector(places.peepholes[peephole], .int16, hidden) else {
                    throw .corrupt("\(op.name): input \(places.peepholes[peephole]) is missing")
                }
                let exponent = Float(sign: .plus, exponent: cellExponent, significand: 1)
                layer.gates[gate].peephole = try factor(Double(exponent * weights.1 / scale))
                peepholes += weights.0.elements(Int16.self) ?? []
            }
            if layer.isNormalized {
                guard let weights = try vector(places.normalization[gate], .int16, hidden) else {
                    throw .corrupt("\(op.name): input \(places.normalization[gate]) is missing")
                }
                layer.gates[gate].normalization = try factor(Double(weights.1))
                layer.gates[gate].varianceGuard = Int32(max(1, min(10000 * weights.1, 0x1p24)))
                norms += weights.0.elements(Int16.self) ?? []
            }
        }
        var projectionBiases = [Int32](repeating: 0, count: outputs)
        if let (weights, scale) = projection {
            guard weights.shape == [outputs, hidden] else { throw .corrupt("\(op.name): projection \(weights.shape)") }
            layer.projectionFactor = try factor(Double(scale * hiddenGrid.scale / output.scale))
            projectionBiases = bias(
                weights, hiddenGrid.zeroPoint, try vector(places.projectionBias, .int32, outputs)?.0)
        }
        let matrices = [
            Tensor(inputs, shape: [4 * hidden, width]), Tensor(recurrents, shape: [4 * hidden, outputs]),
        ]
        let biases = Tensor(inputBiases + recurrentBiases + normBiases + projectionBiases)
        constants =
            matrices.compactMap { $0 } + [biases, Tensor(peepholes + norms)] + (projection.map { [$0.0] } ?? [])
        guard matrices.allSatisfy({ $0 != nil }) else { throw .corrupt("\(op.name): weights of other extents") }
    }

    /// A clamp in places of a grid; nil where there is none.
    private static func places(_ clip: Float, _ scale: Float) throws(ImportFailure) -> Int32? {
        guard clip > 0 else { return nil }
        return Int32(max(1, min(clip / scale, 65536)))
    }
}
