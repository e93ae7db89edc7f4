import Glibc

extension GenericLoop {
    func binary(_ op: BinaryOperator, _ activation: Activation) {
        guard let y = operand(1) else { return }
        let strides = [x.shape.broadcastStrides(to: shape), y.shape.broadcastStrides(to: shape)]
        StridedWalk.forEach(shape.dims, strides) { place, walk in
            let a: N = x.dtype.load(x.bytes, walk.offsets[0])
            let b: N = y.dtype.load(y.bytes, walk.offsets[1])
            store(clamped(N.binary(op, a, b), activation), place)
        }
    }

    func compare(_ comparison: Comparison) {
        guard let y = operand(1) else { return }
        let strides = [x.shape.broadcastStrides(to: shape), y.shape.broadcastStrides(to: shape)]
        StridedWalk.forEach(shape.dims, strides) { place, walk in
            let a: N = x.dtype.load(x.bytes, walk.offsets[0])
            let b: N = y.dtype.load(y.bytes, walk.offsets[1])
            let holds =
                switch comparison {
                case .equal: a == b
                case .less: a < b
                case .lessOrEqual: a <= b
                case .greater: a > b
                case .greaterOrEqual: a >= b
                }
            out.storeBytes(of: holds ? 1 : 0, toByteOffset: place, as: UInt8.self)
        }
    }

    func select() {
        guard let a = operand(1), let b = operand(2) else { return }
        let strides = [x, a, b].map { $0.shape.broadcastStrides(to: shape) }
        StridedWalk.forEach(shape.dims, strides) { place, walk in
            let holds = x.bytes.load(fromByteOffset: walk.offsets[0], as: UInt8.self) != 0
            copyElement(holds ? a : b, holds ? walk.offsets[1] : walk.offsets[2], to: place)
        }
    }

    func unary(_ op: UnaryOperator) {
        for index in 0..<count {
            let value: N = x.dtype.load(x.bytes, index)
            switch op {
            case .function(.not) where output.dtype == .bool: store(value == N.zero ? N.one : N.zero, index)
            case .function(let function): store(N.function(function, value), index)
            case .negate: store(N.binary(.subtract, N.zero, value), index)
            case .abs where value >= N.zero: store(value, index)
            case .abs: store(N.binary(.subtract, N.zero, value), index)
            default: store(N(exactlyOrNearest: real(op, value.double)), index)
            }
        }
    }

    private func real(_ op: UnaryOperator, _ x: Double) -> Double {
        switch op {
        case .clip(let low, let high): x.isNaN ? x : min(max(x, Double(low)), Double(high))
        case .leakyRelu(let slope): x >= 0 ? x : Double(slope) * x
        case .sigmoid: 1 / (1 + Glibc.exp(-x))
        case .tanh: Glibc.tanh(x)
        case .exp: Glibc.exp(x)
        case .log: Glibc.log(x)
        case .sqrt: x.squareRoot()
        case .negate: -x
        case .abs: x.magnitude
        case .hardSwish: x * min(max(x / 6 + 0.5, 0), 1)
        case .hardSigmoid(let alpha, let beta): min(max(Double(alpha) * x + Double(beta), 0), 1)
        case .function(let function): Double.function(function, x)
        }
    }

    func cast() {
        for index in 0..<count { store(x.dtype.load(x.bytes, index, as: N.self), index) }
    }

    func softmax(axis: Int) {
        guard let axis = x.shape.normalized(axis: axis) else { return }
        let (outer, extent, inner) = x.shape.split(at: axis)
        for a in 0..<outer {
            for b in 0..<inner {
                func place(_ i: Int) -> Int { (a * extent + i) * inner + b }
                let row = (0..<extent).map { x.dtype.load(x.bytes, place($0), as: Double.self) }
                let top = row.max() ?? 0
                let powers = row.map { Glibc.exp($0 - top) }
                let sum = powers.reduce(0, +)
                for i in 0..<extent { store(N(exactlyOrNearest: powers[i] / sum), place(i)) }
            }
        }
    }

    func layerNormalization(axes: Int, epsilon: Double) {
        let columns = x.shape.dims.suffix(axes).reduce(1, *)
        guard columns > 0 else { return }
        let (scale, bias) = (operand(1)?.numbers(Double.self), operand(2)?.numbers(Double.self))
        for first in stride(from: 0, to: count, by: columns) {
            let row = (first..<first + columns).map { x.dtype.load(x.bytes, $0, as: Double.self) }
            let mean = row.reduce(0, +) / Double(columns)
            let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(columns)
            let deviation = (variance + epsilon).squareRoot()
            for (i, number) in row.enumerated() {
                let result = (number - mean) / deviation * (scale?[i] ?? 1) + (bias?[i] ?? 0)
                store(N(exactlyOrNearest: result), first + i)
            }
        }
    }
}
