import OunceGraph

/// Operators that only move numbers: reshape, transpose, slice, pad, concat, expand, reverse, gather by constant indices.
final class MovementStep: TrainingStep {
    /// `count` elements from `source` of the input to `target` of the output.
    struct Run {
        var target: Int32
        var source: Int32
        var count: Int32
    }
    /// For each input.
    private let runs: [[Run]]
    private let dx: [GradientTarget?]
    private let fill: Float?
    /// For each input: whether no element of it goes to two places.
    private let isInjective: [Bool]

    private init(name: String, inputs: [Slot], output: Slot, runs: [[Run]], fill: Float?) {
        self.runs = runs
        self.fill = fill
        dx = inputs.map { GradientTarget($0) }
        isInjective = zip(runs, inputs).map { runs, slot in
            var seen = [Bool](repeating: false, count: slot.count)
            for run in runs {
                for place in Int(run.source)..<Int(run.source + run.count) {
                    if seen[place] { return false }
                    seen[place] = true
                }
            }
            return true
        }
        super.init(name: name, inputs: inputs, output: output)
    }

    /// The numbers in the same order under another shape.
    convenience init(name: String, copying x: Slot, to output: Slot) {
        self.init(
            name: name, inputs: [x], output: output, runs: [[Run(target: 0, source: 0, count: Int32(x.count))]],
            fill: nil)
    }

    /// Finds where the numbers go by moving their places.
    ///
    /// - Parameter operands: all operands of the node; those that are not in `moved` keep their constants.
    /// - Returns: nil where `op` does not move numbers.
    convenience init?(
        name: String, op: Op, operands: [(type: TensorType, constant: Tensor?)], moved: [Slot], output: Slot
    ) {
        var fill: Float?
        var placed = op
        if case .pad(let before, let after, let value) = op {
            fill = value
            placed = .pad(before: before, after: after, value: -1)
        }
        var tensors: [Tensor] = []
        var types: [TensorType] = []
        var start: Int32 = 0
        for operand in operands {
            if let constant = operand.constant {
                tensors.append(constant)
                types.append(operand.type)
                continue
            }
            let count = operand.type.shape.elementCount ?? 0
            guard let places = Tensor((0..<Int32(count)).map { $0 + start }, shape: operand.type.shape) else {
                return nil
            }
            start += Int32(count)
            tensors.append(places)
            types.append(TensorType(.int32, operand.type.shape))
        }
        guard
            let loop = GenericOperator(placed, inputs: types, output: TensorType(.int32, output.shape)),
            let places = loop.evaluate(tensors)?.elements(Int32.self)
        else { return nil }
        var runs = [[Run]](repeating: [], count: moved.count)
        var starts: [Int32] = []
        var next: Int32 = 0
        for slot in moved {
            starts.append(next)
            next += Int32(slot.count)
        }
        for (target, place) in places.enumerated() where place >= 0 {
            guard let input = starts.lastIndex(where: { $0 <= place }) else { return nil }
            let source = place - starts[input]
            if let last = runs[input].last, last.source + last.count == source,
                last.target + last.count == Int32(target)
            {
                runs[input][runs[input].count - 1].count += 1
            } else {
                runs[input].append(Run(target: Int32(target), source: source, count: 1))
            }
        }
        self.init(name: name, inputs: moved, output: output, runs: runs, fill: fill)
    }

    override var splitsForward: Bool { true }
    override var splitsBackward: Bool { isInjective.allSatisfy { $0 } }
    override var targets: [GradientTarget?] { dx }
    override var backwardBuffers: [TrainBuffer] { [] }

    override func beginForward() {
        guard let fill else { return }
        for index in 0..<output.count { output.x[index] = fill }
    }

    override func forward(part: Int, of parts: Int) {
        for (slot, runs) in zip(inputs, runs) {
            let (x, y) = (slot.x, output.x)
            runs.withUnsafeBufferPointer { runs in
                for index in range(runs.count, part, parts) {
                    let run = runs[index]
                    let (to, from) = (y + Int(run.target), x + Int(run.source))
                    if run.count == 1 { to[0] = from[0] } else { to.update(from: from, count: Int(run.count)) }
                }
            }
        }
    }

    override func beginBackward() { for target in dx { target?.zeroUnlessAccumulating() } }

    override func backward(phase: Int, part: Int, of parts: Int) {
        for (target, runs) in zip(dx, runs) {
            guard let target else { continue }
            let (dy, dx) = (output.dx, target.dx)
            runs.withUnsafeBufferPointer { runs in
                for index in range(runs.count, part, parts) {
                    let run = runs[index]
                    let (from, to) = (dy + Int(run.target), dx + Int(run.source))
                    for place in 0..<Int(run.count) { to[place] += from[place] }
                }
            }
        }
    }
}
