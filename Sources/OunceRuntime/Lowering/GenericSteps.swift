import COunceKernels
import OunceGraph

/// Operators that are never hot in the models that Ounce serves: plain loops over elements, one unit, the same operations in
/// the same order everywhere.
extension Lowering {
    private mutating func emitGeneric<Parameters>(
        _ name: String, _ parameters: Parameters, inputs: [Operand], output: Int, cost: Int, node: String,
        _ run: @escaping GenericStep
    ) {
        emit(
            LoweredStep(
                node: node, work: .generic(name: name, run: run), parameters: StepParameters(parameters), weights: nil,
                inputs: inputs, output: output, cost: cost, macs: 0, packingKey: ""))
    }

    // MARK: matMul

    private struct MatMul {
        var batch: [Int]
        var strides: [[Int]]
        var (m, n, k) = (0, 0, 0)
    }

    mutating func lowerMatMul(_ node: Node) throws(RuntimeError) {
        let (a, b) = (try input(node, 0), try input(node, 1))
        let shape = graph[node.outputs[0]].shape
        let operands = [try dequantized(a, node: node.name), try dequantized(b, node: node.name)]
        guard [a, b].allSatisfy({ graph[$0].dtype == .float32 || isQuantized($0) }) else {
            throw RuntimeError(.unsupported, "a matrix product of \(graph[a].dtype) and \(graph[b].dtype)")
        }
        let batch = Shape(Array(shape.dims.dropLast(2)))
        let strides = [a, b].map { id -> [Int] in
            let dims = graph[id].shape
            let matrix = dims[dims.rank - 2] * dims[dims.rank - 1]
            return Self.broadcastStrides(Shape(Array(dims.dims.dropLast(2))), to: batch).map { $0 * matrix }
        }
        let (m, n) = (shape[shape.rank - 2], shape[shape.rank - 1])
        let k = graph[a].shape[graph[a].shape.rank - 1]
        let quantized = isQuantized(node.outputs[0])
        let output = quantized ? newBuffer(byteCount: elementCount(node.outputs[0]) * 4) : outputOf(node)
        emitGeneric(
            "matmul_f32", MatMul(batch: batch.dims, strides: strides, m: m, n: n, k: k), inputs: operands,
            output: output, cost: elementCount(node.outputs[0]) * k, node: node.name
        ) { call, _, _ in
            guard let call = call?.pointee, let p = call.params?.assumingMemoryBound(to: MatMul.self).pointee,
                let a = call.in.0?.assumingMemoryBound(to: Float.self),
                let b = call.in.1?.assumingMemoryBound(to: Float.self),
                let out = call.out?.assumingMemoryBound(to: Float.self)
            else { return }
            Lowering.forEachIndex(p.batch) { position, index in
                let left = a + zip(index, p.strides[0]).reduce(0) { $0 + $1.0 * $1.1 }
                let right = b + zip(index, p.strides[1]).reduce(0) { $0 + $1.0 * $1.1 }
                let result = out + position * p.m * p.n
                for row in 0..<p.m {
                    for column in 0..<p.n {
                        var sum: Float = 0
                        for i in 0..<p.k { sum.addProduct(left[row * p.k + i], right[i * p.n + column]) }
                        result[row * p.n + column] = sum
                    }
                }
            }
        }
        if quantized { try emitQuantize(.buffer(output), node) }
    }

    /// Calls `body` with the running number and the index of each element of a box, row-major.
    private static func forEachIndex(_ dims: [Int], _ body: (Int, [Int]) -> Void) {
        var index = [Int](repeating: 0, count: dims.count)
        for position in 0..<dims.reduce(1, *) {
            body(position, index)
            for axis in dims.indices.reversed() {
                index[axis] += 1
                if index[axis] < dims[axis] { break }
                index[axis] = 0
            }
        }
    }

    // MARK: reduce

    private struct Reduce {
        var reduction: Reduction
        var (kept, reduced): ([Int], [Int])
        var (keptStrides, reducedStrides): ([Int], [Int])
    }

    mutating func emitReduction(
        _ reduction: Reduction, shape: Shape, axes: Set<Int>, source: Operand, output: Int, node: String
    ) {
        let kept = shape.dims.indices.filter { !axes.contains($0) }
        let reduced = axes.sorted()
        let parameters = Reduce(
            reduction: reduction, kept: kept.map { shape[$0] }, reduced: reduced.map { shape[$0] },
            keptStrides: kept.map { shape.strides[$0] }, reducedStrides: reduced.map { shape.strides[$0] })
        emitGeneric(
            "reduce_f32", parameters, inputs: [source], output: output, cost: shape.elementCount ?? 0, node: node
        ) { call, _, _ in
            guard let call = call?.pointee, let p = call.params?.assumingMemoryBound(to: Reduce.self).pointee,
                let x = call.in.0?.assumingMemoryBound(to: Float.self),
                let out = call.out?.assumingMemoryBound(to: Float.self)
            else { return }
            let count = p.reduced.reduce(1, *)
            Lowering.forEachIndex(p.kept) { position, index in
                let start = x + zip(index, p.keptStrides).reduce(0) { $0 + $1.0 * $1.1 }
                var result: Float?
                Lowering.forEachIndex(p.reduced) { _, inner in
                    let next = start[zip(inner, p.reducedStrides).reduce(0) { $0 + $1.0 * $1.1 }]
                    guard let sofar = result else {
                        result = next
                        return
                    }
                    switch p.reduction {
                    case .mean, .sum: result = sofar + next
                    case .max: result = sofar > next ? sofar : next
                    case .min: result = sofar < next ? sofar : next
                    }
                }
                out[position] = p.reduction == .mean ? (result ?? 0) / Float(count) : result ?? 0
            }
        }
    }

    // MARK: cast and binary operators of other types

    private struct Cast {
        var (from, to): (DType, DType)
        var count: Int
    }

    mutating func lowerCast(_ node: Node) throws(RuntimeError) {
        let x = try input(node, 0)
        let (from, to) = (graph[x].dtype, graph[node.outputs[0]].dtype)
        guard from != .float16, to != .float16 else { throw RuntimeError(.unsupported, "a cast of float16 values") }
        let source = try operand(x)
        let index = outputOf(node)
        emitGeneric(
            "cast", Cast(from: from, to: to, count: elementCount(x)), inputs: [source], output: index,
            cost: elementCount(x), node: node.name
        ) { call, _, _ in
            guard let call = call?.pointee, let p = call.params?.assumingMemoryBound(to: Cast.self).pointee,
                let x = call.in.0, let out = call.out
            else { return }
            for i in 0..<p.count { Scalar.store(Scalar.load(x, i, p.from), out, i, p.to) }
        }
    }

    private struct Binary {
        var op: BinaryOperator
        var dtype: DType
        var extent: [Int]
        var strides: [[Int]]
    }

    mutating func emitGenericBinary(
        _ node: Node, _ op: BinaryOperator, _ a: ValueID, _ b: ValueID, output: Int
    ) throws(RuntimeError) {
        let dtype = graph[a].dtype
        guard [.int32, .int64, .float64].contains(dtype) else {
            throw RuntimeError(.unsupported, "this operator on \(dtype) values")
        }
        let shape = graph[node.outputs[0]].shape
        let strides = [a, b].map { Self.broadcastStrides(graph[$0].shape, to: shape) }
        emitGeneric(
            "binary_\(dtype.name)", Binary(op: op, dtype: dtype, extent: shape.dims, strides: strides),
            inputs: [try operand(a), try operand(b)], output: output, cost: shape.elementCount ?? 0, node: node.name
        ) { call, _, _ in
            guard let call = call?.pointee, let p = call.params?.assumingMemoryBound(to: Binary.self).pointee,
                let a = call.in.0, let b = call.in.1, let out = call.out
            else { return }
            Lowering.forEachIndex(p.extent) { position, index in
                let i = zip(index, p.strides[0]).reduce(0) { $0 + $1.0 * $1.1 }
                let j = zip(index, p.strides[1]).reduce(0) { $0 + $1.0 * $1.1 }
                let result = Scalar.combine(p.op, Scalar.load(a, i, p.dtype), Scalar.load(b, j, p.dtype))
                Scalar.store(result, out, position, p.dtype)
            }
        }
    }
}

/// A number of any element type, as a generic loop sees it.
enum Scalar {
    case integer(Int64)
    case real(Double)

    static func load(_ pointer: UnsafeRawPointer, _ index: Int, _ dtype: DType) -> Scalar {
        func get<T>(_: T.Type) -> T { pointer.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.size, as: T.self) }
        switch dtype {
        case .float32: return .real(Double(get(Float.self)))
        case .float64: return .real(get(Double.self))
        case .int8: return .integer(Int64(get(Int8.self)))
        case .uint8, .bool: return .integer(Int64(get(UInt8.self)))
        case .int16: return .integer(Int64(get(Int16.self)))
        case .uint16, .float16: return .integer(Int64(get(UInt16.self)))
        case .int32: return .integer(Int64(get(Int32.self)))
        case .uint32: return .integer(Int64(get(UInt32.self)))
        case .int64: return .integer(get(Int64.self))
        case .uint64: return .integer(Int64(truncatingIfNeeded: get(UInt64.self)))
        }
    }

    static func store(_ scalar: Scalar, _ pointer: UnsafeMutableRawPointer, _ index: Int, _ dtype: DType) {
        func put<T>(_ value: T) {
            pointer.storeBytes(of: value, toByteOffset: index * MemoryLayout<T>.size, as: T.self)
        }
        let real: Double
        let integer: Int64
        switch scalar {
        case .integer(let value): (integer, real) = (value, Double(value))
        case .real(let value):
            // Towards zero; what does not fit takes the nearest end, NaN gives 0.
            let limited = value.isNaN ? 0 : max(-0x1p63, min(0x1.fffffffffffffp62, value))
            (integer, real) = (Int64(limited), value)
        }
        switch dtype {
        case .float32: put(Float(real))
        case .float64: put(real)
        case .bool: put(UInt8(real != 0 ? 1 : 0))
        case .int8: put(Int8(truncatingIfNeeded: integer))
        case .uint8: put(UInt8(truncatingIfNeeded: integer))
        case .int16: put(Int16(truncatingIfNeeded: integer))
        case .uint16, .float16: put(UInt16(truncatingIfNeeded: integer))
        case .int32: put(Int32(truncatingIfNeeded: integer))
        case .uint32: put(UInt32(truncatingIfNeeded: integer))
        case .int64, .uint64: put(integer)
        }
    }

    static func combine(_ op: BinaryOperator, _ a: Scalar, _ b: Scalar) -> Scalar {
        switch (a, b) {
        case (.integer(let x), .integer(let y)):
            switch op {
            case .add: return .integer(x &+ y)
            case .subtract: return .integer(x &- y)
            case .multiply: return .integer(x &* y)
            case .divide: return .integer(y == 0 ? 0 : x.dividedReportingOverflow(by: y).partialValue)
            case .minimum: return .integer(min(x, y))
            case .maximum: return .integer(max(x, y))
            }
        case (.real(let x), .real(let y)):
            switch op {
            case .add: return .real(x + y)
            case .subtract: return .real(x - y)
            case .multiply: return .real(x * y)
            case .divide: return .real(x / y)
            case .minimum: return .real(x < y ? x : y)
            case .maximum: return .real(x > y ? x : y)
            }
        default: return a
        }
    }
}
