/// Computes any operator on numbers of any type with plain loops: what has no kernel, and what importers fold.
///
/// Floats are computed in Double and rounded once at the end. All types are static and fit the operator (shape inference
/// has checked them); indices among the data are checked here.
package struct GenericOperator: Sendable {
    let op: Op
    let inputs: [TensorType?]
    let output: TensorType

    /// nil for the operators that work on quantised values, and for batch normalisation.
    package init?(_ op: Op, inputs: [TensorType?], output: TensorType) {
        switch op {
        case .quantize, .quantizeAs, .dequantize, .batchNormalization: return nil
        default: break
        }
        guard output.shape.elementCount != nil, inputs.allSatisfy({ $0 == nil || $0?.shape.elementCount != nil }),
            inputs.first.map({ $0 != nil }) == true
        else { return nil }
        self.op = op
        self.inputs = inputs
        self.output = output
    }

    /// The result for constants.
    package func evaluate(_ tensors: [Tensor?]) -> Tensor? {
        guard let count = output.shape.elementCount else { return nil }
        let storage = TensorStorage(byteCount: count * output.dtype.byteSize) { target in
            guard let base = target.baseAddress else { return }
            run(tensors.map { $0?.bytes.baseAddress }, base)
        }
        return Tensor(dtype: output.dtype, shape: output.shape, storage: storage)
    }

    /// - Parameter pointers: as many as inputs; nil for those that are not given.
    package func run(_ pointers: [UnsafeRawPointer?], _ out: UnsafeMutableRawPointer) {
        // An empty result may have huge extents besides the one of 0, over which no loop shall walk.
        guard output.shape.elementCount != 0 else { return }
        let operands = zip(inputs, pointers).map { type, pointer in
            type.flatMap { type in pointer.map { GenericOperand(type: type, bytes: $0) } }
        }
        guard let x = operands.first.flatMap({ $0 }) else { return }
        switch x.dtype {
        case .uint64: run(operands, x, out, as: UInt64.self)
        case let dtype where dtype.isFloat: run(operands, x, out, as: Double.self)
        default: run(operands, x, out, as: Int64.self)
        }
    }

    private func run<N: GenericNumber>(
        _ operands: [GenericOperand?], _ x: GenericOperand, _ out: UnsafeMutableRawPointer, as _: N.Type
    ) {
        let loop = GenericLoop<N>(operands: operands, x: x, output: output, out: out)
        switch op {
        case .conv(let conv): loop.convolution(conv)
        case .fullyConnected(let activation): loop.fullyConnected(activation)
        case .matMul: loop.matMul()
        case .pool(let pool): loop.pool(pool)
        case .poolIndices(let pool, let columnMajor): loop.poolIndices(pool, columnMajor: columnMajor)
        case .reduce(let reduction, let axes, _): loop.reduce(reduction, axes: axes)
        case .binary(let op, let activation): loop.binary(op, activation)
        case .compare(let comparison): loop.compare(comparison)
        case .select: loop.select()
        case .unary(let op): loop.unary(op)
        case .softmax(let axis): loop.softmax(axis: axis)
        case .layerNormalization(let axes, let epsilon): loop.layerNormalization(axes: axes, epsilon: Double(epsilon))
        case .cast: loop.cast()
        case .reshape: out.copyMemory(from: x.bytes, byteCount: x.count * x.dtype.byteSize)
        case .transpose, .slice, .pad, .concat, .expand, .reverse, .reverseSequence: loop.move(op)
        case .gather(let gathering): loop.gather(gathering)
        case .scatter(let scattering): loop.scatter(scattering)
        case .argReduce(let reduction): loop.argReduce(reduction)
        case .topK(let top): loop.topK(top)
        case .cumulativeSum(let axis, let exclusive, let reverse):
            loop.cumulativeSum(axis: axis, exclusive: exclusive, reverse: reverse)
        case .resample(let axis): loop.resample(axis: axis)
        case .recurrent(let layer): loop.recurrent(layer)
        case .roundToDynamicGrid(let grid): loop.roundToDynamicGrid(grid)
        case .integerLSTM(let layer): loop.integerLSTM(layer)
        case .sampleAt(let sampling): loop.sample(sampling)
        case .roiAlign(let align): loop.roiAlign(align)
        case .determinant: loop.determinant()
        case .treeEnsemble(let trees): loop.treeEnsemble(trees)
        case .nonMaxSuppression(let suppression): loop.nonMaxSuppression(suppression)
        case .nonZero: loop.nonZero()
        case .distinct(let distinct): loop.distinct(distinct)
        case .cut(let axis): loop.cut(axis: axis)
        case .quantize, .quantizeAs, .dequantize, .batchNormalization: return
        }
    }
}

/// An input of a generic loop.
struct GenericOperand {
    let type: TensorType
    let bytes: UnsafeRawPointer

    var dtype: DType { type.dtype }
    var shape: Shape { type.shape }
    var count: Int { type.shape.elementCount ?? 0 }

    func numbers<N: GenericNumber>(_: N.Type = N.self) -> [N] { (0..<count).map { dtype.load(bytes, $0) } }
    /// Indices, each brought into `0..<extent`; nil where it lies outside.
    func place(_ index: Int, extent: Int) -> Int? {
        let number = Int(dtype.load(bytes, index, as: Int64.self))
        let place = number < 0 ? number &+ extent : number
        return (0..<extent).contains(place) ? place : nil
    }
}

/// One operator on numbers that are computed as `N`.
struct GenericLoop<N: GenericNumber> {
    let operands: [GenericOperand?]
    let x: GenericOperand
    let output: TensorType
    let out: UnsafeMutableRawPointer

    var shape: Shape { output.shape }
    var count: Int { output.shape.elementCount ?? 0 }

    func operand(_ index: Int) -> GenericOperand? { index < operands.count ? operands[index] : nil }

    func store(_ value: N, _ index: Int) { output.dtype.store(value, out, index) }

    func clamped(_ value: N, _ activation: Activation) -> N {
        guard activation != .none else { return value }
        let (low, high) = activation.bounds
        return N(exactlyOrNearest: min(max(value.double, Double(low)), Double(high)))
    }
}
