import OunceGraph

/// Slices of the data chosen along an axis by indices that are computed or given at run time (an embedding).
final class GatherStep: TrainingStep {
    private let data: Slot
    private let indices: Slot
    private let dx: GradientTarget?
    private let (outer, extent, inner): (Int, Int, Int)

    init(name: String, axis: Int, data: Slot, indices: Slot, output: Slot) {
        (self.data, self.indices) = (data, indices)
        dx = GradientTarget(data)
        outer = data.shape.dims[..<axis].reduce(1, *)
        extent = data.shape[axis]
        inner = data.shape.dims[(axis + 1)...].reduce(1, *)
        super.init(name: name, inputs: [data, indices], output: output)
    }

    override var targets: [GradientTarget?] { [dx] }

    private func forEach(_ body: (_ target: Int, _ source: Int?) -> Void) {
        let count = indices.count
        let raw = UnsafeRawPointer(indices.value.raw)
        for block in 0..<outer {
            for number in 0..<count {
                let given =
                    indices.type.dtype == .int64
                    ? Int(raw.load(fromByteOffset: number * 8, as: Int64.self))
                    : Int(raw.load(fromByteOffset: number * 4, as: Int32.self))
                let place = given < 0 ? given &+ extent : given
                let isInside = (0..<extent).contains(place)
                body((block * count + number) * inner, isInside ? (block * extent + place) * inner : nil)
            }
        }
    }

    override func forward(part: Int, of parts: Int) {
        let (x, y) = (data.x, output.x)
        forEach { target, source in
            for i in 0..<inner { y[target + i] = source.map { x[$0 + i] } ?? 0 }
        }
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        guard let dx else { return }
        dx.zeroUnlessAccumulating()
        let dy = output.dx
        forEach { target, source in
            guard let source else { return }
            for i in 0..<inner { dx.dx[source + i] += dy[target + i] }
        }
    }
}

/// Along an axis, weighted sums of chosen places: resizing.
final class ResampleStep: TrainingStep {
    private let dx: GradientTarget?
    private let places: [Int]
    private let weights: [Float]
    private let (outer, extent, inner, outputs): (Int, Int, Int, Int)

    init(name: String, axis: Int, x: Slot, places: [Int], weights: [Float], output: Slot) {
        dx = GradientTarget(x)
        (self.places, self.weights) = (places, weights)
        outer = x.shape.dims[..<axis].reduce(1, *)
        extent = x.shape[axis]
        inner = x.shape.dims[(axis + 1)...].reduce(1, *)
        outputs = output.shape[axis]
        super.init(name: name, inputs: [x], output: output)
    }

    override var splitsForward: Bool { true }
    override var splitsBackward: Bool { true }
    override var targets: [GradientTarget?] { [dx] }
    override var backwardBuffers: [TrainBuffer] { [] }

    override func forward(part: Int, of parts: Int) {
        let taps = places.count / max(outputs, 1)
        for block in range(outer, part, parts) {
            for o in 0..<outputs {
                let y = output.x + (block * outputs + o) * inner
                for i in 0..<inner { y[i] = 0 }
                for tap in o * taps..<(o + 1) * taps {
                    let x = inputs[0].x + (block * extent + places[tap]) * inner
                    for i in 0..<inner { y[i] += weights[tap] * x[i] }
                }
            }
        }
    }

    override func beginBackward() { dx?.zeroUnlessAccumulating() }

    override func backward(phase: Int, part: Int, of parts: Int) {
        guard let dx else { return }
        let taps = places.count / max(outputs, 1)
        for block in range(outer, part, parts) {
            for o in 0..<outputs {
                let dy = output.dx + (block * outputs + o) * inner
                for tap in o * taps..<(o + 1) * taps {
                    let to = dx.dx + (block * extent + places[tap]) * inner
                    for i in 0..<inner { to[i] += weights[tap] * dy[i] }
                }
            }
        }
    }
}

/// Where the condition holds a, else b; all of one shape.
final class SelectStep: TrainingStep {
    private let (da, db): (GradientTarget?, GradientTarget?)

    init(name: String, condition: Slot, a: Slot, b: Slot, output: Slot) {
        (da, db) = (GradientTarget(a), GradientTarget(b))
        super.init(name: name, inputs: [condition, a, b], output: output)
    }

    override var targets: [GradientTarget?] { [da, db] }

    override func forward(part: Int, of parts: Int) {
        let condition = inputs[0].value.raw.assumingMemoryBound(to: UInt8.self)
        for i in 0..<output.count { output.x[i] = condition[i] != 0 ? inputs[1].x[i] : inputs[2].x[i] }
    }

    override func backward(phase: Int, part: Int, of parts: Int) {
        let condition = inputs[0].value.raw.assumingMemoryBound(to: UInt8.self)
        da?.zeroUnlessAccumulating()
        db?.zeroUnlessAccumulating()
        for i in 0..<output.count {
            if condition[i] != 0 { da?.dx[i] += output.dx[i] } else { db?.dx[i] += output.dx[i] }
        }
    }
}

/// Any operator, forward only: what lies before everything that is trained.
final class GenericStep: TrainingStep {
    private let loop: GenericOperator
    private let pointers: [TrainBuffer?]

    init(name: String, loop: GenericOperator, operands: [Slot?], output: Slot) {
        self.loop = loop
        pointers = operands.map { $0?.value }
        super.init(name: name, inputs: operands.compactMap { $0 }, output: output)
    }

    override func forward(part: Int, of parts: Int) {
        loop.run(pointers.map { $0.map { UnsafeRawPointer($0.raw) } }, output.value.raw)
    }
}
