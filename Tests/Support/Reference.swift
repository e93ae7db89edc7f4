import OunceGraph

#if canImport(Glibc)
import Glibc
#endif

/// The operators by their definitions, in Double.
enum Reference {
    /// Σ x·w over the window, plus the bias. Padded places contribute nothing.
    static func conv(_ x: NDArray, _ w: NDArray, _ conv: Convolution, shape: [Int], bias: [Double]?) -> NDArray {
        let spatial = x.rank - 2
        let kernel = Array(w.shape[1...spatial])
        let perGroup = w.shape[spatial + 1]
        let outputsPerGroup = w.shape[0] / conv.groups
        return NDArray.make(x.dtype, shape) { index in
            let channel = index[spatial + 1]
            let firstInput = channel / outputsPerGroup * perGroup
            var sum = bias?[channel] ?? 0
            NDArray.forEachIndex(of: kernel) { tap in
                var source = index
                for axis in 0..<spatial {
                    source[axis + 1] =
                        index[axis + 1] * conv.strides[axis] + tap[axis] * conv.dilations[axis] - conv.padBefore[axis]
                    guard source[axis + 1] >= 0, source[axis + 1] < x.shape[axis + 1] else { return }
                }
                source[spatial + 1] = firstInput
                let from = x.place(source)
                let weight = w.place([channel] + tap + [0])
                for input in 0..<perGroup { sum += x.values[from + input] * w.values[weight + input] }
            }
            return sum
        }
    }

    static func fullyConnected(_ x: NDArray, _ w: NDArray, shape: [Int], bias: [Double]?) -> NDArray {
        let inputs = w.shape[1]
        return NDArray.make(x.dtype, shape) { index in
            let output = index[index.count - 1]
            let row = x.place(Array(index.dropLast()) + [0])
            var sum = bias?[output] ?? 0
            for input in 0..<inputs { sum += x.values[row + input] * w.values[output * inputs + input] }
            return sum
        }
    }

    static func matMul(_ a: NDArray, _ b: NDArray, shape: [Int]) -> NDArray {
        let inner = a.shape[a.rank - 1]
        return NDArray.make(a.dtype, shape) { index in
            let (row, column) = (index[index.count - 2], index[index.count - 1])
            let leading = Array(index.dropLast(2))
            var sum = 0.0
            for k in 0..<inner {
                sum +=
                    a[broadcast(leading + [row, k], to: a.shape)] * b[broadcast(leading + [k, column], to: b.shape)]
            }
            return sum
        }
    }

    /// The index in an array of `shape` that broadcasts to the one that `index` is of.
    static func broadcast(_ index: [Int], to shape: [Int]) -> [Int] {
        Swift.zip(index.suffix(shape.count), shape).map { $1 == 1 ? 0 : $0 }
    }

    struct Window {
        var values: [Double] = []
        var divisor = 0
    }

    static func pool(_ x: NDArray, _ pool: Pooling, shape: [Int], _ body: (Window) -> Double) -> NDArray {
        NDArray.make(x.dtype, shape) { index in
            var window = Window()
            NDArray.forEachIndex(of: pool.kernel) { tap in
                var source = index
                if pool.countIncludesPadding { window.divisor += 1 }
                for axis in pool.kernel.indices {
                    source[axis + 1] =
                        index[axis + 1] * pool.strides[axis] + tap[axis] * pool.dilations[axis] - pool.padBefore[axis]
                    guard source[axis + 1] >= 0, source[axis + 1] < x.shape[axis + 1] else { return }
                }
                if !pool.countIncludesPadding { window.divisor += 1 }
                window.values.append(x[source])
            }
            return body(window)
        }
    }

    static func reduce(
        _ x: NDArray, axes: [Int], shape: [Int], dtype: DType, _ body: ([Double]) -> Double
    ) -> NDArray {
        let reduced = Set(axes.map { $0 < 0 ? $0 + x.rank : $0 })
        let keptShape = x.shape.enumerated().map { reduced.contains($0.offset) ? 1 : $0.element }
        let inside = x.shape.enumerated().map { reduced.contains($0.offset) ? $0.element : 1 }
        let result = NDArray.make(dtype, keptShape) { index in
            var numbers: [Double] = []
            NDArray.forEachIndex(of: inside) { offset in numbers.append(x[Swift.zip(index, offset).map { $0 + $1 }]) }
            return body(numbers)
        }
        return NDArray(dtype, shape, result.values)
    }

    static func zip(
        _ a: NDArray, _ b: NDArray, shape: [Int], dtype: DType, _ body: (Double, Double) -> Double
    ) -> NDArray {
        NDArray.make(dtype, shape) { body(a[broadcast($0, to: a.shape)], b[broadcast($0, to: b.shape)]) }
    }

    static func binary(_ op: BinaryOperator, _ a: Double, _ b: Double, isInteger: Bool) -> Double {
        switch op {
        case .add: a + b
        case .subtract: a - b
        case .multiply: a * b
        case .divide: isInteger ? (a / b).rounded(.towardZero) : a / b
        case .minimum: a < b ? a : b
        case .maximum: a > b ? a : b
        case .power: pow(a, b)
        case .modulo: a - (a / b).rounded(.down) * b
        case .remainder: a.truncatingRemainder(dividingBy: b)
        case .and, .or, .xor, .shiftLeft, .shiftRight: .nan
        }
    }

    static func function(_ function: ElementFunction, _ x: Double) -> Double {
        switch function {
        case .not: x == 0 ? 1 : 0
        case .sign: x == 0 ? 0 : x < 0 ? -1 : 1
        case .floor: Glibc.floor(x)
        case .ceil: Glibc.ceil(x)
        case .round: Glibc.rint(x)
        case .erf: Glibc.erf(x)
        case .softplus: Glibc.log(1 + Glibc.exp(x))
        case .expMinusOne: Glibc.exp(x) - 1
        case .sin: Glibc.sin(x)
        case .cos: Glibc.cos(x)
        case .tan: Glibc.tan(x)
        case .asin: Glibc.asin(x)
        case .acos: Glibc.acos(x)
        case .atan: Glibc.atan(x)
        case .sinh: Glibc.sinh(x)
        case .cosh: Glibc.cosh(x)
        case .asinh: Glibc.asinh(x)
        case .acosh: Glibc.acosh(x)
        case .atanh: Glibc.atanh(x)
        case .gelu: x * Glibc.erfc(-x / 2.0.squareRoot()) / 2
        case .geluTanh: x / (1 + Glibc.exp(-2 * (2 / Double.pi).squareRoot() * (x + 0.044715 * Glibc.pow(x, 3))))
        }
    }

    static func unary(_ op: UnaryOperator, _ x: Double) -> Double {
        switch op {
        case .clip(let low, let high): min(max(x, Double(low)), Double(high))
        case .leakyRelu(let slope): x >= 0 ? x : Double(slope) * x
        case .sigmoid: 1 / (1 + exp(-x))
        case .tanh: Glibc.tanh(x)
        case .exp: Glibc.exp(x)
        case .log: Glibc.log(x)
        case .sqrt: x.squareRoot()
        case .negate: -x
        case .abs: abs(x)
        case .hardSwish: x * min(max(x + 3, 0), 6) / 6
        case .hardSigmoid(let alpha, let beta): max(0, min(1, Double(alpha) * x + Double(beta)))
        case .function(let function): Self.function(function, x)
        }
    }

    /// Calls `body` with the places of each line along `axis`.
    static func lines(of x: NDArray, axis: Int, _ body: ([Int]) -> Void) {
        let axis = axis < 0 ? axis + x.rank : axis
        var outer = x.shape
        outer[axis] = 1
        NDArray.forEachIndex(of: outer) { index in
            body(
                (0..<x.shape[axis]).map { place in
                    var index = index
                    index[axis] = place
                    return x.place(index)
                })
        }
    }

    static func softmax(_ x: NDArray, axis: Int) -> NDArray {
        var result = x
        lines(of: x, axis: axis) { places in
            let top = places.map { x.values[$0] }.max() ?? 0
            let sum = places.reduce(0) { $0 + exp(x.values[$1] - top) }
            for place in places { result.values[place] = exp(x.values[place] - top) / sum }
        }
        return result
    }

    static func layerNormalization(
        _ x: NDArray, axes: Int, epsilon: Double, scale: [Double]?, bias: [Double]?
    ) -> NDArray {
        let columns = x.shape.suffix(axes).reduce(1, *)
        var result = x
        for place in x.values.indices {
            let row = x.values[place / columns * columns..<(place / columns + 1) * columns]
            let mean = row.reduce(0, +) / Double(columns)
            let meanSquare = row.reduce(0) { $0 + $1 * $1 } / Double(columns)
            let normal = (x.values[place] - mean) / (meanSquare - mean * mean + epsilon).squareRoot()
            result.values[place] = normal * (scale?[place % columns] ?? 1) + (bias?[place % columns] ?? 0)
        }
        return result
    }

    /// - Parameter parameters: scale, bias, mean, variance.
    static func batchNormalization(_ x: NDArray, _ parameters: [[Double]], axis: Int, epsilon: Double) -> NDArray {
        let axis = axis < 0 ? axis + x.rank : axis
        return NDArray.make(x.dtype, x.shape) { index in
            let channel = index[axis]
            let p = parameters.map { $0[channel] }
            return (x[index] - p[2]) / (p[3] + epsilon).squareRoot() * p[0] + p[1]
        }
    }

    static func cast(_ x: NDArray, to dtype: DType) -> NDArray {
        NDArray(
            dtype, x.shape,
            x.values.map { value in
                if dtype == .bool { return value != 0 ? 1 : 0 }
                return dtype.isInteger ? value.rounded(.towardZero) : value
            })
    }
}
