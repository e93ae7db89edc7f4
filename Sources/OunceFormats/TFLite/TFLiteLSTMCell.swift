import OunceGraph

/// The weights of one direction of an LSTM on floats, gates in TFLite's order i f c o.
struct TFLiteLSTMCell {
    private let hidden: Int
    private let outputs: Int
    private let width: Int
    private let couplesGates: Bool
    private let input: [[Float]]
    private let recurrent: [[Float]]
    private let biases: [[Float]]
    /// i f o; empty where there are none.
    private let peepholes: [[Float]]
    let normalization: [[Float]]
    let projection: [Float]?
    private let projectionBias: [Float]
    private let options: TFLiteLSTMOptions
    /// Its weights are stored as integers, so that its inputs are rounded.
    let isRounded: Bool

    /// Longer sequences do not unfold into a graph of one node after the other.
    private static let maximumSteps = 2048

    init(
        _ t: inout TFLiteTranslation, _ op: TFLiteOperator, _ places: TFLiteLSTMPlaces, _ options: TFLiteLSTMOptions
    ) throws(ImportFailure) {
        self.options = options
        let forget = try t.floats(op, places.input[1])
        guard forget.shape.rank == 2, forget.shape[0] > 0 else { throw .corrupt("\(op.name): weights \(forget.shape)") }
        (hidden, width) = (forget.shape[0], forget.shape[1])
        let projected = t.input(op, places.projection) != nil ? try t.floats(op, places.projection) : nil
        outputs = projected.flatMap { $0.shape.dims.first } ?? hidden
        let sizes = [hidden, width, outputs]
        guard sizes.allSatisfy({ (1...1 << 16).contains($0) }) else {
            throw .corrupt("\(op.name): \(width) inputs, \(hidden) cells, \(outputs) outputs")
        }
        try t.builder.charge(4 * (hidden * width + hidden * outputs))
        couplesGates = t.input(op, places.input[0]) == nil
        let (hidden, width, outputs, couples) = (hidden, width, outputs, couplesGates)
        func list(_ place: Int, _ count: Int, isNeeded: Bool = true) throws(ImportFailure) -> [Float] {
            guard t.input(op, place) != nil else {
                guard !isNeeded else { throw .corrupt("\(op.name): input \(place) is missing") }
                return [Float](repeating: 0, count: count)
            }
            let numbers = try t.floats(op, place).floats()
            guard numbers.count == count else {
                throw .corrupt("\(op.name): input \(place) has \(numbers.count) numbers, not \(count)")
            }
            return numbers
        }
        func gates(_ places: [Int], _ count: Int, isNeeded: Bool) throws(ImportFailure) -> [[Float]] {
            var lists: [[Float]] = []
            for (gate, place) in places.enumerated() {
                lists.append(try list(place, count, isNeeded: isNeeded && !(couples && gate == 0)))
            }
            return lists
        }
        input = try gates(places.input, hidden * width, isNeeded: true)
        recurrent = try gates(places.recurrent, hidden * outputs, isNeeded: true)
        biases = try gates(places.biases, hidden, isNeeded: false)
        peepholes =
            t.input(op, places.peepholes[1]) == nil ? [] : try gates(places.peepholes, hidden, isNeeded: true)
        normalization =
            places.normalization.count == 4 && t.input(op, places.normalization[1]) != nil
            ? try gates(places.normalization, hidden, isNeeded: true) : []
        projection = try projected.map { (_) throws(ImportFailure) in try list(places.projection, hidden * outputs) }
        projectionBias = try list(places.projectionBias, outputs, isNeeded: false)
        var isRounded = false
        if let index = t.input(op, places.input[1]), case .constant(_, let encoding) = try t.binding(index) {
            isRounded = encoding != .plain
        }
        self.isRounded = isRounded
    }

    private func constant(
        _ t: inout TFLiteTranslation, _ op: TFLiteOperator, _ numbers: [Float], _ shape: Shape
    ) throws(ImportFailure) -> ValueID {
        try t.builder.charge(4 * numbers.count)
        guard let tensor = Tensor(numbers, shape: shape) else { throw .corrupt("\(op.name): weights \(shape)") }
        return t.builder.constant(tensor, name: "\(op.location).weights")
    }

    // MARK: As one node

    /// Coupled gates: with its weights negated the input gate is one minus what the forget gate would be.
    private func ordered(_ lists: [[Float]]) -> [Float] {
        let first = couplesGates ? lists[1].map { -$0 } : lists[0]
        return first + lists[3] + lists[1] + lists[2]
    }

    mutating func whole(
        _ t: inout TFLiteTranslation, _ op: TFLiteOperator, _ x: ValueID, isReversed: Bool
    ) throws(ImportFailure) -> ValueID {
        let time = t.shape(x)[0]
        let w = try constant(&t, op, ordered(input), [4 * hidden, width])
        let r = try constant(&t, op, ordered(recurrent), [4 * hidden, outputs])
        let zeros = [Float](repeating: 0, count: 4 * hidden)
        let bias = try constant(&t, op, ordered(biases) + zeros, [8 * hidden])
        var inputs: [ValueID?] = [x, w, r, bias, nil, nil, nil]
        if !peepholes.isEmpty {
            let first = couplesGates ? peepholes[1].map { -$0 } : peepholes[0]
            inputs.append(try constant(&t, op, first + peepholes[2] + peepholes[1], [3 * hidden]))
        }
        let activations = [Recurrent.Function.sigmoid, .tanh, .tanh].map {
            Recurrent.GateActivation($0, alpha: 0, beta: 0)
        }
        let layer = Recurrent(
            kind: .lstm, hidden: hidden, isReversed: isReversed, activations: activations, couplesGates: couplesGates,
            cellClip: options.cellClip > 0 ? options.cellClip : .infinity)
        let all = try t.node(.recurrent(layer), inputs, name: op.location)
        let ranges = [SliceRange(from: 0, to: time, step: 1, extent: time + 2), .all, .all]
        return try t.node(.slice(ranges), [all], name: "\(op.location).sequence")
    }

    // MARK: Step by step

    /// Source: TensorFlow Lite, `lstm_eval.cc`.
    mutating func unrolled(
        _ t: inout TFLiteTranslation, _ op: TFLiteOperator, _ x: ValueID, isReversed: Bool
    ) throws(ImportFailure) -> ValueID {
        let (time, batch) = (t.shape(x)[0], t.shape(x)[1])
        guard time <= Self.maximumSteps else {
            throw .unsupported("\(time) steps with a projection, a layer normalisation or rounded inputs; convert less")
        }
        let w = try constant(&t, op, input.flatMap { $0 }, [4 * hidden, width])
        let r = try constant(&t, op, recurrent.flatMap { $0 }, [4 * hidden, outputs])
        let bias =
            normalization.isEmpty ? try constant(&t, op, biases.flatMap { $0 }, [4 * hidden]) : nil
        let sums = try t.node(.fullyConnected(.none), [try rounded(&t, op, x), w, bias], name: "\(op.location).inputs")
        var h: ValueID?
        var c = try t.node(.expand([batch, hidden]), [t.scalar(0)], name: "\(op.location).cell")
        var steps: [ValueID?] = []
        for step in 0..<time {
            let place = isReversed ? time - 1 - step : step
            let row = SliceRange(from: place, to: place + 1, step: 1, extent: time)
            let slice = try t.node(.slice([row, .all, .all]), [sums], name: "\(op.location).\(place)")
            var sum = try t.reshaped(slice, [batch, 4 * hidden], op)
            if let h {
                let back = try t.node(
                    .fullyConnected(.none), [try rounded(&t, op, h), r], name: "\(op.location).\(place).state")
                sum = try t.binary(.add, sum, back, op)
            }
            let (output, cell) = try advance(&t, op, sum, c)
            (h, c) = (output, cell)
            steps.append(try t.reshaped(output, [1, batch, outputs], op))
        }
        if isReversed { steps.reverse() }
        return try t.node(.concat(axis: 0), steps, name: "\(op.location).sequence")
    }

    private func rounded(
        _ t: inout TFLiteTranslation, _ op: TFLiteOperator, _ x: ValueID
    ) throws(ImportFailure) -> ValueID {
        guard isRounded else { return x }
        let grid = DynamicGrid(isSymmetric: options.roundsSymmetrically, batchAxes: t.shape(x).rank - 1)
        return try t.node(.roundToDynamicGrid(grid), [x], name: "\(op.location).rounded")
    }

    /// Output and cell after a step.
    private func advance(
        _ t: inout TFLiteTranslation, _ op: TFLiteOperator, _ sums: ValueID, _ c: ValueID
    ) throws(ImportFailure) -> (ValueID, ValueID) {
        func gate(_ index: Int, _ peephole: Int, _ cell: ValueID) throws(ImportFailure) -> ValueID {
            let columns = SliceRange(from: index * hidden, to: (index + 1) * hidden, step: 1, extent: 4 * hidden)
            var sum = try t.node(.slice([.all, columns]), [sums], name: "\(op.location).gate\(index)")
            if peephole >= 0, !peepholes.isEmpty {
                let weights = try constant(&t, op, peepholes[peephole], [hidden])
                sum = try t.binary(.add, sum, try t.binary(.multiply, cell, weights, op), op)
            }
            return normalization.isEmpty ? sum : try normalized(&t, op, sum, index)
        }
        let forget = try t.unary(.sigmoid, try gate(1, 1, c), op)
        let input =
            couplesGates
            ? try t.binary(.subtract, t.scalar(1), forget, op) : try t.unary(.sigmoid, try gate(0, 0, c), op)
        let candidate = try t.unary(.tanh, try gate(2, -1, c), op)
        let clip = options.cellClip > 0 ? Activation.clip(-options.cellClip, options.cellClip) : .none
        let cell = try t.binary(
            .add, try t.binary(.multiply, forget, c, op), try t.binary(.multiply, input, candidate, op), op, clip)
        let output = try t.unary(.sigmoid, try gate(3, 2, cell), op)
        let result = try t.binary(.multiply, output, try t.unary(.tanh, cell, op), op)
        guard let projection else { return (result, cell) }
        let weights = try constant(&t, op, projection, [outputs, hidden])
        let bias = try constant(&t, op, projectionBias, [outputs])
        let limit = options.projectionClip
        let projected = try t.node(
            .fullyConnected(limit > 0 ? .clip(-limit, limit) : .none), [try rounded(&t, op, result), weights, bias],
            name: "\(op.location).projection")
        return (projected, cell)
    }

    private func normalized(
        _ t: inout TFLiteTranslation, _ op: TFLiteOperator, _ sum: ValueID, _ index: Int
    ) throws(ImportFailure) -> ValueID {
        func mean(_ x: ValueID) throws(ImportFailure) -> ValueID {
            try t.node(.reduce(.mean, axes: [1], keepDims: true), [x], name: "\(op.location).mean")
        }
        let centred = try t.binary(.subtract, sum, try mean(sum), op)
        let variance = try mean(try t.binary(.multiply, centred, centred, op))
        let deviation = try t.unary(.sqrt, try t.binary(.add, variance, t.scalar(1e-8), op), op)
        let scaled = try t.binary(
            .multiply, try t.binary(.divide, centred, deviation, op),
            try constant(&t, op, normalization[index], [hidden]), op)
        return try t.binary(.add, scaled, try constant(&t, op, biases[index], [hidden]), op)
    }
}
