import OunceGraph

// Recurrent layers without gates. Each run starts from a state of zeros.
extension TFLiteTranslation {
    private func rnnActivation(_ op: TFLiteOperator, _ field: Int) throws(ImportFailure) -> Recurrent.GateActivation {
        switch try op.code(field) {
        case 0: return Recurrent.GateActivation(.affine, alpha: 1, beta: 0)
        case 1: return Recurrent.GateActivation(.relu, alpha: 0, beta: 0)
        case 4: return Recurrent.GateActivation(.tanh, alpha: 0, beta: 0)
        case let code: throw .unsupported("activation \(code) of a recurrent layer; use tanh or ReLU")
        }
    }

    /// - Parameter first: the place of the input weights; recurrent weights and bias follow.
    private mutating func rnn(
        _ op: TFLiteOperator, _ x: ValueID, first: Int, _ activation: Recurrent.GateActivation, isTimeMajor: Bool,
        isReversed: Bool
    ) throws(ImportFailure) -> ValueID {
        guard shape(x).rank == 3, shape(x).isStatic else { throw .corrupt("\(op.name) over \(shape(x))") }
        let (w, r, bias) = (try floats(op, first), try floats(op, first + 1), try floats(op, first + 2))
        let hidden = w.shape.dims.first ?? 0
        guard let both = Tensor(bias.floats() + [Float](repeating: 0, count: bias.count), shape: [2 * bias.count])
        else {
            throw .corrupt("\(op.name): bias \(bias.shape)")
        }
        let inputs = [w, r, both].map { builder.constant($0, name: "\(op.location).weights") }
        let sequence = isTimeMajor ? x : try transposed(x, [1, 0, 2], op)
        let time = shape(sequence)[0]
        let layer = Recurrent(kind: .rnn, hidden: hidden, isReversed: isReversed, activations: [activation])
        let all = try node(.recurrent(layer), [sequence] + inputs, name: op.location)
        let ranges = [SliceRange(from: 0, to: time, step: 1, extent: time + 1), .all, .all]
        let y = try node(.slice(ranges), [all], name: "\(op.location).sequence")
        return isTimeMajor ? y : try transposed(y, [1, 0, 2], op)
    }

    mutating func sequenceRNN(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let y = try rnn(
            op, try real(op, 0), first: 1, try rnnActivation(op, 6), isTimeMajor: try op.flag(4), isReversed: false)
        return .value(try finish(y, op))
    }

    mutating func singleRNN(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let x = try real(op, 0)
        let y = try rnn(
            op, try reshaped(x, [1] + shape(x).dims, op), first: 1, try rnnActivation(op, 4), isTimeMajor: true,
            isReversed: false)
        return .value(try finish(try reshaped(y, Array(shape(y).dims.dropFirst()), op), op))
    }

    mutating func bidirectionalRNN(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        guard input(op, 10) == nil, input(op, 11) == nil else {
            throw .unsupported("weights for a second input; convert each direction as a layer of its own")
        }
        let (x, isTimeMajor, activation) = (try real(op, 0), try op.flag(4), try rnnActivation(op, 6))
        let second = try optionalValue(op, 9).map { (id) throws(ImportFailure) in try real(id) } ?? x
        let a = try rnn(op, x, first: 1, activation, isTimeMajor: isTimeMajor, isReversed: false)
        let b = try rnn(op, second, first: 5, activation, isTimeMajor: isTimeMajor, isReversed: true)
        return try directions(op, a, b, areMerged: try op.flag(8))
    }

    /// One step: of the memory, all zeros but for this step's features, only the newest column counts.
    ///
    /// Integer layers keep the features on the grid of the memory.
    mutating func svdf(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        let (x, features, times) = (try value(op, 0), try weights(op, [0, 1]), try floats(op, 2))
        let rank = try op.int(4)
        let filters = features.tensor.shape[0]
        guard rank > 0, filters % rank == 0, times.shape.rank == 2, times.shape[0] == filters, times.shape[1] > 0 else {
            throw .corrupt("SVDF: \(filters) filters of rank \(rank), memory \(times.shape)")
        }
        let numbers = times.floats()
        let newest = stride(from: times.shape[1] - 1, to: times.count, by: times.shape[1]).map { numbers[$0] }
        let id = builder.constant(features.tensor, name: "\(op.location).features", encoding: features.encoding)
        var rows = try real(x)
        let isInteger = builder.graph[x].encoding.affine != nil
        if features.areStored, !isInteger {
            let grid = DynamicGrid(isSymmetric: try !op.flag(8), batchAxes: 1)
            rows = try node(.roundToDynamicGrid(grid), [rows], name: "\(op.location).rounded")
        }
        var memory = try node(.fullyConnected(.none), [rows, id], name: "\(op.location).memory")
        if isInteger, let index = input(op, 4), case let state = try tensor(index), state.encoding.affine != nil {
            memory = try real(
                try quantized(memory, to: state.dtype, state.encoding, name: "\(op.location).state"))
        }
        let weighted = try binary(.multiply, memory, builder.constant(Tensor(newest), name: op.location), op)
        let grouped = try reshaped(weighted, [shape(weighted)[0], filters / rank, rank], op)
        var sum = try node(.reduce(.sum, axes: [2], keepDims: false), [grouped], name: "\(op.location).sum")
        if let bias = try optionalValue(op, 3) {
            let numbers = try constant(op, 3)
            if numbers.0.dtype == .int32 {
                // In units of the memory's scale times the time weights'.
                let scale = try tensor(input(op, 4) ?? -1).encoding.affine?.scale ?? 1
                let weight = try constant(op, 2).1.affine?.scale ?? 1
                let reals = numbers.0.doubles().map { Float($0 * Double(scale) * Double(weight)) }
                sum = try binary(.add, sum, builder.constant(Tensor(reals), name: op.location), op)
            } else {
                sum = try binary(.add, sum, bias, op)
            }
        }
        return .value(try finish(try activated(op, 6, sum), op))
    }
}
