import OunceGraph

#if canImport(Glibc)
import Glibc
#endif

/// The naive reference: computes a graph with simple loops, float operators in Double, int8 operators exactly by the
/// rules that `ounce_kernels.h` states. It is the oracle for passes, importers, kernels and the runtime.
package struct Interpreter {
    /// Transcendental functions of int8 operators, whose result depends on the last bit of the Float that they give.
    package struct FloatMath: Sendable {
        package var exp: @Sendable (Float) -> Float = { Float(Glibc.exp(Double($0))) }
        package var log: @Sendable (Float) -> Float = { Float(Glibc.log(Double($0))) }
        package var tanh: @Sendable (Float) -> Float = { Float(Glibc.tanh(Double($0))) }
        package var sigmoid: @Sendable (Float) -> Float = { Float(1 / (1 + Glibc.exp(-Double($0)))) }
        package init() {}
    }

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
        package init(_ description: String) { self.description = description }
    }

    package var math = FloatMath()

    package init() {}

    /// The outputs of `graph` for `inputs`, in order. Unknown extents follow from the inputs.
    package func run(_ graph: Graph, _ inputs: [Tensor]) throws -> [NDArray] {
        let values = try runAll(graph, inputs)
        return try graph.outputs.map { id in
            guard let value = values[id] else { throw Failure("no value for output \(graph[id].name)") }
            return value
        }
    }

    /// Every value of `graph`.
    package func runAll(_ graph: Graph, _ inputs: [Tensor]) throws -> [ValueID: NDArray] {
        guard inputs.count == graph.inputs.count else { throw Failure("\(inputs.count) inputs") }
        var values: [ValueID: NDArray] = [:]
        var shapes: [String: Shape] = [:]
        for (id, tensor) in zip(graph.inputs, inputs) {
            shapes[graph[id].name] = tensor.shape
            values[id] = NDArray(tensor)
        }
        let graph = try graph.bound(to: shapes)
        for (index, value) in graph.values.enumerated() {
            if let constant = value.constant { values[ValueID(index)] = NDArray(constant) }
        }
        for node in graph.nodes {
            guard let output = node.outputs.first else { continue }
            var operands: [Operand?] = []
            for id in node.inputs {
                guard let id else {
                    operands.append(nil)
                    continue
                }
                guard let array = values[id] else { throw Failure("\(node.name) reads a value before it is made") }
                operands.append(Operand(array: array, affine: graph[id].encoding.affine))
            }
            let type = graph[output].type
            let step = Step(
                node: node, operands: operands, shape: type.shape.dims, dtype: type.dtype,
                affine: graph[output].encoding.affine, math: math)
            let result = try step.compute()
            guard result.count == type.shape.dims.reduce(1, *), result.shape == type.shape.dims else {
                throw Failure("\(node.name) made \(result.shape), not \(type.shape)")
            }
            values[output] = result
        }
        return values
    }
}

/// A value with what its numbers stand for.
struct Operand {
    var array: NDArray
    var affine: AffineQuantization?

    /// The real numbers.
    var real: NDArray {
        guard let affine else { return array }
        var real = array
        real.dtype = .float32
        var place = 0
        NDArray.forEachIndex(of: array.shape) { index in
            let channel = affine.axis.map { index[$0] } ?? 0
            let units = Float(array.values[place] - Double(affine.zeroPoints[channel]))
            real.values[place] = Double(units * affine.scales[channel])
            place += 1
        }
        return real
    }
}

/// One node with its operands.
struct Step {
    let node: Node
    let operands: [Operand?]
    let shape: [Int]
    let dtype: DType
    let affine: AffineQuantization?
    let math: Interpreter.FloatMath

    func operand(_ index: Int) throws -> Operand {
        guard index < operands.count, let operand = operands[index] else {
            throw Interpreter.Failure("\(node.name) lacks input \(index)")
        }
        return operand
    }

    func optional(_ index: Int) -> Operand? { index < operands.count ? operands[index] : nil }

    func compute() throws -> NDArray {
        if dtype == .int8, affine != nil { return try quantizedCompute() }
        let x = try operand(0).real
        switch node.op {
        case .conv(let conv):
            let sum = Reference.conv(
                x, try operand(1).real, conv, shape: shape, bias: optional(2)?.real.values)
            return clamp(sum, conv.activation)
        case .fullyConnected(let activation):
            let sum = Reference.fullyConnected(x, try operand(1).real, shape: shape, bias: optional(2)?.real.values)
            return clamp(sum, activation)
        case .matMul: return Reference.matMul(x, try operand(1).real, shape: shape)
        case .pool(let pool):
            let pooled = Reference.pool(x, pool, shape: shape) { window in
                switch pool.kind {
                case .max: window.values.max() ?? -.infinity
                case .average: window.values.reduce(0, +) / Double(window.divisor)
                }
            }
            return clamp(pooled, pool.activation)
        case .reduce(let reduction, let axes, _):
            return Reference.reduce(x, axes: axes, shape: shape, dtype: dtype) { numbers in
                switch reduction {
                case .mean: numbers.reduce(0, +) / Double(numbers.count)
                case .sum: numbers.reduce(0, +)
                case .max: numbers.max() ?? -.infinity
                case .min: numbers.min() ?? .infinity
                case .product: numbers.reduce(1, *)
                }
            }
        case .binary(let binary, let activation):
            let result = Reference.zip(x, try operand(1).real, shape: shape, dtype: dtype) {
                Reference.binary(binary, $0, $1, isInteger: dtype.isInteger)
            }
            return clamp(result, activation)
        case .unary(let unary): return NDArray(dtype, x.shape, x.values.map { Reference.unary(unary, $0) })
        case .softmax(let axis): return Reference.softmax(x, axis: axis)
        case .layerNormalization(let axes, let epsilon):
            return Reference.layerNormalization(
                x, axes: axes, epsilon: Double(epsilon), scale: optional(1)?.real.values, bias: optional(2)?.real.values
            )
        case .batchNormalization(let axis, let epsilon):
            let parameters = try (1...4).map { try operand($0).real.values }
            return Reference.batchNormalization(x, parameters, axis: axis, epsilon: Double(epsilon))
        case .reshape, .transpose, .slice, .pad, .concat:
            return try move(operands.map { try $0?.real ?? operand(0).real }, pad: { $0 })
        case .quantize: return try quantizedCompute()
        case .quantizeAs(.int16):
            let scale = affine?.scale ?? 1
            return NDArray(
                dtype, x.shape,
                x.values.map { Double(max(-32768, min(32767, (Float($0) / scale).rounded(.toNearestOrEven)))) })
        case .dequantize: return x
        case .cast(let dtype): return Reference.cast(try operand(0).array, to: dtype)
        case .select:
            let (a, b) = (try operand(1).real, try operand(2).real)
            return NDArray.make(dtype, shape) { index in
                x[Reference.broadcast(index, to: x.shape)] != 0
                    ? a[Reference.broadcast(index, to: a.shape)] : b[Reference.broadcast(index, to: b.shape)]
            }
        case .compare(let comparison):
            return Reference.zip(x, try operand(1).real, shape: shape, dtype: dtype) { a, b in
                switch comparison {
                case .equal: a == b ? 1 : 0
                case .less: a < b ? 1 : 0
                case .lessOrEqual: a <= b ? 1 : 0
                case .greater: a > b ? 1 : 0
                case .greaterOrEqual: a >= b ? 1 : 0
                }
            }
        case .resample(let axis):
            return try along(axis, x, taps: operand(1).array, weights: operand(2).array.values)
        case .gather(.slices(let axis)):
            var places = try operand(1).array
            places.shape += [1]
            return along(axis, x, taps: places, weights: places.values.map { _ in 1 })
        // No rule of simplification touches these; their oracle is the suite of ONNX's operator tests.
        case .expand, .reverse, .reverseSequence, .gather, .scatter, .argReduce, .topK, .cumulativeSum, .poolIndices,
            .recurrent, .quantizeAs, .roundToDynamicGrid, .integerLSTM, .sampleAt, .roiAlign, .determinant,
            .treeEnsemble, .nonMaxSuppression, .nonZero, .distinct, .cut:
            throw Interpreter.Failure("\(node.name): the reference does not compute \(node.op.name)")
        }
    }

    func clamp(_ array: NDArray, _ activation: Activation) -> NDArray {
        let (low, high) = activation.bounds
        var array = array
        array.values = array.values.map { Swift.min(Swift.max($0, Double(low)), Double(high)) }
        return array
    }

    /// Weighted sums of the slices along an axis that each row of `taps` names.
    func along(_ axis: Int, _ x: NDArray, taps: NDArray, weights: [Double]) -> NDArray {
        let (axis, count) = (axis < 0 ? axis + x.rank : axis, taps.shape[1])
        return NDArray.make(dtype, shape) { index in
            (0..<count).reduce(0.0) { sum, tap in
                let entry = index[axis] * count + tap
                guard weights[entry] != 0 else { return sum }
                var source = index
                source[axis] = Int(taps.values[entry]) + (taps.values[entry] < 0 ? x.shape[axis] : 0)
                return sum + weights[entry] * x[source]
            }
        }
    }

    /// Operators that only move numbers; `pad` gives the stored number for a real one.
    func move(_ arrays: [NDArray], pad: (Double) -> Double) throws -> NDArray {
        let x = arrays[0]
        switch node.op {
        case .reshape: return NDArray(x.dtype, shape, x.values)
        case .transpose(let permutation):
            return NDArray.make(x.dtype, shape) { index in
                var source = index
                for (axis, from) in permutation.enumerated() { source[from] = index[axis] }
                return x[source]
            }
        case .slice(let ranges):
            let starts = zip(ranges, x.shape).map { $0.bounds(extent: $1).start }
            return NDArray.make(x.dtype, shape) { index in
                x[index.indices.map { starts[$0] + index[$0] * ranges[$0].step }]
            }
        case .pad(let before, _, let value):
            return NDArray.make(x.dtype, shape) { index in
                let source = zip(index, before).map { $0 - $1 }
                let inside = zip(source, x.shape).allSatisfy { $0 >= 0 && $0 < $1 }
                return inside ? x[source] : pad(Double(value))
            }
        case .concat(let axis):
            let axis = axis < 0 ? axis + x.rank : axis
            return NDArray.make(x.dtype, shape) { index in
                var source = index
                for array in arrays {
                    if source[axis] < array.shape[axis] { return array[source] }
                    source[axis] -= array.shape[axis]
                }
                return .nan
            }
        default: throw Interpreter.Failure("\(node.name) does not move numbers")
        }
    }
}
