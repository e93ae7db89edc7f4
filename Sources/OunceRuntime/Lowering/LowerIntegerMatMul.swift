import COunceKernels
import OunceGraph

/// Products of int8 matrices that are both computed: sums of integers, with int8 or float32 results.
extension Lowering {
    /// No sum of so many products of numbers less their zero points leaves int32.
    static let maximumInt8Products = 33_000

    /// The bits of a product whose operands are int8 are those of its integers; one of dequantised numbers is float.
    func multipliesIntegers(_ node: Node) -> Bool {
        guard node.inputs.count > 1, let a = node.inputs[0], let b = node.inputs[1], let output = node.outputs.first,
            [a, b].allSatisfy({ isQuantized($0) && graph[$0].encoding.affine?.isPerTensor == true }),
            isQuantized(output) || (graph[output].dtype == .float32 && graph[output].encoding == .plain)
        else { return false }
        return (graph[a].shape.dims.last ?? 0) <= Self.maximumInt8Products
    }

    mutating func lowerIntegerMatMul(_ node: Node) throws(RuntimeError) {
        let (a, b, output) = (try input(node, 0), try input(node, 1), node.outputs[0])
        let shape = graph[output].shape
        let batch = Shape(Array(shape.dims.dropLast(2)))
        let (m, n) = (shape[shape.rank - 2], shape[shape.rank - 1])
        let k = graph[a].shape[graph[a].shape.rank - 1]
        let (left, right) = (try grid(graph[a]), try grid(graph[b]))
        let product = Double(left.scale) * Double(right.scale)
        let table = Tensor(
            Self.offsets(batch, [a, b, output].map { matrixStrides(graph[$0].shape, batch: batch) }))
        var parameters = ounce_matmul_s8_params()
        parameters.batch = Int64(batch.dims.reduce(1, *))
        (parameters.m, parameters.n, parameters.k) = (Int64(m), Int64(n), Int64(k))
        (parameters.a_row, parameters.b_row, parameters.out_row) = (Int64(k), Int64(n), Int64(n))
        parameters.offsets = table.bytes.baseAddress?.assumingMemoryBound(to: Int64.self)
        (parameters.a_zero, parameters.b_zero) = (left.zeroPoint, right.zeroPoint)
        if isQuantized(output) {
            let result = try grid(graph[output])
            parameters.scale = try factor(product / Double(result.scale))
            (parameters.out_zero, parameters.out_min, parameters.out_max) = (result.zeroPoint, -128, 127)
        } else {
            parameters.scale = try factor(product)
            parameters.real_out = 1
        }
        let operands = [try operand(a), try operand(b)]
        let index = outputOf(node)
        emit(
            LoweredStep(
                node: node.name, work: .kernel(OUNCE_MATMUL_S8),
                parameters: StepParameters(parameters, owning: [table]), weights: nil, inputs: operands, output: index,
                cost: elementCount(output) * k / 4, macs: graph.macs(of: node), packingKey: ""))
    }
}
